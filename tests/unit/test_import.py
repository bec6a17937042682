"""The package exports the names of the client and imports them on demand."""

import subprocess
import sys
from typing import Final

import pytest

import inventory_grpc
from inventory_grpc import client
from tests.support.server_process import ENVIRONMENT

LIBRARIES: Final = ("apsw", "google.protobuf", "grpc", "inventory_grpc.client", "tenacity")


def imported_by(statements: str) -> set[str]:
    """Return the modules that a new interpreter has after *statements*."""
    done = subprocess.run(
        [sys.executable, "-c", f"{statements}\nimport sys\nprint(*sys.modules)"],
        capture_output=True,
        check=True,
        env=ENVIRONMENT,
        text=True,
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("name", client.__all__)
def test_every_name_of_the_client_can_be_imported_from_the_package(name: str) -> None:
    assert getattr(inventory_grpc, name) is getattr(client, name)
    assert name in dir(inventory_grpc)


def test_a_star_imports_the_names_of_the_client() -> None:
    assert "inventory_grpc.client" in imported_by("from inventory_grpc import *\nInventoryClient")


def test_importing_the_package_imports_no_library() -> None:
    assert not imported_by("import inventory_grpc").intersection(LIBRARIES)


def test_importing_the_command_line_imports_neither_grpc_nor_the_client() -> None:
    names = imported_by("from inventory_grpc import cli")
    assert not names.intersection({"grpc", "inventory_grpc.client", "tenacity"})


def test_importing_a_name_of_the_client_imports_nothing_of_the_server() -> None:
    names = imported_by("from inventory_grpc import InventoryClient")
    assert "inventory_grpc.client" in names
    assert not [name for name in names if name.startswith(("apsw", "inventory_grpc.bootstrap"))]


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    for name in ("Inventory", "inventory"):
        with pytest.raises(AttributeError, match=f"inventory_grpc.*{name}"):
            getattr(inventory_grpc, name)
