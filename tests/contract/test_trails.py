"""Contract of stores on the events at positions, and what bears on their reversal."""

from collections.abc import Sequence

from inventory_grpc.domain.event import Event
from inventory_grpc.domain.reversal import Correction, Trail
from inventory_grpc.domain.values import EventAt
from tests.support.scribe import Scribe, events_of
from tests.support.stores import Store
from tests.support.world import KETTLES, PORTO_KETTLES, add, count, remove, reverse


async def trails(store: Store, *positions: int) -> list[Trail | None]:
    keys = [EventAt(position) for position in positions]
    found = await store.storage.observe(lambda transaction: transaction.trails(keys))
    assert list(found) == keys
    return [*found.values()]


async def test_where_no_event_is_there_is_no_trail(store: Store) -> None:
    assert await trails(store, 1, 2**62) == [None, None]
    await Scribe(store).record(add(5))
    [there, missing] = await trails(store, 1, 2)
    assert (there, missing) == (Trail((await events_of(store))[0], 0, ()), None)


async def test_a_trail_has_the_later_counts_and_reversals_of_its_stock(store: Store) -> None:
    await Scribe(store).record(
        add(5),
        count(4),
        add(2, PORTO_KETTLES),
        count(3, PORTO_KETTLES),
        remove(1),
        reverse(5),
        count(9),
    )
    events: Sequence[Event] = await events_of(store)
    [added, counted, removed, reversal, last] = await trails(store, 1, 2, 5, 6, 7)
    assert added == Trail(events[0], 0, (Correction(7, 0), Correction(6, 5), Correction(2, 0)))
    assert counted == Trail(events[1], 0, (Correction(7, 0), Correction(6, 5)))
    assert removed == Trail(events[4], 6, (Correction(7, 0), Correction(6, 5)))
    assert reversal == Trail(events[5], 0, (Correction(7, 0),))
    assert last == Trail(events[6], 0, ())
    assert {event.key for event in events} == {KETTLES, PORTO_KETTLES}


async def test_a_reversal_says_in_the_log_what_it_reverses(store: Store) -> None:
    await Scribe(store).record(add(5), add(3), reverse(1), reverse(3))
    events = await events_of(store)
    assert [event.fact.reverses for event in events] == [0, 0, 1, 3]
    assert [event.after.on_hand for event in events] == [5, 8, 3, 8]
