"""A forgotten request id counts as new, also for a reservation without an id."""

from inventory_grpc_protos.v1 import commands_pb2 as pb
from tests.support.engine import assemble, running, settle
from tests.support.world import DAY
from tests.unit.presentation.asking import add, reserve
from tests.unit.presentation.conftest import Served


async def test_a_forgotten_request_id_counts_as_new(service: Served) -> None:
    commands, engine = service.commands, service.engine
    await commands.AddStock(add(quantity=9))
    cart = reserve(request_id="till-7/1")
    first = (await commands.ReserveStock(cart)).reservation
    await commands.CommitReservation(
        pb.CommitReservationRequest(reservation_id=first.reservation_id)
    )
    again = await commands.ReserveStock(cart)
    assert (again.replayed, again.reservation) == (True, first), "it is the moment of the first"
    engine.clock.go_on(8 * DAY)
    async with running(assemble(engine.store, engine.clock)):
        await settle(50)
    other = await commands.ReserveStock(reserve(request_id="till-7/1", customer_id="ben"))
    assert not other.replayed
    assert other.reservation.customer_id == "ben"
    assert other.reservation.reservation_id != first.reservation_id
