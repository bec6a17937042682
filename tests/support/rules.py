"""The rules that each fact follows, given its stock and its line of a reservation before it."""

from collections.abc import Callable
from typing import Any, Final

from inventory_grpc_protos.v1.events_pb2 import Event
from tests.support.shelf import SELLABLE, Part, Shelf, by_state

MAX_FENCES: Final = 20

Rule = Callable[[Any, Shelf, Part], None]


def check(event: Event, fact: str, shelf: Shelf, part: Part) -> None:
    """See that *event* may follow; *part* holds nothing where it is about no reservation.

    Raises:
        AssertionError: it may not.
    """
    content = getattr(event, fact)
    if rule := _RULES.get(fact):
        rule(content, shelf, part)
    moved = dict(by_state(fact, content)).get(SELLABLE, 0)
    amends = fact == "stock_reserved" and part.quantity
    if (moved < 0 or amends) and not event.part:
        assert not shelf.fills_due, "a promise lost goods that had come in for it"


def _added(content: Any, shelf: Shelf, _: Part) -> None:  # noqa: ANN401  as in `Rule`
    assert content.state or not shelf.is_retired, "more came in of what is retired"


def _removed(content: Any, shelf: Shelf, _: Part) -> None:  # noqa: ANN401
    if content.state:
        assert not content.channel
        return
    assert content.quantity <= shelf.free(content.channel), "units of others were removed"
    assert content.fenced == min(content.quantity, shelf.fences[content.channel])


def _reserved(content: Any, shelf: Shelf, _: Part) -> None:  # noqa: ANN401
    units, own = content.quantity, shelf.own(content.channel)
    assert content.backordered == max(0, units - own), "not what is beyond its own"
    assert content.backordered <= shelf.backorderable, "oversold"
    from_stock = units - content.backordered
    assert content.fenced == min(from_stock, shelf.fences[content.channel]), "the fence is first"


def _reacquired(content: Any, shelf: Shelf, part: Part) -> None:  # noqa: ANN401
    assert content.quantity <= part.expired, "it had not expired"
    assert content.quantity <= shelf.own(content.channel), "it was sold to somebody else"
    assert content.fenced == min(content.quantity, shelf.fences[content.channel])


def _committed(content: Any, shelf: Shelf, part: Part) -> None:  # noqa: ANN401
    assert content.quantity <= part.held - part.backordered, "it waits for goods"
    assert content.quantity <= shelf.sellable, "it is not there"
    assert content.fenced == min(content.quantity, part.fenced), "fenced units go first"


def _given_back(content: Any, _: Shelf, part: Part) -> None:  # noqa: ANN401
    units = content.quantity
    assert content.backordered == min(units, part.backordered), "what waits is given back first"
    rest = units - content.backordered
    assert content.fenced == max(0, rest - part.free), "what was fenced is given back last"


def _expired(content: Any, shelf: Shelf, part: Part) -> None:  # noqa: ANN401
    assert content.quantity == part.held, "expired in part"
    _given_back(content, shelf, part)


def _extended(content: Any, _: Shelf, part: Part) -> None:  # noqa: ANN401
    assert content.quantity == part.held


def _filled(content: Any, shelf: Shelf, part: Part) -> None:  # noqa: ANN401
    waiting = (line for line in shelf.lines.values() if line.backordered)
    assert part is next(waiting, None), "somebody else has waited for longer"
    assert 0 < content.quantity == min(part.backordered, shelf.fills_due)


def _fenced(content: Any, shelf: Shelf, _: Part) -> None:  # noqa: ANN401
    assert content.delta <= shelf.available, "more than nobody else has"
    assert shelf.fences[content.channel] + content.delta >= 0, "more than was left"


def _new_terms(content: Any, shelf: Shelf, _: Part) -> None:  # noqa: ANN401
    assert content != shelf.terms, "it was recorded, but was so already"


_RULES: Final[dict[str, Rule]] = {
    "stock_added": _added,
    "stock_removed": _removed,
    "stock_reserved": _reserved,
    "stock_fenced": _fenced,
    "stock_terms_changed": _new_terms,
    "reservation_committed": _committed,
    "reservation_reacquired": _reacquired,
    "reservation_released": _given_back,
    "reservation_expired": _expired,
    "reservation_extended": _extended,
    "backorder_filled": _filled,
}
