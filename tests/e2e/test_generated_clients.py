"""Clients in other languages, generated from `protos/`."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from google.protobuf.descriptor import FileDescriptor

from inventory_grpc_protos.v1 import (
    admin_pb2,
    commands_pb2,
    errors_pb2,
    events_pb2,
    queries_pb2,
    stock_pb2,
)
from tests.support.node import MODULES, need_node
from tests.support.server_process import ROOT

FILES: Final = [
    module.DESCRIPTOR
    for module in (admin_pb2, commands_pb2, errors_pb2, events_pb2, queries_pb2, stock_pb2)
]
SCRIPT: Final = """
import { create, toBinary } from "@bufbuild/protobuf";
import { AddStockRequestSchema, InventoryCommands } from "./gen/es/inventory/v1/commands_pb.js";
import { ErrorInfoSchema } from "./gen/es/google/rpc/error_details_pb.js";

const request = create(AddStockRequestSchema, { productId: "kettle", quantity: 5n });
const bytes = Buffer.from(toBinary(AddStockRequestSchema, request)).toString("hex");
console.log(JSON.stringify([bytes, InventoryCommands.typeName, ErrorInfoSchema.typeName]));
"""


def test_buf_generates_a_client_as_its_template_says(tmp_path: Path) -> None:
    need_node("@bufbuild/protobuf", "@bufbuild/protoc-gen-es")
    protos = tmp_path / "protos"
    shutil.copytree(ROOT / "protos", protos, ignore=shutil.ignore_patterns("gen"))
    programs = [str(Path(sys.executable).parent), str(MODULES / ".bin"), os.environ["PATH"]]
    subprocess.run(
        ["buf", "generate"],
        cwd=protos,
        check=True,
        env={**os.environ, "PATH": os.pathsep.join(programs)},
    )
    (protos / "node_modules").symlink_to(MODULES)
    (protos / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    (protos / "client.js").write_text(SCRIPT, encoding="utf-8")
    said = subprocess.run(["node", "client.js"], cwd=protos, check=True, capture_output=True)
    request, service, detail = json.loads(said.stdout)
    expected = commands_pb2.AddStockRequest(product_id="kettle", quantity=5)
    assert commands_pb2.AddStockRequest.FromString(bytes.fromhex(request)) == expected
    assert (service, detail) == ("inventory.v1.InventoryCommands", "google.rpc.ErrorInfo")


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.name))
def test_every_file_names_its_packages_in_go_and_java(file: FileDescriptor) -> None:
    options = file.GetOptions()
    assert options.go_package == "inventory/v1;inventoryv1"
    assert (options.java_package, options.java_multiple_files) == ("inventory.v1", True)
