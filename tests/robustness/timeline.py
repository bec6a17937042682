"""The independent model's state at each position of the log."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import NamedTuple, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from inventory_grpc_protos.v1 import stock_pb2 as pb
from inventory_grpc_protos.v1.events_pb2 import Event
from tests.support.model import Key, Model, Part, Promise, Shelf

T = TypeVar("T")


class Recorded(NamedTuple):
    """The positions of a command's events."""

    first: int
    last: int


class Timeline(Model):
    """The model after every event of a log, not only after the last."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[Event] = []
        self.commands: dict[str, Recorded] = {}
        """By request id; expiries have none."""
        self._shelves: dict[Key, list[tuple[int, Shelf]]] = {}
        self._promises: dict[str, list[tuple[int, Promise]]] = {}

    def fold(self, event: Event) -> None:
        super().fold(event)
        self.events.append(event)
        key = event.product_id, event.store_id
        self._shelves.setdefault(key, []).append((event.position, self.shelves[key].copy()))
        fact = event.WhichOneof("fact") or ""
        if "reserv" in fact:
            name = getattr(event, fact).reservation_id
            kept = deepcopy(self.promises[name])
            self._promises.setdefault(name, []).append((event.position, kept))
        if event.request_id:
            known = self.commands.get(event.request_id)
            if known is None:
                known = Recorded(event.position, event.position)
            assert event.command_position == known.first, f"{event.request_id} was done twice"
            self.commands[event.request_id] = Recorded(known.first, event.position)

    def is_end(self, position: int) -> bool:
        """Return whether *position* ends a command: no command is decided within another."""
        after = self.events[position : position + 1]
        return not after or after[0].command_position == after[0].position

    def events_of(self, recorded: Recorded) -> Sequence[Event]:
        return self.events[recorded.first - 1 : recorded.last]

    def shelf(self, key: Key, position: int) -> Shelf:
        """Return the levels of a stock right after *position*."""
        return _at(self._shelves.get(key, []), position) or Shelf()

    def promise(self, name: str, position: int) -> Promise | None:
        """Return a reservation right after *position*, if it had been made."""
        return _at(self._promises.get(name, []), position)

    def stock_message(self, key: Key, position: int) -> pb.Stock | None:
        """Return a stock as an answer should show it; None if it had no history then."""
        shelf = self.shelf(key, position)
        if not shelf.version:
            return None
        stock = pb.Stock(product_id=key[0], store_id=key[1], version=shelf.version)
        stock.update_time.FromMicroseconds(shelf.update_time)
        for field, value in shelf.shown().ListFields():
            if field.is_repeated:
                getattr(stock, field.name).extend(value)
            else:
                setattr(stock, field.name, value)
        return stock

    def reservation_message(self, name: str, position: int) -> pb.Reservation | None:
        """Return a reservation as an answer should show it; None if there was none then."""
        promise = self.promise(name, position)
        if promise is None:
            return None
        made = self.events[promise.number - 1]
        return pb.Reservation(
            reservation_id=name,
            customer_id=promise.customer_id,
            order_id=promise.order_id,
            state=pb.ReservationState.Value(f"RESERVATION_STATE_{promise.state.upper()}"),
            lines=[
                pb.ReservationLine(product_id=key[0], store_id=key[1], **_shown(part))
                for key, part in promise.parts.items()
            ],
            channel=promise.channel,
            create_time=made.record_time,
            expire_time=None if promise.expire_time is None else _time(promise.expire_time),
            reference=made.reference,
        )

    def was(self, holds: Callable[[int], bool], since: int, until: int) -> bool:
        """Tell whether something was so at the end of a command between two positions."""
        return any(holds(position) for position in range(since, until + 1) if self.is_end(position))


def _shown(part: Part) -> dict[str, int]:
    """Return *part* without what no answer shows."""
    fields = pb.ReservationLine.DESCRIPTOR.fields_by_name
    return {name: units for name, units in vars(part).items() if name in fields}


def _at(moments: Sequence[tuple[int, T]], position: int) -> T | None:
    index = bisect_right(moments, position, key=lambda moment: moment[0])
    return moments[index - 1][1] if index else None


def _time(micros: int) -> Timestamp:
    time = Timestamp()
    time.FromMicroseconds(micros)
    return time
