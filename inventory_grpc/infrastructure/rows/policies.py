"""Rows of policies."""

from collections.abc import Sequence
from typing import Any

from inventory_grpc.domain.policy import NOTHING, Policy, PolicyChanged, PolicyScope, ScopedPolicy
from inventory_grpc.domain.values import Instant
from inventory_grpc.infrastructure.log.chain import NumberedEvent

Row = tuple[Any, ...]


def rows_of(recorded: Sequence[NumberedEvent]) -> list[Row]:
    """Return the rows of the policies that *recorded* changes, after the last change of each."""
    rows: dict[int, Row] = {}
    for event, stream, _ in recorded:
        fact = event.fact
        if type(fact) is PolicyChanged:
            sets = None if fact.policy == NOTHING else 1
            scope = event.key.covers
            rows[stream] = (stream, *scope, *fact.policy, sets, event.version, event.record_time)
    return [*rows.values()]


def policy_of(key: PolicyScope, *row: Any) -> ScopedPolicy:  # noqa: ANN401  the columns
    """Return the policy in a row: its values, version and update time."""
    *values, version, update_time = row
    return ScopedPolicy(key, Policy(*values), version, Instant(update_time))
