"""Stories of stores of the catalogue."""

from inventory_grpc.domain.refusals import VersionConflict
from inventory_grpc.domain.store import Store, StoreChanged, StoreKind
from inventory_grpc.domain.values import StoreId
from tests.support.stories import given
from tests.support.world import LISBON, MINUTE, NOON, later, put_store

PUT = StoreChanged(StoreId("lisbon"), "Lisbon", StoreKind.STORE, ("coast",))


def test_what_is_put_first_makes_the_store() -> None:
    book = given().when(put_store(groups=["coast"])).then((LISBON, PUT))
    assert book.get(LISBON) == Store(LISBON, "Lisbon", StoreKind.STORE, ("coast",), 1, NOON, NOON)


def test_all_of_the_content_is_replaced() -> None:
    command = put_store(name="", kind=StoreKind.WAREHOUSE)
    changed = StoreChanged(StoreId("lisbon"), "", StoreKind.WAREHOUSE, ())
    book = given((LISBON, PUT)).when(command, at=later(MINUTE)).then((LISBON, changed))
    shown = Store(LISBON, "", StoreKind.WAREHOUSE, (), 2, NOON, later(MINUTE))
    assert book.get(LISBON) == shown


def test_what_is_so_is_not_recorded_again() -> None:
    given((LISBON, PUT)).when(put_store(groups=["coast"], expected=1)).then()


def test_a_store_like_one_that_was_never_put_is_made_all_the_same() -> None:
    unnamed = put_store(name="")
    fact = StoreChanged(StoreId("lisbon"), "", StoreKind.STORE, ())
    given().when(unnamed).then((LISBON, fact))
    given((LISBON, fact)).when(unnamed).then()


def test_any_difference_is_recorded() -> None:
    for command in (
        put_store(name="L", groups=["coast"]),
        put_store(kind=StoreKind.VIRTUAL, groups=["coast"]),
        put_store(groups=["coast", "north"]),
        put_store(),
    ):
        story = given((LISBON, PUT)).when(command)
        assert len(story.command.decide(story.book)) == 1


def test_the_version_is_compared_even_where_nothing_changes() -> None:
    at_one = Store(LISBON, "Lisbon", StoreKind.STORE, ("coast",), 1, NOON, NOON)
    same = put_store(groups=["coast"], expected=0)
    given((LISBON, PUT)).when(same).then_refused(VersionConflict(0, at_one))
    given().when(put_store(expected=1)).then_refused(VersionConflict(1, Store(LISBON)))
