"""The port of the event bus, by which parts of this process follow commits."""

from collections.abc import Sequence
from typing import Protocol

from inventory_grpc.domain.event import Event, Key


class Listener(Protocol):
    """A component of this process that follows commits. It must not block or raise."""

    def recorded(self, events: Sequence[Event]) -> None:
        """Process the events of a batch of this process, after its commit."""

    def recorded_elsewhere(self, streams: Sequence[Key]) -> None:
        """Process that other processes have recorded an event of each of *streams*, in order."""

    def skipped(self, upto: int) -> None:
        """Discard all state: too many events of other processes were committed to be read."""


class EventBus(Protocol):
    """Publishes committed events to the listeners in this process, in order and once."""

    def subscribe(self, listener: Listener) -> None: ...

    def publish(self, events: Sequence[Event]) -> None:
        """Pass *events* to all listeners; an error in one is logged and affects no other.

        `skipped` is then called on it, since it may have processed only some of them.
        """

    def publish_elsewhere(self, streams: Sequence[Key], upto: int) -> None:
        """Pass on as `publish` does that other processes have recorded events, up to a position."""

    def skip(self, upto: int) -> None:
        """Notify the listeners that the events up to a position are not published."""
