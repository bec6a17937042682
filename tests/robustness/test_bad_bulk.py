"""G12 for bulk commands: a bad command is refused in its place and harms no other."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.message_factory import GetMessageClass
from google.rpc.error_details_pb2 import BadRequest
from grpc import StatusCode

from inventory_grpc_protos.v1 import commands_pb2 as pb
from tests.robustness.bad_input import REQUEST, Case, bad, broken, missing
from tests.robustness.harmless import ask, check_form, paths, written
from tests.robustness.rpcs import BULK, Rpc
from tests.support.caller import Caller, adding, commands, message, refusal_among

MOST_BYTES: Final = 900_000
"""Of a request: one longer than a mebibyte is not for us to read."""

KIBIBYTE: Final = 1_024
"""Of violations; there is no room for more."""

every_bulk_rpc = pytest.mark.parametrize("rpc", BULK, ids=lambda rpc: rpc.name)
every_command = pytest.mark.parametrize(
    "kind",
    [field.message_type for field in pb.Command.DESCRIPTOR.fields],
    ids=lambda kind: kind.name,
)


def _together(cases: Sequence[Case]) -> Iterator[Sequence[Case]]:
    """Yield as many at a time as go into one request."""
    some: list[Case] = []
    for case in cases:
        if len(some) == 999 or sum(len(one.data) + 8 for one in [*some, case]) > MOST_BYTES:
            yield some
            some = []
        some.append(case)
    yield some


@every_command
async def test_every_bad_value_of_every_command_is_named_in_its_place_and_the_others_are_done(
    caller: Caller, path: Path, kind: Descriptor
) -> None:
    cases = [case for case in bad(kind) if REQUEST not in case.paths]
    cases.append(missing(kind))
    before = written(path)
    for some in _together([case for case in cases if len(case.data) < MOST_BYTES]):
        request = message(adding(1, "cup"))
        make = GetMessageClass(kind)
        request.commands.extend(commands(*(make.FromString(case.data) for case in some)))
        response = await caller.commands.ExecuteBatch(
            pb.ExecuteBatchRequest(commands=request.commands)
        )
        done, *results = response.results
        assert done.version
        for case, result in zip(some, results, strict=True):
            seen = refusal_among(result)
            violations = seen.details[BadRequest].field_violations
            where = case.kind, case.data[:200], seen
            assert (seen.code, seen.reason) == (StatusCode.INVALID_ARGUMENT, "INVALID_VALUE")
            assert seen.facts == {"violations": str(case.named)}, where
            assert case.paths.issuperset(violation.field for violation in violations), where
            assert (
                len(violations) == case.named
                or seen.details[BadRequest].ByteSize() > KIBIBYTE - 100
            ), where
            check_form(seen)
    after: Any = written(path)
    assert after[0][:2] == before[0]
    assert all(b"cup" in event for event in after[0][2:])


@every_bulk_rpc
async def test_a_message_that_is_none_is_refused_and_nothing_of_it_is_done(
    caller: Caller, path: Path, rpc: Rpc
) -> None:
    good = message(adding(1)).SerializeToString()
    whole = [case.data for case in broken(pb.AddStockRequest.DESCRIPTOR)]
    before = written(path)
    for data in (b"", b"\xa2\x7d\x03new", good * 1_001, *whole, *(good + one for one in whole)):
        answer = await ask(caller, rpc, data)
        assert answer.code is StatusCode.INVALID_ARGUMENT, data[:200]
        assert set(paths(answer)) <= {REQUEST, "commands"}
    assert written(path) == before
