"""The built wheel installs into an environment that has other packages."""

import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from tests.support.server_process import ENVIRONMENT, ROOT

PROTOS: Final = ("admin", "commands", "errors", "events", "queries", "stock")

SHOP: Final = """
from inventory import models
from inventory_grpc import InventoryClient
from inventory_grpc_protos.v1 import commands_pb2
print(InventoryClient.__module__, commands_pb2.__file__, models.__file__, sep="\\n")
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel; unpack it as an installer does."""
    built, site = tmp_path_factory.mktemp("dist"), tmp_path_factory.mktemp("site")
    run(ROOT, "-m", "hatchling", "build", "-t", "wheel", "-d", str(built))
    [wheel] = built.iterdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return site


def run(folder: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        capture_output=True,
        check=False,
        env={**ENVIRONMENT, **(environment or {})},
        text=True,
    )
    assert not done.returncode, done.stderr
    return done.stdout


def test_it_has_two_packages_and_its_metadata(site: Path) -> None:
    names = {path.name for path in site.iterdir()}
    metadata = {name for name in names if name.endswith(".dist-info")}
    assert len(metadata) == 1
    assert names - metadata == {"inventory_grpc", "inventory_grpc_protos"}


def test_the_client_works_beside_a_package_named_inventory(site: Path, tmp_path: Path) -> None:
    shop = tmp_path / "inventory"
    shop.mkdir()
    (shop / "__init__.py").touch()
    (shop / "models.py").touch()
    environment = {"PYTHONPATH": str(site)}
    client, protos, models = run(tmp_path, "-c", SHOP, environment=environment).splitlines()
    assert client == "inventory_grpc.client.client"
    assert Path(protos).is_relative_to(site)
    assert Path(models).is_relative_to(shop)
    run(tmp_path, "-m", "inventory_grpc", "--help", environment=environment)


def test_the_wire_package_and_the_names_of_the_proto_files_stay(site: Path, tmp_path: Path) -> None:
    code = f"""
from importlib import import_module
for name in {PROTOS}:
    file = import_module(f"inventory_grpc_protos.v1.{{name}}_pb2").DESCRIPTOR
    print(file.package, file.name)
"""
    said = run(tmp_path, "-c", code, environment={"PYTHONPATH": str(site)}).splitlines()
    assert said == [f"inventory.v1 inventory/v1/{name}.proto" for name in PROTOS]
