"""The room that the tables take on the server."""

from collections.abc import Mapping
from contextlib import closing, suppress
from typing import Final

import psycopg

from inventory_grpc.application.store import Disk
from inventory_grpc.application.tally import Tally
from inventory_grpc.infrastructure.postgres.server import Server
from inventory_grpc.infrastructure.postgres.statement import Statement

_SIZES: Final = Statement(
    "SELECT relname::text, pg_total_relation_size(oid)::int8 FROM pg_class "
    "WHERE relkind = 'r' AND relnamespace = quote_ident(current_schema())::regnamespace ORDER BY 1"
)
_VERSION: Final = Statement("SHOW server_version")


class Footprint:
    """The sizes of the tables with their indexes, read when asked for."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.checkpoint_seconds = Tally()
        """Empty: the server makes its checkpoints, and reports them itself."""
        with closing(server.reader()) as wire:
            self.engine = f"PostgreSQL {wire.value(_VERSION)}"

    def sizes(self) -> Mapping[str, int]:
        with suppress(psycopg.Error), closing(self._server.reader()) as wire:
            return dict(wire.query(_SIZES))
        return {}

    def disk(self) -> Disk | None:
        """Return None: a server does not tell how much room its disk has."""
        return None
