"""Checks that hold for every answer, whatever the request was."""

import re
from pathlib import Path
from typing import Final, NamedTuple

import grpc.aio
from google.rpc.error_details_pb2 import BadRequest
from grpc import StatusCode

from tests.robustness.rpcs import Rpc
from tests.support.caller import Caller, Refused, refusal
from tests.support.opened import rows, stored

INSIDES: Final = re.compile(
    r"Traceback|File \"|line \d+|\b\w+(Error|Exception)\b|<class|object at|0x[0-9a-f]{4}"
    r"|\b(SELECT|INSERT|UPDATE|DELETE|sqlite|apsw|psycopg|asyncio|inventory_grpc)\b|_pb2|\.py\b"
    r"|/(usr|home|srv|tmp|root|opt)/|secret|password"
)
"""Texts that no caller may see."""

MOST_DETAILS: Final = 4_096
MOST_MESSAGE: Final = 512

TRUTH: Final = (
    "events",
    "requests",
    "streams",
    "subjects",
    "reservations",
    "reservation_lines",
    "stocks",
)
"""The tables that a command may write to."""


class Answer(NamedTuple):
    """The end of a call: a message, or a refusal."""

    message: bytes
    refused: Refused | None

    @property
    def code(self) -> StatusCode:
        return self.refused.code if self.refused else StatusCode.OK


async def ask(caller: Caller, rpc: Rpc, data: bytes) -> Answer:
    """Send *data* as the request of *rpc*."""
    try:
        return Answer(await rpc.answer(caller.channel, data), None)
    except grpc.aio.AioRpcError as error:
        return Answer(b"", refusal(error))


def check_form(refused: Refused) -> None:
    """Check that a refusal is short, is ASCII, and tells nothing of the inside.

    Raises:
        AssertionError: it is not.
    """
    assert refused.code is not StatusCode.UNKNOWN, refused
    assert len(refused.message) <= MOST_MESSAGE, refused.message
    assert refused.message.isascii(), refused.message
    assert refused.message.isprintable(), refused.message
    assert len(refused.trailers.get("grpc-status-details-bin", b"")) < MOST_DETAILS
    bad = refused.details.get(BadRequest, BadRequest())
    said = [refused.message, *refused.facts.values()]
    said += [violation.description for violation in bad.field_violations]
    for text in said:
        assert not INSIDES.search(text), text


def paths(answer: Answer) -> list[str]:
    """Return the paths of what is wrong, and check that this is why it was refused."""
    refused = answer.refused
    assert refused, "it was taken"
    assert refused.code is StatusCode.INVALID_ARGUMENT, refused
    assert refused.reason == "INVALID_VALUE", refused
    named = [violation.field for violation in refused.details[BadRequest].field_violations]
    assert refused.facts == {"violations": str(len(named))}
    return named


def written(path: str | Path) -> list[object]:
    """Return all there is in the file that a command could have changed."""
    counts = [rows(path, f"SELECT * FROM {table} ORDER BY 1, 2") for table in TRUTH]  # noqa: S608  our own tables
    return [stored(path), *counts]
