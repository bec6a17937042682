"""Who names the position of a write reads it, in any process on the file (G7).

The other process hears of writes late here, so that without the position it shows what
was; or the test would prove nothing.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from grpc import StatusCode

from inventory_grpc_protos.v1 import queries_pb2 as pb
from inventory_grpc_protos.v1.stock_pb2 import StockKey
from tests.robustness.effort import SEED, campaign, runs
from tests.support.caller import Caller, adding, calling, line, refused, reserving
from tests.support.model import Model
from tests.support.opened import stored
from tests.support.server_process import server_process

PRODUCT, STORE, OTHER = "kettle", "lisbon", "porto"
AT_ONCE_SECONDS: Final = 2.0
"""For a busy machine; the news come much later."""

LATE: Final = "head_poll=sleep:30"


class Processes(NamedTuple):
    """Two on one file; what one writes, the other one hears of by looking, and it looks late."""

    writer: Caller
    reader: Caller


@pytest.fixture
async def processes(path: Path, tmp_path: Path) -> AsyncIterator[Processes]:
    async with AsyncExitStack() as stack:
        callers = []
        for name, fail_points in (("writer", ""), ("reader", LATE)):
            server = await stack.enter_async_context(
                server_process(path, tmp_path / f"{name}.log", fail_points=fail_points)
            )
            callers.append(await stack.enter_async_context(calling(await server.address())))
        yield Processes(*callers)


def _kettles(min_position: int = 0) -> pb.GetStockRequest:
    return pb.GetStockRequest(product_id=PRODUCT, store_id=STORE, min_position=min_position)


async def test_without_the_position_another_process_may_show_what_was_and_with_it_it_never_does(
    processes: Processes,
) -> None:
    writer, reader = processes
    on_hand = (await writer.commands.AddStock(adding(1))).stock.on_hand
    count, stale = runs(ci=20, deep=500), 0
    with campaign("read your writes", runs=count) as noted:
        for _ in range(count):
            written = await writer.commands.AddStock(adding(1))
            on_hand += 1
            without = await reader.queries.GetStock(_kettles())
            stale += without.stock.on_hand < on_hand
            assert (without.as_of_position < written.position) == (without.stock.on_hand < on_hand)
            read = await reader.queries.GetStock(
                _kettles(min_position=written.position), timeout=AT_ONCE_SECONDS
            )
            assert read.as_of_position >= written.position
            assert read.stock == written.stock
        noted["stale without"] = stale
    assert stale > count // 2, "the other process was never late: nothing was tried"


def _shows(model: Model, stocks: Any) -> None:  # noqa: ANN401  a repeated field
    for stock in stocks:
        shelf = model.shelves[stock.product_id, stock.store_id]
        assert (stock.on_hand, stock.reserved, stock.version) == (
            shelf.on_hand,
            shelf.reserved,
            shelf.version,
        )


def _is_available(model: Model, answer: pb.CheckAvailabilityResponse) -> None:
    for one in answer.lines:
        shelf = model.shelves[one.product_id, one.store_id]
        assert one.available == shelf.on_hand - shelf.reserved


def _sums_up(model: Model, answer: pb.GetProductInventoryResponse) -> None:
    _shows(model, answer.stocks)
    shelves = [shelf for (product, _), shelf in model.shelves.items() if product == PRODUCT]
    assert answer.total.on_hand == sum(shelf.on_hand for shelf in shelves)


def _is_promised(model: Model, answer: pb.ListReservationsResponse) -> None:
    found = {one.reservation_id for one in answer.reservations}
    newest = sorted(model.promises, key=lambda name: -model.promises[name].number)
    assert found == set(newest[: len(found)])


KEYS: Final = [StockKey(product_id=PRODUCT, store_id=store) for store in (STORE, OTHER)]

QUERIES: Final[Mapping[str, tuple[Callable[[int], Any], Callable[[Model, Any], None]]]] = {
    "GetStock": (
        lambda least: _kettles(min_position=least),
        lambda model, answer: _shows(model, [answer.stock]),
    ),
    "BatchGetStock": (
        lambda least: pb.BatchGetStockRequest(keys=KEYS, min_position=least),
        lambda model, answer: _shows(model, answer.stocks),
    ),
    "CheckAvailability": (
        lambda least: pb.CheckAvailabilityRequest(
            lines=[line(1), line(1, PRODUCT, OTHER)], min_position=least
        ),
        _is_available,
    ),
    "GetProductInventory": (
        lambda least: pb.GetProductInventoryRequest(product_id=PRODUCT, min_position=least),
        _sums_up,
    ),
    "ListStock": (
        lambda least: pb.ListStockRequest(product_ids=[PRODUCT], min_position=least),
        lambda model, answer: _shows(model, answer.stocks),
    ),
    "GetReservation": (
        lambda least: pb.GetReservationRequest(reservation_id="first", min_position=least),
        lambda model, answer: _is_held(model, answer.reservation),
    ),
    "ListReservations": (
        lambda least: pb.ListReservationsRequest(
            customer_id="ana", page_size=50, min_position=least
        ),
        _is_promised,
    ),
}


def _is_held(model: Model, reservation: Any) -> None:  # noqa: ANN401  of the contract
    parts = model.promises[reservation.reservation_id].parts
    held = {(one.product_id, one.store_id): one.held for one in reservation.lines}
    assert held == {key: part.held for key, part in parts.items()}


async def test_every_query_answers_with_what_was_so_at_the_position_it_names(
    processes: Processes, path: Path
) -> None:
    writer, reader = processes
    await writer.commands.AddStock(adding(1_000_000))
    await writer.commands.AddStock(adding(1_000_000, PRODUCT, OTHER))
    await writer.commands.ReserveStock(reserving(line(1), line(1, PRODUCT, OTHER), name="first"))
    answers: list[tuple[str, int, Any]] = []
    chance = random.Random(SEED)

    async def write(who: int) -> None:
        for number in range(runs(ci=20, deep=500)):
            cart = reserving(line(1), line(1, PRODUCT, OTHER), name=f"{who}-{number}")
            position = (await writer.commands.ReserveStock(cart)).position
            name = chance.choice(list(QUERIES))
            ask: Callable[..., Awaitable[Any]] = getattr(reader.queries, name)
            request = QUERIES[name][0](position)
            answers.append((name, position, await ask(request, timeout=AT_ONCE_SECONDS)))

    await asyncio.gather(*(write(who) for who in range(4)))
    log = stored(path)
    assert {name for name, _, _ in answers} == set(QUERIES)
    for name, position, answer in answers:
        assert answer.as_of_position >= position
        QUERIES[name][1](Model(log[: answer.as_of_position]), answer)


async def test_a_position_that_nobody_has_written_is_refused_at_once(
    processes: Processes,
) -> None:
    writer, reader = processes
    await writer.commands.AddStock(adding(9))
    head = (await writer.commands.ReserveStock(reserving(line(1), name="first"))).position
    for name, (asking, _) in QUERIES.items():
        ask: Callable[..., Awaitable[Any]] = getattr(reader.queries, name)
        answer = await refused(ask(asking(head + 1), timeout=AT_ONCE_SECONDS))
        assert (answer.code, answer.reason) == (StatusCode.OUT_OF_RANGE, "POSITION_AHEAD"), name
        assert answer.facts["head_position"] == str(head)
        assert (await ask(asking(head), timeout=AT_ONCE_SECONDS)).as_of_position == head
