"""An independent model of the inventory, folded from the bytes of the log alone.

It shares no code with the service but the contract. It folds what followers receive,
and checks at every event the invariants that must hold at every moment.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import Message

from inventory_grpc_protos.v1.events_pb2 import Event

Key = tuple[str, str]
SELLABLE = "sellable"


@dataclass
class Shelf:
    on_hand: int = 0
    reserved: int = 0
    version: int = 0
    update_time: int = 0
    units: dict[str, int] = field(default_factory=dict, repr=False)
    """Units by state, `sellable` included: counted apart from those on hand."""

    @property
    def sellable(self) -> int:
        return self.units.get(SELLABLE, 0)

    def states(self) -> list[tuple[str, int]]:
        """Return the other states that have units, by name."""
        others = (each for each in self.units.items() if each[0] != SELLABLE)
        return sorted((state, units) for state, units in others if units)

    def move(self, by_state: list[tuple[str, int]]) -> None:
        for state, units in by_state:
            self.units[state] = self.units.get(state, 0) + units
            assert self.units[state] >= 0, f"less than nothing is {state}"


@dataclass
class Part:
    """One line of a promise; what is held is what is left of it."""

    quantity: int
    held: int
    committed: int = 0
    released: int = 0
    expired: int = 0


@dataclass
class Promise:
    customer_id: str
    order_id: str
    expire_time: int | None
    number: int
    made: tuple[int, int] = field(repr=False)
    """The command that made it, and its place in an atomic batch."""
    state: str = "active"
    parts: dict[Key, Part] = field(default_factory=dict)


@dataclass
class Entry:
    """The content of a product or store of the catalogue, with its version and times."""

    content: Message
    version: int
    create_time: int
    update_time: int


class Model:
    """Everything as it is after the events that were folded into it."""

    def __init__(self, events: Iterable[bytes] = ()) -> None:
        self.position = 0
        self.shelves: dict[Key, Shelf] = {}
        self.promises: dict[str, Promise] = {}
        self.moves: dict[int, tuple[Key, dict[str, int]]] = {}
        """The events that can be reversed, by position: their stocks and what they moved."""
        self.reversed: set[int] = set()
        self.catalogue: dict[str, Entry] = {}
        """By subject, such as `product/kettle`."""
        self._last = Event()
        for data in events:
            self.fold(Event.FromString(data))

    def fold(self, event: Event) -> None:
        """Take in the next event, and check it.

        Raises:
            AssertionError: what is promised does not hold.
        """
        self._check_place(event)
        fact = event.WhichOneof("fact")
        content = getattr(event, fact or "")
        if event.subject:
            self._fold_entry(event, content)
            return
        key = event.product_id, event.store_id
        shelf = self.shelves.setdefault(key, Shelf())
        moved = content.delta if fact == "stock_adjusted" else content.quantity
        by_state = _by_state(fact or "", content, moved)
        shelf.move(by_state)
        if fact and fact.startswith("stock_") and fact != "stock_reserved":
            self._note_move(event, key, dict(by_state))
        match fact:
            case "stock_added" | "stock_adjusted":
                shelf.on_hand += moved
            case "stock_removed":
                is_free = shelf.reserved <= shelf.sellable
                assert is_free or content.state, "promised units were removed"
                shelf.on_hand -= moved
            case "stock_reserved":
                shelf.reserved += moved
                assert shelf.reserved <= shelf.sellable, "oversold"
            case "reservation_committed":
                shelf.on_hand -= moved
                shelf.reserved -= moved
            case "reservation_released" | "reservation_expired":
                shelf.reserved -= moved
        _check_levels(event, shelf)
        assert event.version == shelf.version + 1, "a version was left out, or is there twice"
        shelf.version = event.version
        shelf.update_time = event.record_time.ToMicroseconds()
        if fact and "reserv" in fact:
            self._fold_promise(event, fact, key)

    def _fold_entry(self, event: Event, content: Message) -> None:
        assert (event.product_id, event.store_id) == ("", "")
        assert not event.HasField("after")
        time = event.record_time.ToMicroseconds()
        before = self.catalogue.get(event.subject) or Entry(Event(), 0, time, time)
        assert event.version == before.version + 1, "a version was left out, or is there twice"
        assert content != before.content, "it was recorded, but was so already"
        self.catalogue[event.subject] = Entry(content, event.version, before.create_time, time)

    def _note_move(self, event: Event, key: Key, units: dict[str, int]) -> None:
        self.moves[event.position] = key, units
        if target := event.reverses:
            opposite = {state: -number for state, number in units.items()}
            assert self.moves[target] == (key, opposite), "not the opposite, or of another stock"
            assert target not in self.reversed, "an event was reversed twice"
            self.reversed.add(target)

    def _check_place(self, event: Event) -> None:
        last, self._last = self._last, event
        assert event.position == last.position + 1, "a position was left out, or is there twice"
        if event.command_position != event.position:
            for name in ("command_position", "request_id", "record_time", "reference"):
                assert getattr(event, name) == getattr(last, name), f"{name} within a command"
        assert event.record_time.ToMicroseconds() >= last.record_time.ToMicroseconds()
        self.position = event.position

    def _fold_promise(self, event: Event, fact: str, key: Key) -> None:
        content = getattr(event, fact)
        expire_time = None
        if fact in {"stock_reserved", "reservation_extended"} and content.HasField("expire_time"):
            expire_time = content.expire_time.ToMicroseconds()
        if fact == "stock_reserved":
            made = event.command_position, event.part
            promise = self.promises.setdefault(
                content.reservation_id,
                Promise(content.customer_id, content.order_id, expire_time, event.position, made),
            )
            assert promise.made == made, "it was made twice"
            assert key not in promise.parts, "a line is there twice"
            promise.parts[key] = Part(content.quantity, held=content.quantity)
            return
        promise, now = self.promises[content.reservation_id], event.record_time.ToMicroseconds()
        part = promise.parts[key]
        is_over = promise.expire_time is not None and promise.expire_time <= now
        assert is_over == (fact == "reservation_expired"), "a hold counts strictly before its time"
        if fact == "reservation_extended":
            assert content.quantity == part.held
            promise.expire_time = expire_time
            return
        how = fact.removeprefix("reservation_")
        part.held -= content.quantity
        setattr(part, how, getattr(part, how) + content.quantity)
        assert part.held >= 0, "more than was held"
        assert part.quantity == part.held + part.committed + part.released + part.expired
        assert not (how == "expired" and part.held), "expired in part"
        if how == "committed":
            promise.order_id = promise.order_id or content.order_id
        if not any(part.held for part in promise.parts.values()):
            promise.state = how


def _check_levels(event: Event, shelf: Shelf) -> None:
    assert shelf.on_hand == sum(shelf.units.values()), "the states are not all of it"
    assert shelf.reserved >= 0, "less than nothing reserved"
    after = event.after.on_hand, event.after.reserved
    assert after == (shelf.on_hand, shelf.reserved), "the levels are not what was folded"
    shown = [(each.state, each.units) for each in event.after.states]
    assert shown == shelf.states(), "the units by state are not what was folded"
    assert event.after.available == max(0, shelf.sellable - shelf.reserved)
    assert event.after.shortfall == max(0, shelf.reserved - shelf.sellable)


def _by_state(fact: str, content: Any, moved: int) -> list[tuple[str, int]]:  # noqa: ANN401  of that fact
    """Return how many units came into which state, or went out of it."""
    match fact:
        case "stock_moved":
            return [
                (content.from_state or SELLABLE, -moved),
                (content.to_state or SELLABLE, moved),
            ]
        case "stock_removed":
            return [(content.state or SELLABLE, -moved)]
        case "stock_added" | "stock_adjusted":
            return [(content.state or SELLABLE, moved)]
        case "reservation_committed":
            return [(SELLABLE, -moved)]
    return []
