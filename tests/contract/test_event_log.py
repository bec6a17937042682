"""Contract of stores on reading the log: whole commands, in order, with honest progress."""

from collections.abc import Iterable

import pytest

from inventory_grpc.application.queries.events import EventFilter
from inventory_grpc.domain.alerts import Alert
from inventory_grpc.domain.policy import PolicyScope
from inventory_grpc.domain.product import ProductKey
from inventory_grpc.domain.values import Instant, ProductId
from inventory_grpc.infrastructure.log import ids
from inventory_grpc.infrastructure.rows import bounds
from inventory_grpc.infrastructure.sqlite.back_links import INDEXED_EVERY
from inventory_grpc_protos.v1.events_pb2 import Event
from tests.support.memory import store as memory_store
from tests.support.scribe import EVERYTHING, Scribe, events_of, log_of
from tests.support.stores import Store
from tests.support.world import (
    KETTLE,
    KETTLES,
    LISBON,
    MINUTE,
    NOON,
    PORTO_KETTLES,
    TOASTERS,
    add,
    change_by,
    count,
    later,
    policy,
    put,
    put_store,
    release,
    reserve,
)

PLENTY = 1_000_000
TOASTER = ProductKey(ProductId("toaster"))
TOASTER_POLICY = PolicyScope.of("toaster", None)
NO_PRODUCT = ProductKey(ProductId("toast"))
ENDS = (0, 1, 2, 4, 5, 8, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19)
"""The last positions of the commands of the history below."""

FILTERS = {
    "everything": EVERYTHING,
    "a type": EventFilter(event_types=frozenset({"StockReserved"})),
    "types": EventFilter(event_types=frozenset({"StockAdded", "ReservationReleased"})),
    "a product": EventFilter(product_ids=frozenset({"toaster"})),
    "a store": EventFilter(store_ids=frozenset({"porto"})),
    "stores": EventFilter(store_ids=frozenset({"porto", "lisbon"})),
    "a reservation": EventFilter(reservation_ids=frozenset({"r2"})),
    "a product in reservations": EventFilter(
        reservation_ids=frozenset({"r1", "r2"}), product_ids=frozenset({"kettle"})
    ),
    "one line": EventFilter(
        frozenset({"StockReserved"}), frozenset({"kettle"}), frozenset({"porto"})
    ),
    "no product": EventFilter(product_ids=frozenset({"nobody-has-it"})),
    "no reservation": EventFilter(reservation_ids=frozenset({"nobody-made-it"})),
    "no such fact yet": EventFilter(event_types=frozenset({"StockRemoved"})),
    "a subject": EventFilter(subjects=frozenset({KETTLE})),
    "subjects": EventFilter(subjects=frozenset({KETTLE, TOASTER, LISBON, NO_PRODUCT})),
    "a policy": EventFilter(subjects=frozenset({TOASTER_POLICY})),
    "a policy and a product": EventFilter(subjects=frozenset({TOASTER_POLICY, KETTLE})),
    "a policy in a store": EventFilter(
        subjects=frozenset({TOASTER_POLICY}), store_ids=frozenset({"lisbon"})
    ),
    "a policy of no stock": EventFilter(
        subjects=frozenset({TOASTER_POLICY}), product_ids=frozenset({"kettle"})
    ),
    "an alert of a policy": EventFilter(
        subjects=frozenset({TOASTER_POLICY}), alerts=frozenset({Alert.BACK_IN_STOCK})
    ),
    "what a store sees of a policy": EventFilter(
        subjects=frozenset({TOASTER_POLICY}), stores=frozenset({"porto"})
    ),
    "a store itself": EventFilter(subjects=frozenset({LISBON})),
    "no subject": EventFilter(subjects=frozenset({NO_PRODUCT})),
    "a subject that is no stock": EventFilter(
        subjects=frozenset({KETTLE}), product_ids=frozenset({"kettle"})
    ),
    "a type of a subject": EventFilter(frozenset({"ProductChanged"}), subjects=frozenset({KETTLE})),
    "an alert": EventFilter(alerts=frozenset({Alert.BACK_IN_STOCK})),
    "alerts": EventFilter(alerts=frozenset({Alert.OUT_OF_STOCK, Alert.BACK_IN_STOCK})),
    "an alert that was not": EventFilter(alerts=frozenset({Alert.PROMISES_SAFE})),
    "an alert of a product": EventFilter(
        product_ids=frozenset({"kettle"}), alerts=frozenset({Alert.BACK_IN_STOCK})
    ),
    "an alert of a fact": EventFilter(
        frozenset({"StockAdjusted"}), alerts=frozenset({Alert.OUT_OF_STOCK, Alert.STOCK_LOW})
    ),
    "an alert of a reservation": EventFilter(
        reservation_ids=frozenset({"r2"}), alerts=frozenset({Alert.OUT_OF_STOCK})
    ),
    "an alert that a store sees": EventFilter(
        alerts=frozenset({Alert.BACK_IN_STOCK}), stores=frozenset({"porto"})
    ),
    "what a store sees": EventFilter(stores=frozenset({"lisbon", "faro"})),
    "what no store sees": EventFilter(stores=frozenset()),
    "what a store sees of a store": EventFilter(
        store_ids=frozenset({"lisbon"}), stores=frozenset({"lisbon", "faro"})
    ),
    "what a store sees of a product": EventFilter(
        product_ids=frozenset({"kettle"}), stores=frozenset({"porto"})
    ),
    "what a store sees of a reservation": EventFilter(
        reservation_ids=frozenset({"r2"}), stores=frozenset({"porto"})
    ),
    "what a store sees of a subject": EventFilter(
        subjects=frozenset({TOASTER}), stores=frozenset({"porto"})
    ),
}


@pytest.fixture
async def log(store: Store) -> list[Event]:
    """Fourteen commands, of up to three events each, and one step of the server itself."""
    scribe = Scribe(store)
    await scribe.record(
        add(10),
        add(10, TOASTERS),
        reserve({KETTLES: 2, TOASTERS: 1}, "r1"),
        add(10, PORTO_KETTLES),
        reserve({KETTLES: 1, PORTO_KETTLES: 1, TOASTERS: 1}, "r2"),
        release(name="r1"),
        count(10, expected=4),
        change_by(-9),
        put("kettle"),
        put("toaster"),
        put_store("lisbon"),
        put_store("porto"),
        policy("toaster", safety_stock=1),
        policy("kettle", "faro", safety_stock=1),
    )
    await scribe.walk()
    return [Event.FromString(data) for data in await log_of(store)]


def matches(event: Event, matching: EventFilter) -> bool:
    """Say what a filter means once more, in the words of the contract."""
    fact = event.WhichOneof("fact")
    assert fact
    name = "".join(word.capitalize() for word in fact.split("_"))
    reservation_id = getattr(getattr(event, fact), "reservation_id", None)
    return (
        (not matching.event_types or name in matching.event_types)
        and (not matching.product_ids or event.product_id in matching.product_ids)
        and (not matching.store_ids or event.store_id in matching.store_ids)
        and (not matching.reservation_ids or reservation_id in matching.reservation_ids)
        and (not matching.subjects or event.subject in {key.subject for key in matching.subjects})
        and (not matching.alerts or bool({*event.alerts} & {a.value for a in matching.alerts}))
        and (
            matching.stores is None
            or event.store_id in matching.stores
            or (not event.store_id and event.subject.startswith("product/"))
            or (not event.store_id and event.subject.endswith("@"))
            or (not event.store_id and event.subject.partition("@")[2] in matching.stores)
            or event.subject in {f"store/{store_id}" for store_id in matching.stores}
        )
    )


def positions(stored: Iterable[bytes]) -> list[int]:
    return [Event.FromString(data).position for data in stored]


def test_the_history_is_what_the_tests_below_think(log: list[Event]) -> None:
    firsts = {event.command_position for event in log}
    assert firsts == {end + 1 for end in ENDS[:-1]}
    assert [event.position for event in log] == list(range(1, ENDS[-1] + 1))


async def test_what_is_stored_is_what_was_recorded(store: Store, log: list[Event]) -> None:
    assert (await store.event_log.head()) == len(log)
    for event, recorded in zip(log, await events_of(store), strict=True):
        assert event.event_id == f"{store.event_log.log_id}-{event.position}"
        assert event.version == recorded.version
        names = event.product_id, event.store_id
        assert recorded.key == (names if event.product_id else ids.key_of(event.subject))


async def test_a_page_of_everything_is_the_log(store: Store, log: list[Event]) -> None:
    page = await store.event_log.page(0, len(log), EVERYTHING, PLENTY, PLENTY)
    assert list(page.events) == await log_of(store)
    assert page.scanned == len(log)


async def test_a_page_of_an_empty_log_is_empty(store: Store) -> None:
    page = await store.event_log.page(0, 0, EVERYTHING, PLENTY, PLENTY)
    assert (list(page.events), page.scanned) == ([], 0)


async def test_pages_hold_whole_commands_and_leave_nothing_out(
    store: Store, log: list[Event]
) -> None:
    for name, matching in FILTERS.items():
        wanted = [event.position for event in log if matches(event, matching)]
        for limit in (1, 2, 3, 4, 100):
            at, seen = 0, list[int]()
            while at < len(log):
                page = await store.event_log.page(at, len(log), matching, limit, PLENTY)
                assert at < page.scanned <= len(log)
                assert page.scanned in ENDS, f"{name}: a command was cut in two"
                taken = positions(page.events)
                assert all(at < position <= page.scanned for position in taken)
                commands = [log[position - 1].command_position for position in taken]
                assert not taken or len(taken) - commands.count(commands[-1]) < limit
                seen += taken
                at = page.scanned
            assert seen == wanted, name


async def test_progress_is_told_also_where_nothing_matches(store: Store, log: list[Event]) -> None:
    for name, matching in FILTERS.items():
        page = await store.event_log.page(0, len(log), matching, PLENTY, PLENTY)
        assert page.scanned == len(log), name


async def test_a_page_stops_taking_more_when_it_is_long_enough(
    store: Store, log: list[Event]
) -> None:
    sizes = [len(data) for data in await log_of(store)]
    page = await store.event_log.page(0, len(log), EVERYTHING, PLENTY, 1)
    assert positions(page.events) == [1]
    page = await store.event_log.page(2, len(log), EVERYTHING, PLENTY, 1)
    assert positions(page.events) == [3, 4], "one command, whole, however long it is"
    page = await store.event_log.page(0, len(log), EVERYTHING, PLENTY, sum(sizes[:4]))
    assert page.scanned in {2, 4}
    page = await store.event_log.page(0, len(log), EVERYTHING, PLENTY, sum(sizes))
    assert sum(map(len, page.events)) <= sum(sizes)


async def test_the_end_is_lowered_to_where_a_command_ends(store: Store, log: list[Event]) -> None:
    for upto in range(len(log) + 1):
        page = await store.event_log.page(0, upto, EVERYTHING, PLENTY, PLENTY)
        assert page.scanned == max(end for end in ENDS if end <= upto)
        assert positions(page.events) == list(range(1, page.scanned + 1))


async def test_no_progress_is_told_beyond_the_log(store: Store, log: list[Event]) -> None:
    page = await store.event_log.page(0, len(log) + 50, EVERYTHING, PLENTY, PLENTY)
    assert page.scanned in ENDS


async def test_a_reader_may_go_on_from_anywhere(store: Store, log: list[Event]) -> None:
    for after in range(len(log) + 1):
        page = await store.event_log.page(after, len(log), EVERYTHING, PLENTY, PLENTY)
        assert positions(page.events) == list(range(after + 1, len(log) + 1))
        assert page.scanned == len(log)


async def test_progress_never_goes_back(store: Store, log: list[Event]) -> None:
    page = await store.event_log.page(6, 7, EVERYTHING, PLENTY, PLENTY)
    assert (list(page.events), page.scanned) == ([], 6)
    page = await store.event_log.page(len(log), len(log), EVERYTHING, PLENTY, PLENTY)
    assert (list(page.events), page.scanned) == ([], len(log))


async def test_events_are_listed_strictly_between_two_positions_in_both_directions(
    store: Store, log: list[Event]
) -> None:
    stored = await log_of(store)
    for name, matching in FILTERS.items():
        wanted = [event.position for event in log if matches(event, matching)]
        for after, before in ((0, 100), (0, 1), (2, 6), (3, 5), (5, 6), (11, 12), (7, 3), (15, 17)):
            rows = [(p, stored[p - 1]) for p in wanted if after < p < before]
            for limit in (1, 2, 100):
                oldest = await store.event_log.search(
                    matching, after, before, limit, newest_first=False
                )
                assert list(oldest.rows) == rows[:limit], name
                newest = await store.event_log.search(
                    matching, after, before, limit, newest_first=True
                )
                assert list(newest.rows) == rows[::-1][:limit], name
                for found in (oldest, newest):
                    assert found.done == (len(rows) < limit), name


@pytest.fixture
def short_steps(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(bounds, "EVENTS_SCANNED", 2)
    monkeypatch.setattr(memory_store, "MAX_SCANNED", 2)
    return 2


@pytest.mark.parametrize("newest_first", [False, True], ids=["oldest first", "newest first"])
async def test_a_search_in_short_steps_finds_all_and_says_how_far_it_looked(
    store: Store, log: list[Event], short_steps: int, *, newest_first: bool
) -> None:
    stored = await log_of(store)
    for name, matching in FILTERS.items():
        wanted = [(e.position, stored[e.position - 1]) for e in log if matches(e, matching)]
        after, before, steps = 0, len(log) + 1, 0
        seen, done = list[tuple[int, bytes]](), False
        while not done:
            found = await store.event_log.search(
                matching, after, before, 30, newest_first=newest_first
            )
            # every stock and every reservation is looked through for one event at least, and
            # every stock in SQLite for those between two that are in the index
            assert len(found.rows) <= max(7, short_steps + 2 * INDEXED_EVERY)
            assert after < found.searched < before or found == ([], 0, True)
            if newest_first:
                passed = [row for row in wanted[::-1] if found.searched <= row[0] < before]
                before = found.searched
            else:
                passed = [row for row in wanted if after < row[0] <= found.searched]
                after = found.searched
            assert list(found.rows) == passed, name
            seen, done, steps = seen + passed, found.done, steps + 1
        assert seen == (wanted[::-1] if newest_first else wanted), name
        assert steps == 10 or name != "everything"


async def test_where_there_is_nothing_to_look_at_a_search_is_over(store: Store) -> None:
    for newest_first in (False, True):
        found = await store.event_log.search(EVERYTHING, 0, 9, 10, newest_first=newest_first)
        assert found == ([], 0, True)


async def test_more_stocks_than_are_looked_up_one_by_one_are_found_by_walking(
    store: Store, log: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "EVENT_SOURCES", 1)
    await test_events_are_listed_strictly_between_two_positions_in_both_directions(store, log)


async def test_the_position_before_a_time_is_of_the_last_event_recorded_before_it(
    store: Store,
) -> None:
    log, scribe = store.event_log, Scribe(store)
    assert await log.position_before(NOON) == 0
    await scribe.record(add(1), add(1))
    scribe.clock.go_on(MINUTE)
    await scribe.record(add(1))
    assert await log.position_before(Instant(0)) == 0
    assert await log.position_before(NOON) == 0
    assert await log.position_before(Instant(NOON + 1)) == 2
    assert await log.position_before(later(MINUTE)) == 2
    assert await log.position_before(Instant(later(MINUTE) + 1)) == 3
    assert await log.position_before(later(100 * MINUTE)) == 3
