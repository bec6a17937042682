"""The metrics are well formed by the rules of Prometheus."""

import asyncio
import subprocess
from pathlib import Path

import pytest

from tests.support.caller import adding, calling, line, refused, reserving
from tests.support.scraping import get, page_address
from tests.support.tools import find_tool
from tests.support.workers import supervised


@pytest.mark.parametrize("workers", [1, 4])
async def test_promtool_finds_nothing_wrong(tmp_path: Path, workers: int) -> None:
    promtool = find_tool("promtool")
    database, log, listen = tmp_path / "i.db", tmp_path / "log", "127.0.0.1:0"
    with supervised(database, log, "--metrics-listen", listen, workers=workers) as server:
        async with calling(await server.address()) as caller:
            await caller.commands.AddStock(adding(5))
            await refused(caller.commands.ReserveStock(reserving(line(9))))
        answer = await get(await page_address(server))
    assert answer.text.count("inventory_worker_up{") == workers
    samples = [line for line in answer.text.splitlines() if not line.startswith("#")]
    assert all('worker="' in sample for sample in samples)
    assert len({sample.rpartition(" ")[0] for sample in samples}) == len(samples)
    checked = await asyncio.to_thread(
        subprocess.run,
        [promtool, "check", "metrics"],
        check=False,
        capture_output=True,
        input=answer.text,
        text=True,
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
