"""Many commands in one message, each as if it had been sent alone."""

from collections.abc import Sequence
from typing import Any

import pytest
from google.rpc.error_details_pb2 import BadRequest
from grpc import StatusCode

from inventory_grpc.domain.values import Instant
from inventory_grpc.presentation import submissions as presentation
from inventory_grpc.presentation.errors import NOT_BEGUN
from inventory_grpc_protos.v1 import commands_pb2 as pb
from inventory_grpc_protos.v1.events_pb2 import Event
from tests.support.caller import batch, commands, refusal_among, refused
from tests.support.samples import COMMANDS
from tests.unit.presentation.asking import add, line, reserve
from tests.unit.presentation.conftest import Served

OVER = pb.CommandError(code=4, message=NOT_BEGUN)


async def executed(service: Served, *requests: Any) -> Sequence[pb.CommandResult]:  # noqa: ANN401
    return (await service.commands.ExecuteBatch(batch(*requests))).results


async def test_commands_of_every_kind_are_done_in_order(service: Served) -> None:
    results = await executed(service, *COMMANDS.values())

    events = map(Event.FromString, await service.engine.log())
    callers = [event for event in events if not event.HasField("stock_terms_changed")]
    last_of_each = {event.command_position: event for event in callers}.values()
    done = zip(COMMANDS.values(), results, strict=True)
    recorded = [one for one in done if not getattr(one[0], "restore", False)]  # nothing is retired
    for event, (request, result) in zip(last_of_each, recorded, strict=True):
        name = getattr(request, "reservation_id", "")
        version = 0 if name else event.version
        assert result == pb.CommandResult(
            position=event.position, version=version, reservation_id=name
        )


async def test_of_a_reservation_without_an_id_the_one_that_was_made_is_told(
    service: Served,
) -> None:
    _, unnamed = await executed(service, add(), reserve())
    [committed] = await executed(
        service, pb.CommitReservationRequest(reservation_id=unnamed.reservation_id)
    )
    assert committed.position == 3


async def test_one_that_is_refused_says_why_as_it_would_alone_and_the_others_are_done(
    service: Served,
) -> None:
    await service.commands.AddStock(add(quantity=5))
    bad = [
        reserve(lines=[line(1), line(9), line(2, "toaster")]),
        add(expected_version=7),
        add(quantity=0, request_id="%"),
        pb.CommitReservationRequest(reservation_id="nobody"),
    ]
    alone = [
        await refused(
            getattr(service.commands, type(request).__name__.removesuffix("Request"))(request)
        )
        for request in bad
    ]
    before, *among, after = await executed(service, add(product_id="fork"), *bad, add(quantity=2))
    assert (before.position, after.position, after.version) == (2, 3, 2)
    assert [refusal_among(result) for result in among] == [
        seen._replace(trailers={}) for seen in alone
    ]
    assert [seen.reason for seen in alone] == [
        "INSUFFICIENT_STOCK",
        "VERSION_CONFLICT",
        "INVALID_VALUE",
        "RESERVATION_NOT_FOUND",
    ]
    violations = alone[2].details[BadRequest].field_violations
    assert [violation.field for violation in violations] == ["quantity", "request_id"]


async def test_an_empty_command_is_named(service: Served) -> None:
    response = await service.commands.ExecuteBatch(
        pb.ExecuteBatchRequest(commands=[*commands(add()), pb.Command(), *commands(add())])
    )
    before, none, after = response.results
    assert (before.position, after.position) == (1, 2)
    seen = refusal_among(none)
    assert (seen.code, seen.reason) == (StatusCode.INVALID_ARGUMENT, "INVALID_VALUE")
    [violation] = seen.details[BadRequest].field_violations
    assert (violation.field, violation.description) == ("command", "is missing")


async def test_a_request_id_is_the_same_alone_and_among_others(service: Served) -> None:
    alone = await service.commands.AddStock(add(request_id="q1"))
    asked = [add(request_id="q1"), add(request_id="q2"), add(request_id="q2"), add(quantity=1)]
    asked += [add(request_id="q2", quantity=6)]
    again, new, twice, other, reused = await executed(service, *asked)
    assert again == pb.CommandResult(position=alone.position, version=1, replayed=True)
    assert new == pb.CommandResult(position=2, version=2)
    assert twice == pb.CommandResult(position=2, version=2, replayed=True)
    assert other == pb.CommandResult(position=3, version=3)
    assert refusal_among(reused).reason == "REQUEST_ID_REUSED"
    same = await service.commands.AddStock(add(request_id="q2"))
    assert (same.position, same.replayed) == (2, True)


@pytest.mark.parametrize("count", [0, 1_001])
async def test_a_message_without_commands_or_with_too_many_is_refused_whole(
    service: Served, count: int
) -> None:
    seen = await refused(service.commands.ExecuteBatch(batch(*[add()] * count)))
    assert (seen.code, seen.reason) == (StatusCode.INVALID_ARGUMENT, "INVALID_VALUE")
    assert [violation.field for violation in seen.details[BadRequest].field_violations] == [
        "commands"
    ]
    assert await service.engine.log() == []


async def test_1_000_commands_are_done(service: Served) -> None:
    results = await executed(service, *[add()] * 1_000)
    assert [result.version for result in results] == list(range(1, 1_001))


async def test_a_command_that_is_not_begun_in_time_says_so(
    service: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inventory_grpc.presentation.commands.MAX_WAIT_SECONDS", -1.0)
    assert list(await executed(service, add(), add())) == [
        pb.CommandResult(error=OVER),
        pb.CommandResult(error=OVER),
    ]
    assert await service.engine.log() == []


async def test_a_bug_in_one_command_is_told_under_an_id_and_is_no_other_ones_fate(
    service: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    read = presentation.cause

    def read_or_break(check: Any, request: Any, now: Instant) -> Any:  # noqa: ANN401
        if request.product_id == "mirror":
            raise ZeroDivisionError("a bug, with a secret in its text")
        return read(check, request, now)

    monkeypatch.setattr(presentation, "cause", read_or_break)
    before, broken, after = await executed(service, add(), add(product_id="mirror"), add())
    assert (before.position, after.position) == (1, 2)
    seen = refusal_among(broken)
    assert (seen.code, seen.reason) == (StatusCode.INTERNAL, "INTERNAL")
    assert seen.facts["error_id"] in caplog.text
    assert "secret" not in seen.message
