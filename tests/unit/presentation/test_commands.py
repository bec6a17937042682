"""A command reaches the ledger with its cause, its fingerprint and its deadline."""

import asyncio
from collections.abc import Sequence

import pytest
from google.protobuf.message import Message

from inventory_grpc.application.failures import RequestIdReused
from inventory_grpc.application.ledger.mailbox import Answers
from inventory_grpc.application.ledger.submission import Submission
from inventory_grpc.application.outcomes import Outcome, RequestKey
from inventory_grpc.domain.refusals import InvalidValue
from inventory_grpc.domain.reservation_commands import ReserveStock
from inventory_grpc.domain.values import Span, Ttl
from inventory_grpc.presentation.commands import MAX_WAIT_SECONDS, Commands
from inventory_grpc.presentation.submissions import fingerprint
from inventory_grpc_protos.v1 import commands_pb2 as pb
from tests.support.engine import Engine
from tests.support.world import MINUTE, NOON
from tests.unit.presentation.asking import add, adjust, called, fields, line, reserve


class Heard(Exception):
    pass


class Listening:
    """A ledger that only hears what is asked."""

    asked: Submission
    deadline: float

    async def record(self, submission: Submission, deadline: float) -> Outcome:
        self.asked, self.deadline = submission, deadline
        raise Heard

    async def record_all(self, submissions: Sequence[Submission], deadline: float) -> Answers:
        raise NotImplementedError


async def heard(request: Message, seconds: float | None = None) -> Listening:
    ledger = Listening()
    commands = Commands(ledger, lambda: NOON, Span(5 * MINUTE))
    rpc = type(request).__name__.removesuffix("Request")
    with pytest.raises(Heard):
        await commands.methods[rpc](request, called(seconds))
    return ledger


async def test_the_cause_that_a_caller_names_goes_with_the_command() -> None:
    asked = add(request_id="q1", reason="delivery", reference="truck 9")
    heard_of = (await heard(asked)).asked
    assert (heard_of.cause.request_id, heard_of.cause.reason) == ("q1", "delivery")
    assert (heard_of.cause.reference, heard_of.cause.actor) == ("truck 9", "")
    assert heard_of.key == RequestKey("", "q1")
    assert heard_of.fingerprint == fingerprint("AddStock", asked)


async def test_without_a_request_id_there_is_nothing_to_compare() -> None:
    assert (await heard(add())).asked[2:4] == (None, b"")


@pytest.mark.parametrize(("left", "waits"), [(2.5, 2.5), (None, MAX_WAIT_SECONDS)])
async def test_a_command_is_not_begun_after_its_deadline(left: float | None, waits: float) -> None:
    deadline = (await heard(add(), left)).deadline
    assert deadline - asyncio.get_running_loop().time() == pytest.approx(waits, abs=0.1)


async def test_the_default_expiration_is_the_servers_to_choose() -> None:
    command = (await heard(reserve())).asked.command
    assert isinstance(command, ReserveStock)
    assert command.expiration == Ttl(Span(5 * MINUTE))


async def test_violations_in_a_command_and_in_its_cause_are_told_together(
    engine: Engine,
) -> None:
    commands = Commands(engine.ledger, engine.clock.wall)
    with pytest.raises(InvalidValue) as refused:
        await commands.methods["AddStock"](add(quantity=0, request_id="%"), called())
    assert fields(refused.value) == ["quantity", "request_id"]
    assert await engine.log() == []


async def test_a_command_is_answered_with_what_it_made_so(engine: Engine) -> None:
    commands = Commands(engine.ledger, engine.clock.wall)
    added = await commands.methods["AddStock"](add(quantity=9), called())
    assert (added.stock.on_hand, added.position, added.replayed) == (9, 1, False)
    removed = await commands.methods["RemoveStock"](
        pb.RemoveStockRequest(product_id="kettle", store_id="lisbon", quantity=1), called()
    )
    assert (removed.stock.on_hand, removed.position) == (8, 2)
    adjusted = await commands.methods["AdjustStock"](adjust(delta=-1), called())
    assert (adjusted.stock.on_hand, adjusted.stock.version) == (7, 3)


async def test_a_cart_lives_its_life(engine: Engine) -> None:
    commands = Commands(engine.ledger, engine.clock.wall)
    await commands.methods["AddStock"](add(quantity=9), called())
    reserved = await commands.methods["ReserveStock"](
        reserve(reservation_id="r1", lines=[line(4)]), called()
    )
    assert reserved.reservation.lines[0].held == 4
    assert reserved.stocks[0].available == 5
    extended = await commands.methods["ExtendReservation"](
        pb.ExtendReservationRequest(reservation_id="r1", never_expires=True), called()
    )
    assert not extended.reservation.HasField("expire_time")
    committed = await commands.methods["CommitReservation"](
        pb.CommitReservationRequest(reservation_id="r1", lines=[line(1)], order_id="o1"), called()
    )
    assert (committed.stocks[0].on_hand, committed.reservation.order_id) == (8, "o1")
    released = await commands.methods["ReleaseReservation"](
        pb.ReleaseReservationRequest(reservation_id="r1"), called()
    )
    assert (released.stocks[0].available, released.reservation.lines[0].released) == (8, 3)


async def test_a_request_that_is_sent_again_gets_the_same_answer(engine: Engine) -> None:
    commands = Commands(engine.ledger, engine.clock.wall)
    await commands.methods["AddStock"](add(quantity=9), called())
    first = await commands.methods["ReserveStock"](reserve(request_id="q1"), called())
    again = await commands.methods["ReserveStock"](reserve(request_id="q1"), called())
    assert again.replayed
    again.replayed = False
    assert again == first
    with pytest.raises(RequestIdReused):
        await commands.methods["ReserveStock"](reserve(request_id="q1", lines=[line(2)]), called())
