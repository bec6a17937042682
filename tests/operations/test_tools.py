"""The programs that these tests run are installed, and answer."""

import subprocess

import pytest

from tests.support.tools import find_tool


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("chromium", "Chromium 1"),
        ("envoy", "/1.40."),
        ("prometheus", "prometheus, version 2."),
        ("promtool", "promtool, version 2."),
        ("prometheus-alertmanager", "alertmanager, version 0."),
    ],
)
def test_each_program_tells_its_version(name: str, answer: str) -> None:
    told = subprocess.run(
        [find_tool(name), "--version"], capture_output=True, check=True, text=True
    )
    assert answer in told.stdout + told.stderr
