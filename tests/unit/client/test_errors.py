"""Every error of the client has a type and carries its fields."""

import pickle
from copy import copy
from types import ModuleType

import pytest
from google.rpc.error_details_pb2 import BadRequest
from grpc import StatusCode

from inventory_grpc import client as public
from inventory_grpc.client import (
    Cancelled,
    ExceedsReservation,
    InsufficientStock,
    InvalidValue,
    InventoryClient,
    InventoryError,
    NotProcessed,
    OtherLog,
    PositionAhead,
    Refused,
    ReservationClosed,
    Unavailable,
    VersionConflict,
    Violation,
    errors,
    refusals,
)
from inventory_grpc.client.translation import BY_REASON
from inventory_grpc_protos.v1.errors_pb2 import ErrorReason, ShortLine, ShortLines
from inventory_grpc_protos.v1.stock_pb2 import Stock
from tests.unit.client.scripted import Failure, ScriptedServer

REASONS = [reason for reason in ErrorReason.values() if reason]


async def failing(
    client: InventoryClient, server: ScriptedServer, failure: Failure
) -> InventoryError:
    server.plays("ExtendReservation", failure)
    with pytest.raises(InventoryError) as caught:
        await client.extend_reservation(reservation_id="cart-7")
    return caught.value


def test_every_reason_has_a_class_of_its_own_name() -> None:
    names = {
        reason: ErrorReason.Name(reason).removeprefix("ERROR_REASON_").title().replace("_", "")
        for reason in REASONS
    }
    assert {reason: kind.__name__ for reason, kind in BY_REASON.items()} == names


def test_every_failure_is_public_and_in_the_tree_that_the_docstring_draws() -> None:
    drawn = [line.split()[0] for line in (errors.__doc__ or "").splitlines() if "  " in line]
    first, rest = _defined_in(errors), _defined_in(refusals)
    place = first.index("Refused") + 1
    assert drawn == [*first[:place], *rest, *first[place:]]
    assert {*first, *rest} <= set(public.__all__)


def _defined_in(module: ModuleType) -> list[str]:
    return [
        name
        for name, kind in vars(module).items()
        if isinstance(kind, type)
        and kind.__module__ == module.__name__
        and issubclass(kind, InventoryError)
        and name[0] != "_"
    ]


@pytest.mark.parametrize("reason", REASONS, ids=ErrorReason.Name)
async def test_a_reason_arrives_as_its_class_with_code_and_facts(
    client: InventoryClient, server: ScriptedServer, reason: ErrorReason.ValueType
) -> None:
    name = ErrorReason.Name(reason).removeprefix("ERROR_REASON_")
    error = await failing(client, server, Failure(StatusCode.ABORTED, name, {"fact": "so"}))
    assert type(error) is BY_REASON[reason]
    assert (error.code, error.reason, error.message) == (StatusCode.ABORTED, name, "no")
    assert error.facts == {"fact": "so"}
    assert str(error).startswith(f"{name}: no")
    assert error.in_doubt == (name in {"OUTCOME_UNKNOWN", "INTERNAL"})


async def test_a_conflict_shows_the_current_stock(
    client: InventoryClient, server: ScriptedServer
) -> None:
    kettles = Stock(product_id="kettle", store_id="lisbon", on_hand=5, version=5)
    error = await failing(
        client,
        server,
        Failure(StatusCode.ABORTED, "VERSION_CONFLICT", details=[kettles]),
    )
    assert isinstance(error, VersionConflict)
    assert error.current == kettles


async def test_a_conflict_from_a_server_that_hides_the_stock_is_no_empty_stock(
    client: InventoryClient, server: ScriptedServer
) -> None:
    error = await failing(client, server, Failure(StatusCode.ABORTED, "VERSION_CONFLICT"))
    assert isinstance(error, VersionConflict)
    with pytest.raises(LookupError):
        _ = error.current


@pytest.mark.parametrize("reason", ["INSUFFICIENT_STOCK", "EXCEEDS_RESERVATION"])
async def test_what_is_short_is_told_line_by_line_also_by_a_copy(
    client: InventoryClient, server: ScriptedServer, reason: str
) -> None:
    line = ShortLine(product_id="kettle", store_id="lisbon", asked=6, available=5, shortfall=1)
    error = await failing(
        client,
        server,
        Failure(StatusCode.FAILED_PRECONDITION, reason, details=[ShortLines(lines=[line])]),
    )
    for one in (error, pickle.loads(pickle.dumps(error)), copy(error)):  # noqa: S301  our own
        assert isinstance(one, InsufficientStock | ExceedsReservation)
        assert list(one.lines) == [line]
        assert (str(one), repr(one)) == (str(error), repr(error))
        assert one.request_id == error.request_id


async def test_an_invalid_value_names_the_fields(
    client: InventoryClient, server: ScriptedServer
) -> None:
    bad = BadRequest()
    bad.field_violations.add(field="lines[2].quantity", description="must be 1 or more")
    error = await failing(
        client, server, Failure(StatusCode.INVALID_ARGUMENT, "INVALID_VALUE", details=[bad])
    )
    assert isinstance(error, InvalidValue)
    assert error.violations == [Violation("lines[2].quantity", "must be 1 or more")]


async def test_facts_that_a_program_acts_on_are_attributes(
    client: InventoryClient, server: ScriptedServer
) -> None:
    no = StatusCode.FAILED_PRECONDITION
    closed = await failing(client, server, Failure(no, "RESERVATION_CLOSED", {"state": "EXPIRED"}))
    other = await failing(client, server, Failure(no, "OTHER_LOG", {"log_id": "k3v9x0q2m7ab"}))
    ahead = await failing(client, server, Failure(no, "POSITION_AHEAD", {"head_position": "812"}))
    assert isinstance(closed, ReservationClosed)
    assert isinstance(other, OtherLog)
    assert isinstance(ahead, PositionAhead)
    assert (closed.state, other.log_id, ahead.head_position) == ("EXPIRED", "k3v9x0q2m7ab", 812)


async def test_a_failure_without_a_reason_is_known_by_its_code(
    client: InventoryClient, server: ScriptedServer
) -> None:
    cancelled = await failing(client, server, Failure(StatusCode.CANCELLED, pushback_ms="-1"))
    assert type(cancelled) is Cancelled
    other = await failing(client, server, Failure(StatusCode.UNIMPLEMENTED))
    assert type(other) is InventoryError
    assert cancelled.in_doubt
    assert other.in_doubt


async def test_a_reason_that_is_newer_than_the_client_is_kept(
    client: InventoryClient, server: ScriptedServer
) -> None:
    error = await failing(client, server, Failure(StatusCode.ABORTED, "TOO_LATE", {"by": "1"}))
    assert type(error) is InventoryError
    assert (error.reason, error.facts) == ("TOO_LATE", {"by": "1"})


async def test_a_reason_of_somebody_elses_is_not_taken_for_the_services(
    client: InventoryClient, server: ScriptedServer
) -> None:
    error = await failing(
        client,
        server,
        Failure(StatusCode.UNAVAILABLE, "OVERLOADED", domain="proxy.example", retry_seconds=3600),
    )
    assert type(error) is Unavailable
    assert error.reason == ""


def test_only_what_was_judged_or_turned_away_was_surely_not_done() -> None:
    for kind in BY_REASON.values():
        settled = issubclass(kind, Refused | NotProcessed) or not kind.doubtful
        assert settled == (kind not in {errors.OutcomeUnknown, errors.Internal})


@pytest.mark.parametrize("code", [code for code in StatusCode if code is not StatusCode.OK])
async def test_a_failure_without_a_reason_says_how_to_settle_its_doubt(
    client: InventoryClient, server: ScriptedServer, code: StatusCode
) -> None:
    error = await failing(client, server, Failure(code, pushback_ms="-1"))
    assert error.in_doubt
    assert f"the same request_id, {error.request_id}, can be sent again" in str(error)


@pytest.mark.parametrize(
    "kind",
    [
        errors.OutcomeUnknown,
        errors.Internal,
        errors.Unavailable,
        errors.DeadlineExceeded,
        errors.Cancelled,
    ],
)
def test_an_error_that_leaves_a_doubt_says_what_settles_it(kind: type[InventoryError]) -> None:
    assert "the same `request_id` can be sent again" in " ".join((kind.__doc__ or "").split())
