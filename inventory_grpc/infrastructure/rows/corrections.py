"""Rows of corrections: counts and reversals."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from itertools import islice
from typing import Any, Final

from inventory_grpc.domain.event import Fact
from inventory_grpc.domain.registry import FACTS
from inventory_grpc.domain.reversal import Correction, standing_counts
from inventory_grpc.domain.stock import StockAdjusted
from inventory_grpc.domain.values import UnitState
from inventory_grpc.infrastructure.log.chain import NumberedEvent

STANDING_READ: Final = 4_096
"""Counts that stand, read for one reversal: more than one batch can reverse."""

CORRECTING: Final = frozenset(
    fact for fact in FACTS if "reverses" in {field.name for field in fields(fact)}
)
"""The kinds of facts that may be corrections; few events have one, and the others cost little."""


def rows_of(recorded: Sequence[NumberedEvent]) -> list[tuple[Any, ...]]:
    """Return a row for each event that corrects another one, or counts units."""
    return [
        (stream, event.position, event.fact.reverses or None, _counted_state(event.fact))
        for event, stream, _ in recorded
        if type(event.fact) in CORRECTING and (event.fact.reverses or event.fact.is_count)
    ]


def _counted_state(fact: Fact) -> UnitState | None:
    return fact.state if isinstance(fact, StockAdjusted) and fact.is_count else None


def read_standing(rows: Iterable[tuple[int, int | None]]) -> tuple[Correction, ...]:
    """Return the corrections in *rows*, newest first, until enough counts stand."""
    read: list[Correction] = []

    def corrections() -> Iterator[Correction]:
        for position, reverses in rows:
            read.append(Correction(position, reverses or 0))
            yield read[-1]

    for _ in islice(standing_counts(corrections()), STANDING_READ):
        pass
    return tuple(read)
