"""A read that names the position of a write shows it, in any process on the log (G7).

The other process learns of writes late here, so that a read without the position is stale;
otherwise the test would prove nothing.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import pytest
from google.protobuf.message import Message
from grpc import StatusCode

from inventory_grpc_protos.v1 import queries_pb2 as pb
from inventory_grpc_protos.v1.commands_pb2 import (
    AdjustStockRequest,
    ReserveStockRequest,
    SetPolicyRequest,
)
from inventory_grpc_protos.v1.policies_pb2 import Policy
from tests.support.caller import Caller, adding, calling, line, refused, reserving
from tests.support.effort import SEED, campaign, runs
from tests.support.engines import on_each_engine
from tests.support.model import Key, Model
from tests.support.opened import stored
from tests.support.samples import CART, COMMANDS, QUERIES
from tests.support.server_process import server_process

pytestmark = on_each_engine

PRODUCT, STORE, OTHER, SHORT = "kettle", "lisbon", "porto", "toaster"
AT_ONCE_SECONDS: Final = 2.0
"""For a busy machine; the news come much later."""

LATE: Final = "head_poll=sleep:30"


class Processes(NamedTuple):
    """Two on one log; what one writes, the other one hears of by looking, and it looks late."""

    writer: Caller
    reader: Caller


@pytest.fixture
async def processes(database: str | Path, tmp_path: Path) -> AsyncIterator[Processes]:
    async with AsyncExitStack() as stack:
        callers = []
        for name, fail_points in (("writer", ""), ("reader", LATE)):
            server = await stack.enter_async_context(
                server_process(database, tmp_path / f"{name}.log", fail_points=fail_points)
            )
            callers.append(await stack.enter_async_context(calling(await server.address())))
        yield Processes(*callers)


def _kettles(min_position: int = 0) -> pb.GetStockRequest:
    return pb.GetStockRequest(product_id=PRODUCT, store_id=STORE, min_position=min_position)


async def test_a_read_in_another_process_is_stale_only_without_min_position(
    processes: Processes,
) -> None:
    writer, reader = processes
    on_hand = (await writer.commands.AddStock(adding(1))).stock.on_hand
    count, stale = runs(least=5, ci=20, deep=500), 0
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
    # a read of a position is not cached, and the next one then comes from storage
    assert stale > count // 3, "the other process was seldom late: little was tried"


def _cart(name: str) -> ReserveStockRequest:
    return reserving(line(1), line(1, PRODUCT, OTHER), name=name, order_id="order-1")


def _shows(model: Model, stocks: Any) -> None:  # noqa: ANN401  a repeated field
    for stock in stocks:
        shelf = model.shelves[stock.product_id, stock.store_id]
        assert (stock.on_hand, stock.reserved, stock.version) == (
            shelf.on_hand,
            shelf.reserved,
            shelf.version,
        )


def _is_available(model: Model, lines: Any) -> None:  # noqa: ANN401  as above
    own = _held(model, CART)
    for one in lines:
        shelf = model.shelves[one.product_id, one.store_id]
        held = own.get((one.product_id, one.store_id), 0)
        assert one.available == shelf.on_hand - shelf.reserved + held


def _sums_up(model: Model, total: Any) -> None:  # noqa: ANN401  a stock of all stores
    shelves = [shelf for (product, _), shelf in model.shelves.items() if product == PRODUCT]
    assert total.on_hand == sum(shelf.on_hand for shelf in shelves)


def _is_held(model: Model, reservation: Any) -> None:  # noqa: ANN401  of the contract
    held = {(one.product_id, one.store_id): one.held for one in reservation.lines}
    assert held == _held(model, reservation.reservation_id)


def _held(model: Model, name: str) -> dict[Key, int]:
    return {key: part.held for key, part in model.promises[name].parts.items()}


def _are_promised(model: Model, reservations: Any) -> None:  # noqa: ANN401  a repeated field
    found = {one.reservation_id for one in reservations}
    newest = sorted(model.promises, key=lambda name: -model.promises[name].number)
    assert found == set(newest[: len(found)])


def _are_at_risk(model: Model, lines: Any) -> None:  # noqa: ANN401  as above
    assert sum(one.at_risk for one in lines) == 1
    for one in lines:
        shelf = model.shelves[one.product_id, one.store_id]
        assert shelf.reserved - shelf.on_hand == 1
        assert one.held == _held(model, one.reservation_id)[one.product_id, one.store_id]


def _is_set(model: Model, scope: Any) -> None:  # noqa: ANN401  of the contract
    assert scope.policy == model.policies[scope.product_id, scope.store_id]


def _is_in_catalogue(model: Model, entry: Any) -> None:  # noqa: ANN401  of the contract
    product = entry.DESCRIPTOR.name == "Product"
    key = f"product/{entry.product_id}" if product else f"store/{entry.store_id}"
    kept, content = model.catalogue[key], cast("Any", model.catalogue[key].content)
    assert (entry.version, entry.name) == (kept.version, content.name)


async def _put(writer: Caller) -> None:
    """Record an entry for every query: of the catalogue, a policy, and a promise at risk."""
    commands = writer.commands
    for name in ("PutProduct", "PutStore"):
        await getattr(commands, name)(COMMANDS[name])
    policy = Policy(low_stock_at=3)
    await commands.SetPolicy(SetPolicyRequest(product_id=PRODUCT, store_id=STORE, policy=policy))
    await commands.AddStock(adding(2, SHORT))
    await commands.ReserveStock(reserving(line(2, SHORT), name="at-risk"))
    await commands.AdjustStock(
        AdjustStockRequest(
            product_id=SHORT, store_id=STORE, on_hand=1, unconditional=True, reason="count"
        )
    )


SHOWN: Final[Mapping[str, Callable[[Model, Any], None]]] = {
    "stock": lambda model, stock: _shows(model, [stock]),
    "stocks": _shows,
    "lines": _is_available,
    "total": _sums_up,
    "reservation": _is_held,
    "reservations": _are_promised,
    "product": _is_in_catalogue,
    "products": lambda model, products: _is_in_catalogue(model, *products),
    "store": _is_in_catalogue,
    "stores": lambda model, stores: _is_in_catalogue(model, *stores),
    "policy": _is_set,
    "policies": lambda model, policies: _is_set(model, *policies),
}
"""The check of each part of an answer, by its name."""

ASKED: Final[Mapping[str, Message]] = {
    **QUERIES,
    "ListStock": pb.ListStockRequest(product_ids=[PRODUCT], store_ids=[STORE]),
    "ListReservations": pb.ListReservationsRequest(product_id=PRODUCT, store_id=STORE),
    "ListReservationsAtRisk": pb.ListReservationsAtRiskRequest(product_ids=[SHORT]),
}
"""A request of each query that finds something."""


def _since(request: Message, position: int) -> Any:  # noqa: ANN401  of the same type
    """Return *request* for what is so at *position*, or later."""
    later: Any = type(request)()
    later.CopyFrom(request)
    later.min_position = position
    return later


def _is_so(model: Model, answer: Any) -> None:  # noqa: ANN401  of any query
    if isinstance(answer, pb.ListReservationsAtRiskResponse):
        _are_at_risk(model, answer.lines)
        return
    shown = [field.name for field, _ in answer.ListFields() if field.name in SHOWN]
    assert shown, f"nothing in {answer} is known here"
    for name in shown:
        SHOWN[name](model, getattr(answer, name))


async def test_every_query_answers_with_the_state_at_the_position_it_names(
    processes: Processes, database: str | Path
) -> None:
    writer, reader = processes
    await _put(writer)
    await writer.commands.AddStock(adding(1_000_000))
    await writer.commands.AddStock(adding(1_000_000, PRODUCT, OTHER))
    await writer.commands.ReserveStock(_cart(CART))
    answers: list[tuple[str, int, Any]] = []
    chance = random.Random(SEED)

    async def write(who: int) -> None:
        for number in range(runs(least=20, ci=20, deep=500)):
            cart = await writer.commands.ReserveStock(_cart(f"{who}-{number}"))
            name = chance.choice(list(ASKED))
            ask: Callable[..., Awaitable[Any]] = getattr(reader.queries, name)
            request = _since(ASKED[name], cart.position)
            answers.append((name, cart.position, await ask(request, timeout=AT_ONCE_SECONDS)))

    await asyncio.gather(*(write(who) for who in range(4)))
    log = stored(database)
    assert {name for name, _, _ in answers} == set(ASKED)
    for _, position, answer in answers:
        assert answer.as_of_position >= position
        _is_so(Model(log[: answer.as_of_position]), answer)


async def test_a_position_that_nobody_has_written_is_refused_at_once(
    processes: Processes,
) -> None:
    writer, reader = processes
    await _put(writer)
    await writer.commands.AddStock(adding(9))
    head = (await writer.commands.ReserveStock(reserving(line(1), name=CART))).position
    for name, request in ASKED.items():
        ask: Callable[..., Awaitable[Any]] = getattr(reader.queries, name)
        answer = await refused(ask(_since(request, head + 1), timeout=AT_ONCE_SECONDS))
        assert (answer.code, answer.reason) == (StatusCode.OUT_OF_RANGE, "POSITION_AHEAD"), name
        assert answer.facts["head_position"] == str(head)
        assert (await ask(_since(request, head), timeout=AT_ONCE_SECONDS)).as_of_position == head
