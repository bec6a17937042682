"""Stories of products and stores that are retired, and of what their stocks may still do."""

from typing import Final

import pytest

from inventory_grpc.domain.book import Command
from inventory_grpc.domain.catalogue import Retired
from inventory_grpc.domain.product import Product, ProductChanged, RetireProduct
from inventory_grpc.domain.refusals import SubjectNotFound, VersionConflict
from inventory_grpc.domain.stock import StockAdded, StockAdjusted, StockRemoved, StockTermsChanged
from inventory_grpc.domain.store import RetireStore, StoreChanged, StoreKind
from inventory_grpc.domain.values import EntryState, ProductId, StoreId
from tests.support.stories import given
from tests.support.world import (
    KETTLE,
    LISBON,
    NOON,
    RETURNED,
    add,
    change_by,
    fence,
    put,
    put_store,
    remove,
    reserve,
)

ACTIVE: Final = ProductChanged(ProductId("kettle"), "K-1", "Kettle", {})
RETIRED: Final = ProductChanged(ProductId("kettle"), "K-1", "Kettle", {}, EntryState.RETIRED)
STORE: Final = StoreChanged(StoreId("lisbon"), "Lisbon", StoreKind.STORE, ("coast",))
CLOSED: Final = StoreChanged(
    StoreId("lisbon"), "Lisbon", StoreKind.STORE, ("coast",), EntryState.RETIRED
)
NO_KETTLES: Final = StockTermsChanged(0, 0, None, 0, product_retired=True, store_retired=False)
NO_LISBON: Final = StockTermsChanged(0, 0, None, 0, product_retired=False, store_retired=True)


def retire(*, restore: bool = False, expected: int | None = None) -> RetireProduct:
    return RetireProduct(ProductId("kettle"), restore, expected)


def close(*, restore: bool = False) -> RetireStore:
    return RetireStore(StoreId("lisbon"), restore)


def test_a_product_and_a_store_keep_their_content() -> None:
    given((KETTLE, ACTIVE)).when(retire()).then((KETTLE, RETIRED))
    given((KETTLE, RETIRED)).when(retire(restore=True)).then((KETTLE, ACTIVE))
    given((LISBON, STORE)).when(close()).then((LISBON, CLOSED))
    given((LISBON, CLOSED)).when(close(restore=True)).then((LISBON, STORE))


def test_what_is_so_is_not_recorded_again() -> None:
    given((KETTLE, RETIRED)).when(retire(expected=1)).then()
    given((KETTLE, ACTIVE)).when(retire(restore=True)).then()
    given((LISBON, CLOSED)).when(close()).then()


def test_an_import_does_not_bring_back_what_was_retired() -> None:
    again = ProductChanged(ProductId("kettle"), "K-2", "Kettle", {}, EntryState.RETIRED)
    given((KETTLE, RETIRED)).when(put(sku="K-2")).then((KETTLE, again))
    given((KETTLE, RETIRED)).when(put()).then()
    given((LISBON, CLOSED)).when(put_store(groups=["coast"])).then()


def test_an_unknown_one_or_another_version_is_refused() -> None:
    given().when(retire(expected=3)).then_refused(SubjectNotFound(KETTLE))
    given().when(close()).then_refused(SubjectNotFound(LISBON))
    found = Product(KETTLE, "K-1", "Kettle", {}, 1, NOON, NOON)
    given((KETTLE, ACTIVE)).when(retire(expected=3)).then_refused(VersionConflict(3, found))


@pytest.mark.parametrize("command", [add(1), reserve(1), fence(1)], ids=str)
def test_nothing_new_comes_in_or_is_promised(command: Command) -> None:
    before = StockAdded(5)
    given(before, NO_KETTLES).when(command).then_refused(Retired(KETTLE))
    given(before, NO_LISBON).when(command).then_refused(Retired(LISBON))


def test_what_is_there_can_leave_and_what_customers_return_comes_in() -> None:
    given(StockAdded(5), NO_KETTLES).when(remove(5)).then(StockRemoved(5))
    returned = add(1, state=RETURNED)
    given(StockAdded(5), NO_KETTLES).when(returned).then(StockAdded(1, RETURNED))
    given(StockAdded(5), NO_KETTLES).when(change_by(2)).then(StockAdjusted(2, None))
