"""A long start reports its progress: in the log, where there is no terminal."""

import logging

import pytest

from inventory_grpc.server import progress


def test_lines_come_now_and_then(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = 0.0
    monkeypatch.setattr("inventory_grpc.server.progress.time.monotonic", lambda: now)
    with caplog.at_level(logging.INFO), progress.progress_of_start("rebuilding") as at:
        for done in range(1_000, 4_001, 1_000):
            now += 0.6 * progress.LINE_SECONDS
            at(done, 4_000)
    assert caplog.messages == ["rebuilding: 2,000 of 4,000", "rebuilding: 4,000 of 4,000"]
