"""G12: input of callers never forges a log line or controls a terminal."""

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import structlog
from google.protobuf.message import Message
from grpc import StatusCode

from inventory_grpc.choices import LogFormat
from inventory_grpc.server.logs import set_up_logging
from inventory_grpc_protos.v1 import commands_pb2
from tests.robustness.bad_input import good, put
from tests.robustness.harmless import ask
from tests.robustness.raw_http2 import Wire, frame, headers, wire
from tests.robustness.rpcs import OURS, Rpc
from tests.support.caller import adding, calling
from tests.support.server_process import ServerProcess
from tests.support.waiting import eventually

GET_STOCK: Final = next(rpc for rpc in OURS if rpc.name == "GetStock")

FORGERY: Final = (
    '\n{"event": "forged"}\r\n2026-11-24T12:00:00Z [info     ] forged \x1b]0;x\x07\x1b[2J'
)
UNPRINTABLE: Final = "\1\x7f\x85\ufeff\u2028\u202e\u200b"
EVIL: Final = FORGERY + UNPRINTABLE

CANARY: Final = "to be told to nobody"

ENTRY: Final = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z \[\w+ *\] |    ")
"""The start of a readable line, or of the next line of a traceback."""
COLOUR: Final = re.compile(r"\x1b\[\d*(;\d+)*m")


def _check_lines(log: str, how: LogFormat) -> None:
    """Check that there is nothing in *log* but entries, and nothing in these but text.

    Raises:
        AssertionError: there is.
    """
    for entry in log.split("\n")[:-1]:
        plain = COLOUR.sub("", entry)
        assert plain.isprintable(), ascii(entry)
        if how is LogFormat.JSON:
            assert plain.startswith('{"'), entry
            assert '"event": "forged"' not in plain
        else:
            assert ENTRY.match(plain), entry


def _with_evil_text(rpc: Rpc) -> list[Message]:
    """Return a request for each text in it, which is evil."""
    requests = []
    for field in rpc.input.DESCRIPTOR.fields:
        if field.type == field.TYPE_STRING:
            request = good(rpc.input.DESCRIPTOR)
            put(request, field, [EVIL] if field.is_repeated else EVIL)
            requests.append(request)
    return requests


async def _speak_ill(evil: Wire) -> None:
    """Send metadata that gRPC's core complains about, and some that it takes."""
    request = frame(good(GET_STOCK.input.DESCRIPTOR).SerializeToString())
    for name, value in (
        (b"te", EVIL.encode()),
        (b"grpc-encoding", EVIL.encode()),
        (b"x-bin", EVIL.encode()),
        (b"x-evil", EVIL.encode()),
        (b"X-Upper", b"a"),
    ):
        stream = await evil.begin([*headers(GET_STOCK.method), (name, value)], request)
        await evil.answer(stream)


@pytest.mark.parametrize("how", [LogFormat.JSON, LogFormat.CONSOLE], ids=lambda how: how.value)
async def test_input_of_callers_never_makes_a_log_line_of_its_own(
    path: Path, tmp_path: Path, how: LogFormat
) -> None:
    log_file, calls = tmp_path / "log", 0
    server = ServerProcess.begin(path, log_file, "--log-format", how.value)
    try:
        address = await server.address()
        async with calling(address) as caller:
            for rpc in OURS:
                for request in _with_evil_text(rpc):
                    await ask(caller, rpc, request.SerializeToString())
                    calls += 1
            evil_method = GET_STOCK._replace(method=f"/inventory.v1.{EVIL}/x")
            assert (await ask(caller, evil_method, b"")).code is StatusCode.UNIMPLEMENTED
            async with wire(address) as evil:
                await _speak_ill(evil)
            note: dict[str, Any] = {"reason": EVIL, "reference": EVIL}
            await caller.commands.AddStock(adding(1, "toaster", "porto", **note))
            assert (await caller.log())[-1].reason == EVIL, "free text is kept as it is"
        await eventually(lambda: len(log_file.read_text("utf-8").split("\n")) > calls)
        server.terminate()
        assert await server.ended() == 0
    finally:
        server.kill()
    log = log_file.read_text("utf-8")
    assert len(log.split("\n")) > calls
    _check_lines(log, how)


@pytest.fixture
def _logging_is_put_back(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Set up logging for one test only."""
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr(logging.root, "level", logging.root.level)
    yield
    structlog.reset_defaults()


@pytest.mark.usefixtures("_logging_is_put_back")
@pytest.mark.parametrize("how", [LogFormat.JSON, LogFormat.CONSOLE], ids=lambda how: how.value)
def test_a_bug_is_logged_without_the_content_of_the_request(
    how: LogFormat, capsys: pytest.CaptureFixture[str]
) -> None:
    """A traceback with the variables of its frames would put requests, and tokens, into the log."""
    set_up_logging(how)

    def handle(request: Message) -> None:
        assert request.ByteSize()
        raise ValueError(EVIL)

    request = commands_pb2.AddStockRequest(reason=CANARY)
    try:
        handle(request)
    except ValueError:
        logging.getLogger("bug").exception("internal error in %s", EVIL)
    told = capsys.readouterr().err
    assert "Traceback" in told
    assert CANARY not in told
    _check_lines(told, how)
