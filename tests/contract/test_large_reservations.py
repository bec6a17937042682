"""Contract of stores on pages of reservations with long texts or many lines: 1 MiB at most."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from inventory_grpc.application.ledger.submission import Submission
from inventory_grpc.application.queries.reservation import ReservationQuery
from inventory_grpc.domain.book import Command
from inventory_grpc.domain.event import Cause
from inventory_grpc.domain.promises import Asked
from inventory_grpc.domain.refusals import Refusal
from inventory_grpc.domain.reservation import Reservation
from inventory_grpc.domain.values import Channel, CustomerId, OrderId, StockId
from inventory_grpc.presentation.page_tokens import MAX_BYTES, MAX_SIZE
from inventory_grpc.presentation.to_proto import fill_reservation
from inventory_grpc_protos.v1.queries_pb2 import ListReservationsResponse
from tests.support.clock import ManualClock
from tests.support.histories import player
from tests.support.memory.store import MemoryStore
from tests.support.stores import Store
from tests.support.world import add, reserve, stock

REFERENCE = "\N{HOT BEVERAGE}" * 170


async def record(store: Store, *commands: Command) -> None:
    writer = player(store, ManualClock(), at_hand=MAX_SIZE).writer
    cause = Cause(reference=REFERENCE)
    rest = [Submission.of(command, cause) for command in commands]
    while rest:
        answers = await writer.answer(rest[:100])
        assert not [answer for answer in answers if isinstance(answer, Refusal)]
        rest = rest[len(answers) :]


def largest(number: int, stocks: Sequence[StockId]) -> Command:
    return reserve(
        dict.fromkeys(stocks, 10**6 - 1),
        f"{number:r>128}",
        customer=CustomerId("c" * 128),
        order=OrderId("o" * 128),
        asked=Asked(Channel("w" * 128)),
    )


def size_of(reservations: Sequence[Reservation]) -> int:
    response = ListReservationsResponse()
    for reservation in reservations:
        fill_reservation(response.reservations.add(), reservation)
    return response.ByteSize()


@pytest.mark.parametrize(("carts", "lines"), [(MAX_SIZE, 1), (MAX_SIZE, 2), (12, 500)])
async def test_each_page_of_reservations_fits(store: Store, carts: int, lines: int) -> None:
    stocks = [stock(f"{number:p>128}", "s" * 128) for number in range(lines)]
    await record(store, *(add(10**9, one) for one in stocks))
    await record(store, *(largest(number, stocks) for number in range(carts)))
    seen, sizes = 0, list[int]()
    query = ReservationQuery(limit=MAX_SIZE)
    while not sizes or query.before is not None:
        page = (await store.views.latest.read(query)).value
        seen += len(page.rows)
        sizes.append(size_of([reservation for _, reservation in page.rows]))
        query = replace(query, before=page.after)
    assert seen == carts
    if not isinstance(store.storage, MemoryStore):
        assert max(sizes) <= MAX_BYTES
        assert min(sizes[:-1]) > MAX_BYTES // 2
