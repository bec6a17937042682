"""Log lines: those of calls are written together, and each is what it would be alone."""

import io
import json
import logging
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

import orjson
import pytest
import structlog
from hypothesis import example, given
from hypothesis import strategies as st

from inventory_grpc.choices import LogFormat
from inventory_grpc.server.logs import set_up_logging

Line = dict[str, Any]

OK: Final[Line] = {
    "method": "/inventory.v1.InventoryQueries/GetStock",
    "code": "OK",
    "duration_ms": 0.25,
    "peer": "ipv4:127.0.0.1:50051",
    "request_id": "",
}
"""A line without text of a caller."""

ANY_TEXT: Final = st.text(st.characters(exclude_categories=()), max_size=20)
"""With surrogates, which no encoding has."""
PRINTABLE: Final = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7F), max_size=20)
VALUES: Final = (
    PRINTABLE | ANY_TEXT | st.integers() | st.floats() | st.booleans() | st.none() | st.binary()
)

lines: Final = st.builds(
    lambda **some: OK | some,
    request_id=PRINTABLE | ANY_TEXT,
    peer=PRINTABLE | ANY_TEXT,
    duration_ms=st.floats(0, 1e9).map(lambda number: round(number, 3)),
    reason=VALUES,
    trace_id=VALUES,
)


def encoded(line: Line) -> str:
    """Return *line* as it is encoded alone: in printable ASCII, and by orjson if that can."""
    with suppress(TypeError):
        text = orjson.dumps(line, default=repr).decode()
        if text.isascii() and text.isprintable():
            return text
    return json.dumps(line, default=repr)


@pytest.fixture(autouse=True)
def _logging_is_put_back(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr(logging.root, "level", logging.root.level)
    yield
    structlog.reset_defaults()


def written(
    how: LogFormat, each: list[Line], worker: int | None = None, level: str = "info"
) -> str:
    """Write the lines of calls together, and return what is written."""
    stream = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", stream)
        set_up_logging(how, worker)
        getattr(structlog.get_logger("inventory_grpc.calls"), level)("call", each=each)
    return stream.getvalue()


def time_in(line: str) -> str:
    """Return the timestamp of a line, which is the same in all lines that are written together."""
    return str(json.loads(line)["timestamp"])


@given(st.lists(lines, min_size=1, max_size=5), st.sampled_from([None, 3]))
@example([OK, OK | {"request_id": "\x7f"}, OK], None)
@example([OK | {"request_id": "kettle-ü"}], None)
@example([OK | {"request_id": "\ud800"}, OK], 1)
@example([OK | {"request_id": '"},\n\\u'}], 1)
def test_lines_written_together_are_those_of_the_encoder_byte_by_byte(
    each: list[Line], worker: int | None
) -> None:
    told = written(LogFormat.JSON, each, worker)
    common: Line = {"event": "call", "level": "info", "timestamp": time_in(told.split("\n")[0])}
    if worker:
        common["worker"] = worker
    assert told == "".join(f"{encoded(line | common)}\n" for line in each)


def test_lines_for_a_terminal_are_one_for_each_call() -> None:
    told = written(LogFormat.CONSOLE, [OK, OK | {"request_id": "q1\n"}])
    first, second = told.splitlines()
    assert "call" in first
    assert r"q1\n" in second
    assert OK["peer"] in first


@pytest.mark.parametrize("how", [LogFormat.JSON, LogFormat.CONSOLE], ids=lambda how: how.value)
def test_lines_below_the_level_are_not_written(how: LogFormat) -> None:
    assert written(how, [OK], level="debug") == ""
