"""Upgrades a file of an earlier release: the format of its log, and its read models.

The upgrade is one transaction, so a process killed during it leaves the file unchanged. No event
is rewritten: positions, bytes and hashes stay. It cannot be undone: an earlier release refuses a
file of a newer format.
"""

import json
import logging
from collections.abc import Callable
from itertools import islice
from typing import Any, Final

import apsw

from inventory_grpc.application.failpoints import reach
from inventory_grpc.application.store import Progress
from inventory_grpc.infrastructure.codec import UNREADABLE, decode
from inventory_grpc.infrastructure.log.ids import RESERVATION, STOCK, kind_and_name
from inventory_grpc.infrastructure.log.replay import LogInconsistent
from inventory_grpc.infrastructure.sqlite import schema
from inventory_grpc.infrastructure.sqlite.events import read_head
from inventory_grpc.infrastructure.sqlite.multirow import execute_with
from inventory_grpc.infrastructure.sqlite.replay import rebuild

_log = logging.getLogger(__name__)

PAGE: Final = 10_000
"""Subjects written at a time, and events between two calls of the progress."""


def make_current(connection: apsw.Connection, progress: Progress) -> int:
    """Upgrade the log, rebuild the read models, and return the position of the head.

    In an upgrade to format 5 the events are copied first; then the progress begins again.

    The caller holds the exclusive lock.

    Raises:
        LogInconsistent: the log contradicts itself; nothing was changed.
    """
    head, before = read_head(connection), schema.format_of(connection)
    with connection:
        if before < schema.FORMAT:
            _log.warning(
                "upgrading the log from format %s to %s: earlier releases cannot open it again; "
                "to back it up first, stop this process now: nothing is changed until the end",
                before,
                schema.FORMAT,
            )
            if before < 2:  # noqa: PLR2004  the formats that changed tables
                _upgrade_to_2(connection)
            if before < 4:  # noqa: PLR2004  as above
                _upgrade_to_4(connection)
            if before < 5:  # noqa: PLR2004  as above
                _upgrade_to_5(connection, lambda position: progress(position, head))
            connection.pragma("user_version", schema.FORMAT)
        rebuild(connection, head, lambda position: progress(position, head))
    reach("upgrade_end")
    if before < schema.FORMAT:
        schema.write_header(connection)
        _log.warning(
            "the log has format %s now; its %s events are unchanged", schema.FORMAT, f"{head:,}"
        )
    return head


def _upgrade_to_2(connection: apsw.Connection) -> None:
    connection.execute(schema.sql("upgrade_to_2.sql"))
    _name_subjects(connection)
    connection.create_scalar_function("by_kind", _by_kind, 1)
    connection.execute("UPDATE requests SET outcome = by_kind(outcome) WHERE outcome IS NOT NULL")


def _upgrade_to_4(connection: apsw.Connection) -> None:
    connection.execute(schema.sql("upgrade_to_4.sql"))
    connection.create_scalar_function("with_particulars", _with_particulars, 1)
    connection.execute(
        "UPDATE requests SET outcome = with_particulars(outcome) WHERE outcome IS NOT NULL"
    )


def _upgrade_to_5(connection: apsw.Connection, progress: Callable[[int], None]) -> None:
    def copied(*row: Any) -> int:  # noqa: ANN401  as apsw has it
        (position,) = row
        if position % PAGE == 0:
            progress(position)
        return int(position)

    connection.create_scalar_function("copied", copied, 1)
    connection.execute(schema.sql("upgrade_to_5.sql"))


def _with_particulars(*outcome: Any) -> str:  # noqa: ANN401  as apsw has it
    """Convert a stored answer to format 4, where the units by state are one of the particulars."""
    content: dict[str, Any] = json.loads(*outcome)
    for kind, state in content["streams"]:
        if kind == STOCK and len(state["levels"]) == _WITH_STATES:
            *levels, states = state["levels"]
            state["levels"] = [*levels, [states]]
    return json.dumps(content, separators=(",", ":"))


_WITH_STATES: Final = 3
"""The length of the levels of a stock with units by state in format 3."""


def _name_subjects(connection: apsw.Connection) -> None:
    """Fill the table of subjects with the name from the first event about each."""
    first = connection.execute(
        "SELECT position, event FROM events WHERE subject = position ORDER BY position"
    )
    while rows := list(islice(first, PAGE)):
        execute_with(connection, "INSERT INTO subjects {}", [_subject(*row) for row in rows])


def _subject(position: int, data: bytes) -> tuple[int, int, str]:
    try:
        key = decode(data).fact.subject
    except UNREADABLE as error:
        raise LogInconsistent(f"event {position}: cannot be read: {error}") from error
    if key is None:
        raise LogInconsistent(f"event {position}: is stored with a subject, but has none")
    return position, *kind_and_name(key)


def _by_kind(*outcome: Any) -> str:  # noqa: ANN401  as apsw has it
    """Convert a stored answer from format 1 to format 2, where states have their kinds."""
    former: dict[str, Any] = json.loads(*outcome)
    reservation = former["reservation"]
    content = {
        "position": former["position"],
        "streams": [[STOCK, _stock(*stock)] for stock in former["stocks"]],
        "subjects": [[RESERVATION, _reservation(reservation)]] if reservation else [],
    }
    return json.dumps(content, separators=(",", ":"))


def _stock(product_id: str, store_id: str, *rest: int) -> dict[str, Any]:
    on_hand, reserved, version, update_time = rest
    return {
        "stock_id": [product_id, store_id],
        "levels": [on_hand, reserved],
        "version": version,
        "update_time": update_time,
    }


def _reservation(former: dict[str, Any]) -> dict[str, Any]:
    lines = [[line[:2], line[2:]] for line in former["lines"]]
    held = sum(quantity - sum(ends) for _, (quantity, *ends) in lines)
    position = former.pop("position")
    return {**former, "lines": lines, "held": held, "position": position}
