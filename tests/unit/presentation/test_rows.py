"""The rows of the nouns are the methods of the contract, and the entries of `Command`."""

import pytest

from inventory_grpc.application.access import Role
from inventory_grpc.domain.values import DEFAULT_TTL, Ttl
from inventory_grpc.presentation import services
from inventory_grpc.presentation.commands import MANY, ROLES, rows_by_kind
from inventory_grpc.presentation.nouns import QUERY_ROWS, command_rows
from inventory_grpc.presentation.services import Service
from inventory_grpc_protos.v1 import commands_pb2 as pb

COMMAND_ROWS = command_rows(Ttl(DEFAULT_TTL))


@pytest.mark.parametrize(
    "service", [*services.OURS, services.HEALTH], ids=lambda service: service.descriptor.name
)
def test_every_method_of_the_contract_has_a_role_and_there_are_no_others(service: Service) -> None:
    assert sorted(service.roles) == sorted(service.descriptor.methods_by_name)


def test_commands_are_for_operators_and_the_server_is_for_admins() -> None:
    assert {service.descriptor.name: set(service.roles.values()) for service in services.OURS} == {
        "InventoryCommands": {Role.OPERATOR},
        "InventoryQueries": {Role.READER},
        "InventoryEvents": {Role.READER},
        "InventoryAdmin": {Role.ADMIN},
    }


def test_every_command_and_query_of_the_contract_has_one_row() -> None:
    names = [row.name for row in COMMAND_ROWS]
    assert sorted([*names, *MANY]) == sorted(services.COMMANDS.descriptor.methods_by_name)
    queries = [row.name for row in QUERY_ROWS]
    assert sorted(queries) == sorted(services.QUERIES.descriptor.methods_by_name)


def test_every_command_may_be_one_of_many() -> None:
    kinds = rows_by_kind(COMMAND_ROWS)
    assert sorted(kinds) == sorted(field.name for field in pb.Command.DESCRIPTOR.fields)
    assert sorted(row.name for row in kinds.values()) == sorted(row.name for row in COMMAND_ROWS)


def test_many_commands_need_the_role_of_any_of_them() -> None:
    assert all(ROLES[name] == max(row.role for row in COMMAND_ROWS) for name in MANY)
