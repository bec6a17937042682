"""The filter of events as conditions in SQL."""

from collections.abc import Collection
from typing import Final

from inventory_grpc.application.queries.events import EventFilter
from inventory_grpc.domain.event import SubjectKey
from inventory_grpc.infrastructure.codec import KIND_BY_NAME
from inventory_grpc.infrastructure.log.audiences import (
    SHOWN_IN_NO_OTHER,
    SHOWN_IN_STORE,
    SHOWN_TO_ALL,
)
from inventory_grpc.infrastructure.log.chain import bits
from inventory_grpc.infrastructure.log.ids import RESERVATION, kind_and_name

Bindings = list[int | str]

_STORE_IN_NAME: Final = "substr(name, instr(name, '@') + 1)"


def where_matching(matching: EventFilter) -> tuple[str, Bindings]:
    """Return the filter as an SQL condition, and its bindings.

    The plus signs prevent SQLite from choosing another index: the range scanned is chosen here
    and bounded; the range of an index may not be.
    """
    terms: list[str] = []
    bindings: Bindings = []
    if matching.event_types:
        terms.append(_among("+kind", matching.event_types))
        bindings += [KIND_BY_NAME[name] for name in sorted(matching.event_types)]
    if matching.alerts:
        terms.append("alerts IS NOT NULL AND alerts & ?")
        bindings.append(bits(matching.alerts))
    inner, ids = of_streams(matching)
    if inner:
        terms.append(
            f"EXISTS (SELECT 1 FROM streams WHERE streams.stream = events.stream AND {inner})"  # noqa: S608  as above
        )
        bindings += ids
    if matching.reservation_ids:
        query, ids = of_reservations(matching.reservation_ids)
        terms.append(f"+subject IN ({query})")
        bindings += ids
    if matching.subjects:
        where, names = named(matching.subjects)
        terms.append(
            f"(+stream IN (SELECT stream FROM streams WHERE {where}) "  # noqa: S608  as above
            f"OR +subject IN (SELECT subject FROM subjects WHERE {where}))"
        )
        bindings += 2 * [*names]
    return "".join(f"AND {term} " for term in terms), bindings


def of_reservations(ids: frozenset[str]) -> tuple[str, Bindings]:
    """Return the query for the numbers of reservations, and its bindings."""
    where = f"kind = {RESERVATION} AND {_among('name', ids)}"
    return f"SELECT subject FROM subjects WHERE {where}", sorted(ids)  # noqa: S608  as above


def named(keys: Collection[SubjectKey]) -> tuple[str, Bindings]:
    """Return the condition on rows of `streams` or `subjects` with these keys."""
    bindings: Bindings = []
    for key in sorted(keys, key=kind_and_name):
        bindings += kind_and_name(key)
    return " OR ".join(["(kind = ? AND name = ?)"] * len(keys)), bindings


def of_streams(matching: EventFilter) -> tuple[str, Bindings]:
    """Return the filter's conditions on streams as SQL, and their bindings; none is empty."""
    terms: list[str] = []
    bindings: Bindings = []
    for column, values in (("product_id", matching.product_ids), ("store_id", matching.store_ids)):
        if values:
            terms.append(_among(column, values))
            bindings += sorted(values)
    if matching.stores is not None and not matching.store_ids:
        own = _among("{}", matching.stores)
        terms.append(
            f"({own.format('store_id')} OR kind IN ({SHOWN_TO_ALL}) "
            f"OR (kind IN ({SHOWN_IN_STORE}) AND {own.format('name')}) "
            f"OR (kind IN ({SHOWN_IN_NO_OTHER}) "
            f"AND (name LIKE '%@' OR {own.format(_STORE_IN_NAME)})))"
        )
        bindings += 3 * sorted(matching.stores)
    return " AND ".join(terms), bindings


def _among(column: str, values: frozenset[str]) -> str:
    return f"{column} IN ({', '.join('?' * len(values))})"
