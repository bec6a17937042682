"""The port of a system that events are published to."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from inventory_grpc.relay.messages import Message, log_of


class Place(NamedTuple):
    """The last event in a target; position 0 in one that has none yet."""

    position: int = 0
    event_id: str = ""

    @property
    def log_id(self) -> str:
        return log_of(self.event_id)


class Unreachable(Exception):
    """The target does not answer, or cannot store anything for now: try again."""


class Parked(Unreachable):
    """The target refuses an event for good, as a receiver of webhooks may: it is sent again.

    No event is skipped, so that the operator has to see to it.
    """


class Overtaken(Exception):
    """The last event in the target is not the one that was published last from here."""


class Unfit(Exception):
    """The target is none that a relay can publish to; the message says what to do."""


def shown(url: str) -> str:
    """Return *url* as logs and errors may have it: without user, password and query."""
    before, separator, rest = url.partition("?")[0].partition("://")
    name, slash, path = rest.partition("/")
    return f"{before}{separator}{name.rpartition('@')[2]}{slash}{path}"


def reason(error: Exception) -> str:
    """Return the message of *error*, or its kind if it has none."""
    return str(error) or type(error).__name__


class Target(Protocol):
    """A system that stores events in order, and knows which was the last.

    The place is read from the target itself, and each event is stored under the condition that
    the one before is the last. So a relay has no state of its own, and of two relays one is
    refused.
    """

    async def start(self) -> Place:
        """Connect, anew if need be; return the place of the last event.

        Raises:
            Unreachable: it cannot be reached.
            Overtaken: another relay has started at the same time.
            Unfit: it cannot be published to.
        """

    async def publish(self, after: Place, messages: Sequence[Message]) -> None:
        """Store *messages* in order behind the event at *after*; return when all are stored.

        Raises:
            Overtaken: another event is the last. Of *messages*, those behind that one may be
                stored, in order.
            Unreachable: some of them may be stored, the first ones: start again.
            Parked: it refuses them.
            Unfit: it refuses them for good.
        """

    async def close(self) -> None:
        """Close the connection; events that are being stored may be, or may not."""
