"""Stories of products of the catalogue."""

from inventory_grpc.domain.product import Product, ProductChanged
from inventory_grpc.domain.refusals import VersionConflict
from inventory_grpc.domain.values import ProductId
from tests.support.stories import MemoryBook, given
from tests.support.world import KETTLE, KETTLES, MINUTE, NOON, add, later, put

RED = {"colour": "red"}
PUT = ProductChanged(ProductId("kettle"), "K-1", "Kettle", {})


def test_what_is_put_first_makes_the_product() -> None:
    book = (
        given()
        .when(put(attributes=RED))
        .then((KETTLE, ProductChanged(ProductId("kettle"), "K-1", "Kettle", RED)))
    )
    assert book.get(KETTLE) == Product(KETTLE, "K-1", "Kettle", RED, 1, NOON, NOON)


def test_an_empty_product_can_be_put_and_is_there_then() -> None:
    nothing = put(sku="", name="")
    book = given().when(nothing).then((KETTLE, ProductChanged(ProductId("kettle"), "", "", {})))
    given((KETTLE, ProductChanged(ProductId("kettle"), "", "", {}))).when(nothing).then()
    assert book.get(KETTLE).version == 1


def test_all_of_the_content_is_replaced() -> None:
    before = given((KETTLE, ProductChanged(ProductId("kettle"), "K-1", "Kettle", RED)))
    changed = ProductChanged(ProductId("kettle"), "", "Red kettle", {})
    command = put(sku="", name="Red kettle")
    book = before.when(command, at=later(MINUTE)).then((KETTLE, changed))
    shown = Product(KETTLE, "", "Red kettle", {}, 2, NOON, later(MINUTE))
    assert book.get(KETTLE) == shown


def test_what_is_so_is_not_recorded_again() -> None:
    given((KETTLE, PUT)).when(put()).then()
    given((KETTLE, PUT)).when(put(expected=1)).then()


def test_any_difference_is_recorded() -> None:
    for command in (put(sku="K-2"), put(name="K"), put(attributes=RED)):
        book = given((KETTLE, PUT)).when(command)
        assert len(book.command.decide(book.book)) == 1


def test_the_version_is_compared_even_where_nothing_changes() -> None:
    at_one = Product(KETTLE, "K-1", "Kettle", {}, 1, NOON, NOON)
    given((KETTLE, PUT)).when(put(expected=0)).then_refused(VersionConflict(0, at_one))
    given((KETTLE, PUT)).when(put(name="K", expected=2)).then_refused(VersionConflict(2, at_one))
    given().when(put(expected=1)).then_refused(VersionConflict(1, Product(KETTLE)))
    given().when(put(expected=0)).then((KETTLE, PUT))


def test_a_stock_needs_no_product_and_changes_none() -> None:
    book: MemoryBook = given((KETTLE, PUT)).book
    book.record((KETTLES, add(5).decide(book)[0][1]))
    assert book.get(KETTLE).version == 1
