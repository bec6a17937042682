"""Stories of a shop in which only stocks of known products and stores may get a history."""

from collections.abc import Sequence

import pytest

from inventory_grpc.application.ledger.needs import NotRead
from inventory_grpc.application.ledger.states import States
from inventory_grpc.application.ledger.workbook import Workbook
from inventory_grpc.application.outcomes import State
from inventory_grpc.domain.book import Command
from inventory_grpc.domain.catalogue import NotInCatalogue
from inventory_grpc.domain.event import Key
from inventory_grpc.domain.product import ProductChanged, ProductKey
from inventory_grpc.domain.refusals import InsufficientStock, ShortLine, VersionConflict
from inventory_grpc.domain.stock import Inventory, StockAdded
from inventory_grpc.domain.store import StoreChanged, StoreKind
from inventory_grpc.domain.values import ProductId, StoreId, UnitState
from tests.support.stories import Given, Happened, given
from tests.support.world import (
    KETTLE,
    KETTLES,
    LISBON,
    NOON,
    PORTO_KETTLES,
    TOASTERS,
    add,
    change_by,
    count,
    move,
    put,
    put_store,
    remove,
    reserve,
    stock,
)

PRODUCT = (KETTLE, ProductChanged(ProductId("kettle"), "", "", {}))
STORE = (LISBON, StoreChanged(StoreId("lisbon"), "", StoreKind.STORE, ()))
TOASTER = ProductKey(ProductId("toaster"))

BEGINNING: Sequence[Command] = (
    add(5),
    remove(5),
    change_by(5),
    change_by(-5),
    count(5, expected=0),
    add(5, expected=0),
    move(5, into=UnitState("damaged")),
    reserve(5),
)


def strict(*happened: Happened) -> Given:
    """Begin a story in a shop that requires a catalogue."""
    story = given(*happened)
    story.book.needs_catalogue = True
    return story


@pytest.mark.parametrize("command", BEGINNING, ids=str)
def test_a_stock_of_an_unknown_product_or_store_does_not_begin(command: Command) -> None:
    strict().when(command).then_refused(NotInCatalogue(KETTLE))
    strict(STORE).when(command).then_refused(NotInCatalogue(KETTLE))
    strict(PRODUCT).when(command).then_refused(NotInCatalogue(LISBON))


def test_a_stock_of_a_known_product_in_a_known_store_begins() -> None:
    strict(PRODUCT, STORE).when(add(5)).then_in(KETTLES, StockAdded(5))
    short = InsufficientStock([ShortLine(KETTLES, 5, 0)])
    strict(PRODUCT, STORE).when(reserve(5)).then_refused(short)


def test_in_an_open_shop_any_stock_begins() -> None:
    given().when(add(5)).then_in(KETTLES, StockAdded(5))


def test_a_stock_with_a_history_goes_on_without_a_catalogue() -> None:
    begun = strict(StockAdded(5))
    begun.when(remove(2)).then_in(KETTLES, remove(2).decide(begun.book)[0][1])
    assert len(reserve(2).decide(begun.book)) == 1


def test_a_wrong_version_is_told_first() -> None:
    conflict = VersionConflict(3, Inventory(KETTLES))
    strict().when(add(5, expected=3)).then_refused(conflict)
    other_units = VersionConflict(3, Inventory(KETTLES), "on_hand")
    strict().when(count(5, expected_on_hand=3)).then_refused(other_units)


def test_a_cart_names_the_first_that_is_unknown() -> None:
    cart = {KETTLES: 1, TOASTERS: 1, PORTO_KETTLES: 1}
    strict(StockAdded(5)).when(reserve(cart)).then_refused(NotInCatalogue(TOASTER))
    strict(PRODUCT, STORE).when(reserve(cart)).then_refused(NotInCatalogue(TOASTER))
    one = {PORTO_KETTLES: 1, TOASTERS: 1}
    porto = put_store("porto").key
    strict(PRODUCT, STORE).when(reserve(one)).then_refused(NotInCatalogue(porto))


def test_a_reservation_that_is_there_is_answered_again() -> None:
    story = strict(StockAdded(5))
    book = story.when(reserve(2)).then(reserve(2).decide(story.book)[0])
    assert reserve(2).decide(book) == []


def test_entries_of_the_catalogue_need_none() -> None:
    strict().when(put()).then(put().decide(strict().book)[0])
    strict().when(put_store()).then(put_store().decide(strict().book)[0])


def test_a_refusal_names_what_is_unknown() -> None:
    assert str(NotInCatalogue(KETTLE)) == "product/kettle is not in the catalogue"
    assert NotInCatalogue(KETTLE).facts() == {"product_id": "kettle"}
    assert NotInCatalogue(LISBON).facts() == {"store_id": "lisbon"}


def test_the_entries_of_a_cart_are_read_together_and_only_for_stocks_without_history() -> None:
    cart = {stock(f"p{number}", "lisbon"): 1 for number in range(9)}
    old = stock("p3", "lisbon")
    states: dict[Key, State] = {reserve(cart).reservation_id: None}
    states |= {stock_id: Inventory(stock_id, version=stock_id == old) for stock_id in cart}
    book = Workbook(0, NOON, States(), states, needs_catalogue=True)
    with pytest.raises(NotRead) as missing:
        reserve(cart).decide(book)
    assert [str(key) for key in missing.value.keys] == [
        *("p0", "lisbon", "p1", "p2", "p4", "p5", "p6", "p7", "p8")
    ]
    states = {reserve({old: 1}).reservation_id: None, old: Inventory(old, version=1)}
    with pytest.raises(InsufficientStock):
        reserve({old: 1}).decide(Workbook(0, NOON, States(), states, needs_catalogue=True))
