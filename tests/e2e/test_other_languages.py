"""The clients in languages that need no compiler run as their document says."""

from pathlib import Path

import pytest

from tests.support.clients import answer, need_client, run_client
from tests.support.node import need_node
from tests.support.server_process import ServerProcess


@pytest.mark.parametrize("language", ["node", "ruby", "grpclib"])
async def test_it_calls_follows_and_reads_the_details_of_a_refusal(
    language: str, server: ServerProcess, tmp_path: Path
) -> None:
    match language:
        case "node":
            need_node("@grpc/grpc-js", "@grpc/proto-loader", "protobufjs")
        case "ruby":
            need_client(language)
    (folder := tmp_path / "shop").mkdir()
    assert run_client(language, folder, await server.address()) == answer()
