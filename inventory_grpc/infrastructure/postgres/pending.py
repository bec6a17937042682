"""The work that the log calls for after a batch, without reading it again."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, Final

from inventory_grpc.application.ports import Pending, Walk
from inventory_grpc.domain.event import Event, Key
from inventory_grpc.domain.registry import FACTS

_HOLDING: Final = frozenset(
    fact for fact in FACTS if "expire_time" in {field.name for field in fields(fact)}
)
"""The kinds of facts that say when a hold ends."""


def pending_after(
    before: Pending, events: Sequence[Event], walks: Mapping[Key, Walk | None]
) -> Pending:
    """Return a bound of the work after a batch; none of it is missing.

    It may name work that this batch has done: an exact answer would be one more round trip under
    the lock. The next transaction begins with the exact one.
    """
    facts: list[Any] = [event.fact for event in events if type(event.fact) in _HOLDING]
    times = (fact.expire_time for fact in facts)
    expiry = min((time for time in (before.expiry, *times) if time is not None), default=None)
    levels = (event.after for event in events)
    return Pending(
        expiry,
        before.fills or any(after is not None and after.fills_due for after in levels),
        before.walks or any(walk is not None for walk in walks.values()),
        before.has_terms or bool(walks),
    )
