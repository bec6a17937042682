"""Contract of stores on stocks with many events, of which SQLite has only some in its index."""

import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from inventory_grpc.application.queries.at_risk import AtRiskQuery
from inventory_grpc.application.queries.events import EventFilter, find_page
from inventory_grpc.application.queries.reservation import ReservationQuery
from inventory_grpc.domain.book import Command, apply_event
from inventory_grpc.domain.event import Event
from inventory_grpc.domain.levels import Levels
from inventory_grpc.domain.reservation_facts import StockReserved
from inventory_grpc.domain.stock import Inventory, StockAdded
from inventory_grpc.domain.values import ReservationId, StockId
from inventory_grpc.infrastructure.rows import bounds
from inventory_grpc.infrastructure.sqlite.back_links import INDEXED_EVERY
from tests.support.history import appending, event_of
from tests.support.scribe import Scribe, events_of
from tests.support.stores import Store
from tests.support.world import KETTLES, PORTO_KETTLES, TOASTERS, add, count, reserve

LONG = 5 * INDEXED_EVERY + 3
"""Events of the kettles in Lisbon: more than a few entries of an index, and some after the last."""


def _commands(chance: random.Random) -> Iterator[Command]:
    """Yield commands that move the kettles in Lisbon `LONG` times, and others between."""
    yield from (add(90), add(90, TOASTERS))
    for number in range(LONG - 1):
        if number % 3:
            yield reserve({KETTLES: 1, TOASTERS: 1}, f"cart-{number}")
        else:
            yield add(1)
        for _ in range(chance.randrange(3)):
            yield add(1, chance.choice((TOASTERS, PORTO_KETTLES)))


@pytest.fixture(params=[1, 7], ids=["each alone", "seven a commit"])
async def log(store: Store, request: pytest.FixtureRequest) -> list[Event]:
    commands = list(_commands(random.Random(5)))
    for first in range(0, len(commands), request.param):
        await store.storage.transact(appending(*commands[first : first + request.param]))
    events = await events_of(store)
    assert max(event.version for event in events if event.key == KETTLES) == LONG
    return events


def _reserved(log: list[Event]) -> list[ReservationId]:
    """Return the reservations of kettles in Lisbon, the newest first."""
    return [
        event.fact.reservation_id
        for event in log[::-1]
        if event.key == KETTLES and isinstance(event.fact, StockReserved)
    ]


async def test_a_stock_is_shown_as_it_was_at_every_position(store: Store, log: list[Event]) -> None:
    folded: dict[StockId, Any] = {key: Inventory(key) for key in (KETTLES, PORTO_KETTLES, TOASTERS)}
    for event in log:
        folded[event.key] = apply_event(folded[event.key], event)
        for key, state in folded.items():
            shown = (await store.views.at(event.position).get(key)).value
            assert shown == (state if state.version else None), (key, event.position)


@pytest.mark.parametrize("scanned", [2, INDEXED_EVERY, 1_000])
@pytest.mark.parametrize("types", [frozenset(), frozenset({"StockReserved"})])
async def test_the_events_of_a_stock_are_found_between_any_two_positions(
    store: Store,
    log: list[Event],
    types: frozenset[str],
    scanned: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bounds, "EVENTS_SCANNED", scanned)
    matching = EventFilter(types, frozenset({"kettle"}), frozenset({"lisbon"}))
    wanted = [
        event.position
        for event in log
        if event.key == KETTLES and (not types or type(event.fact).__name__ in types)
    ]
    ends = [0, *range(3, len(log), 23), len(log) + 1]
    for after, before, limit in product(ends, ends, (1, 9, 200)):
        if after >= before:
            continue
        between = [position for position in wanted if after < position < before]
        for newest_first in (False, True):
            found = await find_page(
                store.event_log, matching, after, before, limit, newest_first=newest_first
            )
            expected = (between[::-1] if newest_first else between)[:limit]
            positions = [position for position, _ in found.rows]
            if found.done or scanned == 1_000:
                assert positions == expected, (after, before, limit, newest_first)
            else:
                assert positions == expected[: len(positions)], (after, before, newest_first)


async def test_the_reservations_of_a_stock_are_listed_in_pages_of_any_size(
    store: Store, log: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = _reserved(log)
    for scanned, limit in ((1, 4), (INDEXED_EVERY, 4), (10_000, 7), (10_000, 200)):
        monkeypatch.setattr(bounds, "RESERVATIONS_SCANNED", scanned)
        query = ReservationQuery(product_id="kettle", store_id="lisbon", limit=limit)
        seen = list[ReservationId]()
        while True:
            page = (await store.views.latest.read(query)).value
            seen += [row.reservation_id for _, row in page.rows]
            if page.after is None:
                break
            query = replace(query, before=page.after)
        assert seen == wanted, (scanned, limit)


async def test_the_promises_at_risk_are_the_newest(store: Store, log: list[Event]) -> None:
    await Scribe(store).record(count(0, expected=None))
    query = AtRiskQuery(limit=5)
    seen = list[ReservationId]()
    while True:
        page = (await store.views.latest.read(query)).value
        seen += [row.reservation_id for row in page.rows]
        if page.after is None:
            break
        query = replace(query, after=page.after)
    assert seen == _reserved(log)


@pytest.mark.parametrize(
    "versions",
    [[1], [2], [INDEXED_EVERY], [LONG - 1], [LONG], [LONG + 1, LONG + 1], [LONG + 1, LONG]],
    ids=str,
)
async def test_a_version_is_recorded_once(
    store: Store, log: list[Event], versions: list[int]
) -> None:
    again = [
        event_of(len(log) + number, KETTLES, StockAdded(1), version=version, after=Levels(9, 0))
        for number, version in enumerate(versions, 1)
    ]
    with pytest.raises(Exception):  # noqa: B017, PT011  each engine has its own
        await store.storage.transact(lambda transaction: transaction.write(again, []))
    assert await events_of(store) == log
