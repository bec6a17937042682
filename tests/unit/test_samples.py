"""The samples cover every rpc of the contract and every field that a test needs."""

import pytest
from google.protobuf.message import Message

from inventory_grpc_protos.v1.commands_pb2 import Command
from tests.support.samples import COMMANDS, INSTEAD, METHODS, SAMPLES, SHARED


def test_every_rpc_has_a_sample_and_no_other() -> None:
    assert {name: request.DESCRIPTOR for name, request in SAMPLES.items()} == {
        name: method.input_type for name, method in METHODS.items()
    }


def test_every_command_that_can_be_sent_among_others_is_one_of_the_commands() -> None:
    kinds = {field.message_type for field in Command.DESCRIPTOR.fields}
    assert {request.DESCRIPTOR for request in COMMANDS.values()} == kinds


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_has_every_field_that_is_its_own(name: str) -> None:
    assert _unset(SAMPLES[name]) == set()


def _unset(request: Message) -> set[str]:
    """Return the fields that are not set, but for shared ones and those one of which is enough."""
    told = {field.name for field, _ in request.ListFields()}
    chosen = {
        field.name
        for oneof in request.DESCRIPTOR.oneofs
        for field in oneof.fields
        if len(oneof.fields) > 1
    }
    kind = request.DESCRIPTOR.name
    instead = {
        field.name for field in request.DESCRIPTOR.fields if f"{kind}.{field.name}" in INSTEAD
    }
    return (
        {field.name for field in request.DESCRIPTOR.fields}
        - told
        - chosen
        - {"commands"}
        - instead
        - set(SHARED)
    )
