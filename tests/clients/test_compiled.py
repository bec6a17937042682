"""The clients in languages that need a compiler run as their document says; `make clients`."""

from pathlib import Path

import pytest

from tests.support.clients import SECONDS, answer, need_client, run_client
from tests.support.server_process import server_process


@pytest.mark.timeout(SECONDS)
@pytest.mark.parametrize("language", ["go", "java", "cpp"])
async def test_it_calls_follows_and_reads_the_details_of_a_refusal(
    language: str, tmp_path: Path
) -> None:
    need_client(language)
    (folder := tmp_path / "shop").mkdir()
    async with server_process(tmp_path / "inventory.db", tmp_path / "server.log") as server:
        assert run_client(language, folder, await server.address()) == answer()
