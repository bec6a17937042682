"""Files of format 1, converted from current files; a kept release gives the tables."""

import gzip
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from inventory_grpc.application.ledger import plain, workbook
from inventory_grpc.infrastructure.sqlite.companions import COMPANIONS, companion
from inventory_grpc.infrastructure.sqlite.connection import Database

KEPT: Final = Path(__file__).parent.parent / "robustness" / "releases" / "format-1-carts.db.gz"

_TABLES: Final = {
    "streams": "SELECT stream, product_id, store_id FROM now.streams",
    "events": (
        "SELECT position, stream, version, ordinal, kind, subject, event, hash FROM now.events"
    ),
    "requests": (
        "SELECT request, actor, request_id, fingerprint, position, by_noun(outcome), record_time "
        "FROM now.requests"
    ),
    "stocks": "SELECT stream, on_hand, reserved, version, update_time FROM now.stocks",
    "reservations": (
        "SELECT reservation, name, customer_id, order_id, reference, state, create_time, "
        "expire_time FROM now.reservations JOIN now.subjects ON subject = reservation"
    ),
    "reservation_lines": (
        "SELECT reservation, stream, quantity, held, committed, released, expired, expire_time "
        "FROM now.reservation_lines"
    ),
    "clock": "SELECT * FROM now.clock",
}


@contextmanager
def no_alerts() -> Iterator[None]:
    """Record events without alerts meanwhile, as the releases before format 4 did."""
    with (
        patch.object(workbook, "alerts_between", lambda *_: ()),
        patch.object(plain, "FIRST_ALERTS", ()),
    ):
        yield


def unpack(kept: Path, path: Path) -> None:
    """Lay a kept file where it is to be opened."""
    path.write_bytes(gzip.decompress(kept.read_bytes()))


def to_format_1(path: Path) -> None:
    """Make the file at *path*, which nobody has open, one that the release before would have made.

    Its mark stays. Its events were recorded with `no_alerts`.
    """
    former = path.with_name("format-1.db")
    unpack(KEPT, former)
    with closing(Database(former).writer()) as connection:
        connection.create_scalar_function("by_noun", _by_noun, 1)
        connection.execute("ATTACH ? AS now", (str(path),))
        for table, rows in _TABLES.items():
            connection.execute(f"DELETE FROM main.{table}")  # noqa: S608  the tables above
            connection.execute(f"INSERT INTO main.{table} {rows}")
        connection.execute(
            "UPDATE main.log SET (log_id, create_time, probe) = "
            "(SELECT log_id, create_time, probe FROM now.log)"
        )
        connection.execute("DETACH now")
    former.rename(path)
    for end in COMPANIONS:
        if end != ".mark":
            companion(path, end).unlink(missing_ok=True)


def _by_noun(*outcome: Any) -> str | None:  # noqa: ANN401  as apsw has it
    if outcome == (None,):
        return None
    content = json.loads(*outcome)
    former = {
        "position": content["position"],
        "stocks": [
            [*stock["stock_id"], *stock["levels"], stock["version"], stock["update_time"]]
            for _, stock in content["streams"]
        ],
        "reservation": next((_reservation(own) for _, own in content["subjects"]), None),
    }
    return json.dumps(former, separators=(",", ":"))


def _reservation(own: dict[str, Any]) -> dict[str, Any]:
    lines = [[*stock_id, *units[:4]] for stock_id, units in own["lines"]]
    later = {"held", "channel"}
    return {name: value for name, value in {**own, "lines": lines}.items() if name not in later}
