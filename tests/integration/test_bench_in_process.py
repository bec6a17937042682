"""The in-process benchmark records and answers as the service over gRPC does."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from inventory_grpc_protos.v1.commands_pb2 import (
    Command,
    ExecuteBatchRequest,
    ExecuteBatchResponse,
    RemoveStockRequest,
)
from inventory_grpc_protos.v1.queries_pb2 import GetStockResponse
from scripts.bench.goods import Cart, made_up
from scripts.bench.in_process import (
    TOGETHER,
    Kind,
    Service,
    WrongAnswer,
    beginning,
    kinds_of,
    running,
)
from scripts.bench.servers import ServerFailed
from scripts.bench.traffic import Shop
from scripts.bench.without_grpc import unframed
from tests.support.opened import rows

ROOT = Path(__file__).parents[2]
STOCKS = made_up(100)
CARTS = [Cart("ana", [(*stock, 2) for stock in STOCKS[:5]]), Cart("ben", [(*STOCKS[7], 1)])]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """Yield a service of this checkout whose stocks are known."""
    with running(ROOT, tmp_path / "checkout") as service:
        begin = beginning(STOCKS, CARTS)
        service.seconds(begin, list(begin.requests))
        yield service


def head(service: Service) -> int:
    ((position,),) = rows(service.folder / "inventory.db", "SELECT max(position) FROM events")
    return int(position)


def answers(service: Service) -> list[bytes]:
    return list(unframed((service.folder / "answers").read_bytes()))


def kind(name: str) -> Kind:
    return next(one for one in kinds_of(Shop(STOCKS), STOCKS, CARTS) if one.name == name)


@pytest.mark.parametrize(
    ("name", "events"),
    [("AddStock", 1), ("bulk AddStock", TOGETHER), ("cart of 3 lines", TOGETHER * 3)],
)
def test_every_command_is_recorded_and_costs_time(service: Service, name: str, events: int) -> None:
    before, measured = head(service), kind(name)

    seconds = service.seconds(measured, list(islice(measured.requests, 3)))

    assert head(service) == before + 3 * events
    assert 0 < seconds["thread"] < seconds["process"]
    assert seconds["wall"] > 0


def test_a_cart_is_reserved_and_committed(service: Service) -> None:
    real, before = kind("real cart"), head(service)

    service.seconds(real, list(islice(real.requests, 1)))

    (answer,) = map(ExecuteBatchResponse.FromString, answers(service))
    lines = [5, 5, 1, 1]  # of the first cart, then of the second
    assert [result.position for result in answer.results[:4]] == [
        before + sum(lines[: place + 1]) for place in range(4)
    ]
    assert [result.reservation_id for result in answer.results[:4]] == [
        *("real-1", "real-1", "real-2", "real-2")
    ]


def test_a_query_is_answered_in_bytes(service: Service) -> None:
    look = kind("GetStock")

    service.seconds(look, list(islice(look.requests, 2)))

    assert all(GetStockResponse.FromString(one).stock.on_hand for one in answers(service))


def test_a_refused_command_ends_the_measurement(service: Service) -> None:
    product_id, store_id = STOCKS[0]
    remove = RemoveStockRequest(
        request_id="too-much", product_id=product_id, store_id=store_id, quantity=10**9
    )
    request = ExecuteBatchRequest(commands=[Command(remove_stock=remove)])

    with pytest.raises(WrongAnswer):
        service.seconds(kind("bulk AddStock"), [request.SerializeToString()])


def test_a_service_that_fails_ends_the_measurement_with_its_last_words(service: Service) -> None:
    nothing = Kind("nothing", "/inventory.v1.InventoryCommands/Nothing", iter([b""]), 1, 1)

    with pytest.raises(ServerFailed, match="Error"):
        service.seconds(nothing, [b""])
