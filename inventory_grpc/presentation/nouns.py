"""The tables of all commands and queries, collected from the modules of the nouns."""

from collections.abc import Sequence
from typing import Final

from inventory_grpc.domain.values import Expiration
from inventory_grpc.presentation import reservation, stock
from inventory_grpc.presentation.rows import CommandRow, QueryRow


def command_rows(default: Expiration) -> Sequence[CommandRow]:
    """Return all commands; *default* applies to requests without an expiration."""
    return (*stock.COMMANDS, *reservation.commands(default))


QUERY_ROWS: Final[Sequence[QueryRow]] = (*stock.QUERIES, *reservation.QUERIES)
