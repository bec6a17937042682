"""The numbers in the documents are those of the code."""

import re
import tomllib
from pathlib import Path
from typing import Final

import pytest

from inventory_grpc.application.ledger.fills import MAX_FILLS
from inventory_grpc.application.ledger.loop import GIVE_UP_SECONDS
from inventory_grpc.application.queries.events import MAX_STEPS
from inventory_grpc.cli.console import DEFAULT_LISTEN
from inventory_grpc.cli.files.identity import MAX_ROWS
from inventory_grpc.cli.files.text import MAX_ROW
from inventory_grpc.client.calls import FIRST_WAIT, LONGEST_WAIT
from inventory_grpc.client.connections import MAX_CALLS, MAX_STREAMS
from inventory_grpc.console import feed, guard, reads, serving, streams, viewers
from inventory_grpc.domain.values import (
    DEFAULT_TTL,
    MAX_FENCES,
    MAX_LEVEL,
    MAX_LINES,
    MAX_OWN_STATES,
    MAX_TOTAL,
    MAX_TTL,
    MIN_TTL,
    Instant,
    Quantity,
    Text,
)
from inventory_grpc.infrastructure.log.chain import MAX_COMMAND_EVENTS
from inventory_grpc.infrastructure.rows import bounds
from inventory_grpc.infrastructure.sqlite.head_poll import POLL_SECONDS
from inventory_grpc.infrastructure.sqlite.schema import FORMAT
from inventory_grpc.infrastructure.sqlite.write_lock import REPORT_SECONDS
from inventory_grpc.presentation import bulk, command_stream, stalled_readers
from inventory_grpc.presentation.events import DEFAULT_HEARTBEAT
from inventory_grpc.presentation.interceptors import deadline
from inventory_grpc.presentation.interceptors.admission import Limits
from inventory_grpc.presentation.page_tokens import DEFAULT_SIZE, MAX_SIZE
from inventory_grpc.presentation.product import MAX_ATTRIBUTE_KEY_BYTES, MAX_ATTRIBUTES
from inventory_grpc.presentation.server import OPTIONS
from inventory_grpc.presentation.store import MAX_GROUPS
from inventory_grpc.presentation.validation import MAX_VALUES, MAX_VIOLATIONS
from inventory_grpc.server import log_queue, supervisor
from inventory_grpc.server.supervisor import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS
from inventory_grpc.server.worker_link import BEAT_SECONDS
from inventory_grpc.settings import Settings
from tests.support.documents import (
    API,
    BACKORDERS,
    CATALOGUE,
    CLIENTS,
    CONSOLE,
    CONTRIBUTING,
    HANDBOOK,
    MAX_DOCUMENT_LINES,
    MAX_README_LINES,
    README,
    ROOT,
    STOCKS,
    name_of,
    prose_of,
    text_of,
)

MEBIBYTE: Final = 1024 * 1024
DAY: Final = 24 * 3600 * Instant.SECOND
WORDS: Final = {2: "two", 50: "50"}
EVENTS_A_PAGE: Final = bounds.EVENTS_SCANNED * MAX_STEPS
QUIET_SECONDS: Final = supervisor.QUIET_BEATS * BEAT_SECONDS
HUNG_SECONDS: Final = supervisor.HUNG_BEATS * BEAT_SECONDS
DAYS: Final = Settings().remember_days

PYTHON: Final = tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]["requires-python"]

TOLD: Final = [
    (README, f"Python {PYTHON.removeprefix('>=')} or newer"),
    (
        CONTRIBUTING,
        f"has at most {MAX_DOCUMENT_LINES}, the README {MAX_README_LINES}.",
    ),
    (README, f"done exactly once, for {DAYS:.0f} days, unless"),
    (README, f"answered as it was the first time, for {DAYS:.0f} days (setting `remember_days`)."),
    (
        README,
        f"up to {FIRST_WAIT} s, double this bound after each attempt up to {LONGEST_WAIT:.0f} s,",
    ),
    (STOCKS, f"**At most {MAX_FENCES} channels** have units left"),
    (API, f"a cart of up to {MAX_LINES} lines"),
    (API, "1 to 128 characters out of letters, digits and `. _ : - /`"),
    (API, f"whole units, 1 to {Quantity.MAX:,}."),
    (API, f"A level never rises above 10^{len(str(MAX_LEVEL)) - 1}."),
    (API, f"would rise above 10^{len(str(MAX_LEVEL)) - 1},"),
    (API, f"a sum over stores above 2^{MAX_TOTAL.bit_length()} - 1."),
    (API, f"lasts {DEFAULT_TTL / Instant.SECOND / 60:.0f} minutes unless"),
    (API, f"a `ttl` of {MIN_TTL / Instant.SECOND:.0f} second to {MAX_TTL / DAY:.0f} days"),
    (API, f"sends 1 to {bulk.MAX_COMMANDS:,} commands in one message"),
    (API, f"reads {WORDS[command_stream.MAX_AHEAD]} messages of a stream ahead"),
    (API, f"admits {Limits().bulk} batches"),
    (
        API,
        f"A message is at most {dict(OPTIONS)['grpc.max_receive_message_length'] // MEBIBYTE} MiB",
    ),
    (API, f"one command makes at most {MAX_COMMAND_EVENTS} events"),
    (API, f"for {DAYS:.0f} days (setting `remember_days`)"),
    (API, f"Without one, a call has {deadline.MAX_SECONDS:.0f} seconds."),
    (API, f"At most {MAX_VIOLATIONS} violations are named"),
    (API, f"in pages of {DEFAULT_SIZE} rows, or as many as `page_size` says, up to {MAX_SIZE:,}."),
    (API, f"({bounds.STOCKS_SCANNED:,} stocks, {bounds.RESERVATIONS_SCANNED:,} reservations"),
    (API, f"or {EVENTS_A_PAGE:,} events)"),
    (API, f"up to {MAX_VALUES} values each"),
    (API, f"after {DEFAULT_HEARTBEAT / Instant.SECOND:.0f} seconds of silence"),
    (API, f"nothing at all for {stalled_readers.MAX_SECONDS:.0f} seconds"),
    (API, f"was not read for {stalled_readers.MAX_SECONDS:.0f} seconds"),
    (STOCKS, f"at most {MAX_OWN_STATES} more, which the setting `states` names"),
    (CLIENTS, f"at most {MAX_CALLS} calls under way"),
    (CLIENTS, f"{MAX_STREAMS} subscriptions and streams"),
    (CLIENTS, f"at most {MAX_ROW:,} characters, and a file of deliveries {MAX_ROWS:,} rows"),
    (HANDBOOK, f"{log_queue.MAX_WAITING // MEBIBYTE} MiB of lines wait"),
    (HANDBOOK, f"visible within {POLL_SECONDS * 1000:.0f} ms"),
    (HANDBOOK, f"{FIRST_PAUSE_SECONDS} s to {LONGEST_PAUSE_SECONDS:.0f} s, which double until"),
    (HANDBOOK, f"after {QUIET_SECONDS:.0f} s without a sign"),
    (HANDBOOK, f"killed and replaced after {HUNG_SECONDS:.0f} s"),
    (HANDBOOK, f"log its name after {REPORT_SECONDS:.0f} s"),
    (BACKORDERS, f"more than {MAX_FILLS} lines at once"),
    (API, f"{bounds.RESERVATIONS_SCANNED:,} reservations or stores"),
    (
        API,
        f"{bounds.LINES_SCANNED:,} events of the stocks that a list of reservations or of promises",
    ),
    (CATALOGUE, f"`sku`, `name`: {Text.MAX_BYTES} bytes each; `attributes`: {MAX_ATTRIBUTES},"),
    (CATALOGUE, f"keys of {MAX_ATTRIBUTE_KEY_BYTES} bytes and values of {Text.MAX_BYTES} |"),
    (CATALOGUE, f"`name`: {Text.MAX_BYTES} bytes; `kind`; `groups`: {MAX_GROUPS} |"),
    (HANDBOOK, f"This release has format {FORMAT} "),
    (README, f"live on `http://{DEFAULT_LISTEN}`"),
    (CONSOLE, f"on http://{DEFAULT_LISTEN};"),
    (CONSOLE, f"| open pages (event streams) of a console | {streams.MAX_STREAMS};"),
    (CONSOLE, f"| sessions | {viewers.MAX_SESSIONS};"),
    (CONSOLE, f"memory of the console for {viewers.SESSION_SECONDS // 3_600} hours"),
    (CONSOLE, f"| rows of a page of a list; of any table | {reads.PAGE}; 200 |"),
    (CONSOLE, f"catches up on | {feed.MAX_BEHIND:,}; if it has missed more,"),
    (CONSOLE, f"it gets the newest {feed.MAX_RECENT:,} and"),
    (CONSOLE, f"| connections | {serving.MAX_CONNECTIONS};"),
    (CONSOLE, f"| a request; its header | {guard.MAX_BODY // 1_024} KiB;"),
    (CONSOLE, f"is disconnected after {streams.STALLED_SECONDS:.0f} seconds |"),
]

MAX_SMALL: Final = 9
"""Larger numbers are limits, or are named here."""

WITHOUT_A_LIMIT: Final = {
    "16": "bits of UTF-16",
    "64": "bits of a number",
    "2^53": "what JavaScript can count",
    "500": "commands of a message in the benchmarks",
    "100,000": "commands of an example",
}


@pytest.mark.parametrize(("document", "words"), TOLD, ids=lambda value: str(value)[-40:])
def test_a_document_has_the_number_of_the_code(document: Path, words: str) -> None:
    assert words in " ".join(text_of(document).split()), name_of(document)


@pytest.mark.parametrize("document", [README, API, CLIENTS, STOCKS, HANDBOOK], ids=name_of)
def test_every_number_in_the_prose_of_a_document_is_held_by_a_test(document: Path) -> None:
    prose = re.sub(
        r"<!-- make bench.*<!-- end of make bench -->", "", prose_of(document), flags=re.DOTALL
    )
    left = _plain(prose)
    for owner, words in TOLD:
        if owner == document:
            left = left.replace(_plain(words), "")
    numbers = {one.strip(",") for one in re.findall(r"\d[\d,^]*", left)}
    large = {one for one in numbers if "^" in one or int(one.replace(",", "")) > MAX_SMALL}
    assert large <= {*WITHOUT_A_LIMIT}


def _plain(text: str) -> str:
    """Return *text* on one line, without code and the targets of links."""
    return " ".join(re.sub(r"`[^`\n]*`|\]\([^)]*\)|^\d+\. ", "", text, flags=re.MULTILINE).split())


def test_a_minute_is_a_minute() -> None:
    assert supervisor.STEADY_SECONDS == GIVE_UP_SECONDS == 60
    assert "Storage that stays broken for a minute ends the server" in text_of(HANDBOOK)


def test_one_caller_may_take_half_of_the_room() -> None:
    assert Settings().caller_share == 0.5
    assert "may take half of the room for calls (`caller_share`)" in text_of(HANDBOOK)
