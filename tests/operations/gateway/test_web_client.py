"""The client for browsers runs as its document says, through Envoy."""

from pathlib import Path

from tests.support.clients import answer, run_client
from tests.support.gateway import Gateway
from tests.support.node import need_node


def test_it_calls_follows_and_reads_the_details_of_a_refusal(
    envoy: Gateway, tmp_path: Path
) -> None:
    need_node("@bufbuild/protoc-gen-es", "@connectrpc/connect", "@connectrpc/connect-web")
    assert run_client("web", tmp_path, envoy.address) == answer()
