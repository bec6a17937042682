"""The metrics are well formed by the rules of Prometheus."""

import asyncio
import re
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.support.caller import adding, calling, line, refused, reserving
from tests.support.scraping import SECONDS, get, page_address
from tests.support.tools import find_tool
from tests.support.workers import supervised

UP: Final = re.compile(r'^inventory_worker_up\{worker="\d"\} 1$', re.MULTILINE)
"""The sample of a worker whose other samples are on the page too."""


@pytest.mark.parametrize("workers", [1, 4])
async def test_promtool_finds_nothing_wrong(tmp_path: Path, workers: int) -> None:
    promtool = find_tool("promtool")
    database, log, listen = tmp_path / "i.db", tmp_path / "log", "127.0.0.1:0"
    with supervised(database, log, "--metrics-listen", listen, workers=workers) as server:
        async with calling(await server.address()) as caller:
            await caller.commands.AddStock(adding(5))
            await refused(caller.commands.ReserveStock(reserving(line(9))))
        page = await page_address(server)
        answer = await get(page)
        async with asyncio.timeout(SECONDS):
            # a worker that does not answer in time is left out of one page, and is in the next
            while len(UP.findall(answer.text)) < workers:
                answer = await get(page)
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
