"""The needs of a batch: data to be read, and steps of the server that come before a command."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from inventory_grpc.application.outcomes import Answered, Outcome, RequestKey
from inventory_grpc.application.ports import Walk
from inventory_grpc.domain.event import Key
from inventory_grpc.domain.values import StockId


@dataclass(eq=False)
class NotRead(Exception):
    """A batch needs this data before it can continue."""

    keys: Collection[Key] = ()
    """The keys of states and events; with each, the states of its streams are read too."""
    requests: Collection[RequestKey] = ()
    due: Collection[Key | None] = ()
    """Streams whose overdue subjects are needed; None stands for all streams."""
    waiting: Collection[Key] = ()
    """Stocks whose waiting subjects are needed."""
    fills: bool = False
    """Whether the stocks are needed on which fills are due."""
    walk: Walk | None = None
    """A walk whose next page of stocks is needed."""


@dataclass(slots=True)
class ReadData:
    """Data that a batch has read, beside states; as of the start of its transaction."""

    answered: dict[RequestKey, Answered | None] = field(default_factory=dict)
    replays: dict[int, Outcome] = field(default_factory=dict)
    """Answers that are made again from events, by the position of the first of them."""
    due: dict[Key | None, Sequence[Key]] = field(default_factory=dict)
    waiting: dict[Key, Sequence[Key]] = field(default_factory=dict)
    """The subjects that wait for goods of a stock, in their order, up to a limit."""
    filled: Sequence[Key] | None = None
    """Stocks on which fills are due."""
    walked: dict[Walk, Sequence[StockId]] = field(default_factory=dict)
    """The next page of stocks of walks."""


@dataclass(eq=False)
class OverdueFirst(Exception):
    """Overdue holds on these stocks are to expire, until so many units are available."""

    wanted: Mapping[Key, int]


@dataclass(eq=False)
class FillsFirst(Exception):
    """The fills that are due on these stocks are to be recorded before the command."""

    streams: Sequence[Key]
