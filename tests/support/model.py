"""An independent model of the inventory, folded from the bytes of the log alone.

It shares no code with the service but the contract. It folds what followers receive,
and checks at every event the invariants that must hold at every moment.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from google.protobuf.message import Message

from inventory_grpc_protos.v1.catalogue_pb2 import ENTRY_STATE_RETIRED
from inventory_grpc_protos.v1.events_pb2 import Event, ReservationExpired, StockTermsChanged
from inventory_grpc_protos.v1.policies_pb2 import Policy
from tests.support.rules import check
from tests.support.shelf import SELLABLE, Part, Shelf, by_state

__all__ = ["SELLABLE", "Entry", "Key", "Model", "Part", "Promise", "Shelf"]

Key = tuple[str, str]

OF_THE_SERVER: Final = {"backorder_filled", "reservation_expired"}
"""Facts of commands of the server's own."""

MAY_COME_BEFORE_TERMS: Final = {"reservation_expired"}
"""Facts that are the same by any terms."""


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
    channel: str = field(default="", repr=False)

    def is_held(self) -> bool:
        return any(part.held for part in self.parts.values())


@dataclass
class Entry:
    """The content of a product or store of the catalogue, with its version and times."""

    content: Message
    version: int
    create_time: int
    update_time: int


class Model:
    """Everything as it is after the events that were folded into it."""

    def __init__(self, events: Iterable[bytes] = (), *, silent: int = 0) -> None:
        """Fold *events*, of which the first *silent* ones are from before there were alerts."""
        self.position = 0
        self.shelves: dict[Key, Shelf] = {}
        self.promises: dict[str, Promise] = {}
        self.moves: dict[int, tuple[Key, dict[str, int]]] = {}
        """The events that can be reversed, by position: their stocks and what they moved."""
        self.reversed: set[int] = set()
        self.catalogue: dict[str, Entry] = {}
        """By subject, such as `product/kettle`."""
        self.policies: dict[Key, Policy] = {}
        """By product and store; either may be empty, and is then any."""
        self.retired: set[str] = set()
        """The subjects of retired products and stores."""
        self.has_terms = False
        self._silent = silent
        self._last = Event()
        for data in events:
            self.fold(Event.FromString(data))

    def fold(self, event: Event) -> None:
        """Take in the next event, and check it.

        Raises:
            AssertionError: what is promised does not hold.
        """
        self._check_place(event)
        fact = event.WhichOneof("fact") or ""
        content = getattr(event, fact)
        if not event.product_id:
            self._fold_entry(event, content)
            return
        if fact in OF_THE_SERVER:
            assert not any((event.request_id, event.actor, event.reason, event.part))
        key = event.product_id, event.store_id
        shelf, part = self.shelves.setdefault(key, Shelf()), Part()
        promise = (
            self._promise(event, fact, content) if hasattr(content, "reservation_id") else None
        )
        if promise:
            part = promise.parts.get(key, part)
        if fact not in MAY_COME_BEFORE_TERMS:
            terms = content if fact == "stock_terms_changed" else shelf.terms
            assert terms == self.in_force(key, terms), "a policy was another one by then"
        check(event, fact, shelf, part)
        before = shelf.shown()
        shelf.move(fact, content)
        shelf.version += 1
        shelf.update_time = event.record_time.ToMicroseconds()
        if promise:
            self._fold_promise(event, fact, promise)
        elif fact != "stock_terms_changed":
            self._note_move(event, key, _moved(fact, content))
        shelf.check()
        assert event.version == shelf.version, "a version was left out, or is there twice"
        alerts = shelf.alerts()
        assert list(event.alerts) == (alerts if event.position > self._silent else [])
        assert event.after == shelf.shown(), "the levels are not what was folded"
        if fact == "backorder_filled":
            assert event.after == before, "a fill changed a level"

    def in_force(self, key: Key, recorded: StockTermsChanged) -> StockTermsChanged:
        """Return the terms of a stock by policies and the catalogue.

        As long as no terms were set there, they are those *recorded*.
        """
        if not self.has_terms:
            return recorded
        product_id, store_id = key
        scopes = [key, ("", store_id), (product_id, ""), ("", "")]
        terms = StockTermsChanged()
        for scope in reversed(scopes):
            for term, value in self.policies.get(scope, Policy()).ListFields():
                setattr(terms, term.name, value)
        terms.product_retired = f"product/{product_id}" in self.retired
        terms.store_retired = f"store/{store_id}" in self.retired
        return terms

    def _fold_entry(self, event: Event, content: Any) -> None:  # noqa: ANN401  of the fact
        assert (event.product_id, event.store_id) == ("", "")
        assert not event.HasField("after")
        time = event.record_time.ToMicroseconds()
        before = self.catalogue.get(event.subject) or Entry(Event(), 0, time, time)
        assert event.version == before.version + 1, "a version was left out, or is there twice"
        assert content != before.content, "it was recorded, but was so already"
        if event.WhichOneof("fact") == "policy_changed":
            self.policies[content.product_id, content.store_id] = content.policy
        elif content.state == ENTRY_STATE_RETIRED:
            self.retired.add(event.subject)
        else:
            self.retired.discard(event.subject)
        self.has_terms = self.has_terms or bool(self.policies or self.retired)
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

    def _promise(self, event: Event, fact: str, content: Any) -> Promise:  # noqa: ANN401  of that fact
        """Return the promise that *fact* is about; it may be made or amended by it."""
        name, now = content.reservation_id, event.record_time.ToMicroseconds()
        made = event.command_position, event.part
        if fact == "stock_reserved" and name not in self.promises:
            about = content.customer_id, content.order_id, _expire_time(content)
            self.promises[name] = Promise(*about, event.position, made, channel=content.channel)
        promise = self.promises[name]
        is_over = promise.expire_time is not None and promise.expire_time <= now
        if fact not in {"reservation_reacquired", "backorder_filled"}:
            assert is_over == (fact == "reservation_expired"), (
                "a hold counts strictly before its time"
            )
        if fact == "stock_reserved":
            same = content.customer_id, content.channel, _expire_time(content)
            assert same == (promise.customer_id, promise.channel, promise.expire_time)
            is_new = promise.made == made
            assert is_new or promise.is_held(), "nothing was left to amend"
            assert not (is_new and _key(event) in promise.parts), "a line is there twice"
        elif fact == "reservation_reacquired":
            assert not promise.is_held(), "it still held units"
        if hasattr(content, "channel"):
            assert content.channel == promise.channel
        return promise

    def _fold_promise(self, event: Event, fact: str, promise: Promise) -> None:
        content, key = getattr(event, fact), _key(event)
        part = (
            promise.parts.setdefault(key, Part())
            if fact == "stock_reserved"
            else promise.parts[key]
        )
        self._fold_part(self.shelves[key], part, promise.channel, fact, content)
        match fact:
            case "reservation_extended":
                promise.expire_time = _expire_time(content)
            case "reservation_committed" | "reservation_reacquired":
                promise.order_id = promise.order_id or content.order_id
        if fact in ENDS and not promise.is_held():
            promise.state = ENDS[fact]

    def _fold_part(
        self,
        shelf: Shelf,
        part: Part,
        channel: str,
        fact: str,
        content: Any,  # noqa: ANN401
    ) -> None:
        held, waiting, fenced = part.held, part.backordered, part.fenced
        part.move(fact, content)
        part.check()
        shelf.held += part.held - held
        shelf.held_waiting += part.backordered - waiting
        shelf.held_fenced[channel] += part.fenced - fenced
        name = content.reservation_id
        if fact == "stock_reserved" or not part.held:
            shelf.lines.pop(name, None)
        if fact == "stock_reserved":
            shelf.lines[name] = part  # the youngest one


ENDS: Final = {
    "reservation_committed": "committed",
    "reservation_reacquired": "committed",
    "reservation_released": "released",
    "reservation_expired": "expired",
}


def _key(event: Event) -> Key:
    return event.product_id, event.store_id


def _expire_time(content: Any) -> int | None:  # noqa: ANN401  of a fact that has one
    return content.expire_time.ToMicroseconds() if content.HasField("expire_time") else None


def _moved(fact: str, content: Any) -> dict[str, int]:  # noqa: ANN401  of that fact
    """Return what can be reversed: units by state, or those of a fence."""
    if fact == "stock_fenced":
        return {f"fence of {content.channel}": content.delta}
    return dict(by_state(fact, content))


def without_overdue(model: Model, key: Key, now: int) -> Shelf:
    """Return a stock at a time, in microseconds, as if every expiry by then were recorded."""
    shelf = model.shelves.get(key, Shelf()).copy()
    for promise in model.promises.values():
        part = promise.parts.get(key)
        if part and part.held and promise.expire_time is not None and promise.expire_time <= now:
            fact = ReservationExpired(
                quantity=part.held,
                backordered=part.backordered,
                channel=promise.channel,
                fenced=part.fenced,
            )
            shelf.move("reservation_expired", fact)
    return shelf
