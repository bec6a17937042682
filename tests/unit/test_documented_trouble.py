"""The tables of log lines, errors and differences have only lines that the program writes."""

import re
from typing import Final

from inventory_grpc.application.ledger.circuit_breaker import MAX_WAIT_SECONDS, BreakerState
from inventory_grpc.infrastructure.read_models import TABLES
from inventory_grpc.infrastructure.sqlite.opening import PATIENCE_SECONDS
from inventory_grpc_protos.v1.admin_pb2 import Writes
from inventory_grpc_protos.v1.errors_pb2 import ErrorReason
from tests.support.documents import HANDBOOK, ROOT, rows_of, text_of

TROUBLE: Final = HANDBOOK.parent / "trouble/README.md"
SOURCE: Final = re.sub(
    r'"\s*f?"',
    "",
    "".join(text_of(path) for path in sorted((ROOT / "inventory_grpc").rglob("*.py"))),
)


def _lines(*headings: str) -> list[str]:
    rows = rows_of(text_of(TROUBLE), *headings)
    return [line for row in rows for line in re.findall(r"[^`]+", row[0]) if len(line) > len(" … ")]


def test_each_line_in_the_tables_is_one_that_the_program_writes() -> None:
    states = {f"circuit breaker is {state.value}" for state in BreakerState}
    lines = _lines("line", "meaning")
    assert states <= set(lines)
    for line in [*lines, *_lines("error", "meaning")]:
        assert line in states or line in SOURCE, line


def test_each_refusal_in_the_tables_is_one_of_the_api() -> None:
    reasons = {name.removeprefix("ERROR_REASON_") for name in [*ErrorReason.keys()]}
    known = reasons | {*Writes.keys()}
    assert all(name.split("`")[0] in known for name, *_ in rows_of(text_of(TROUBLE), "refusal"))


def test_the_tables_that_rebuild_mends_are_the_read_models() -> None:
    mended, *_ = rows_of(text_of(TROUBLE), "line begins with")
    assert set(re.findall(r"\w+", mended[0])) == {*TABLES}
    assert "inventory-grpc rebuild" in mended[2]


def test_the_waits_in_the_tables_are_those_of_the_program() -> None:
    assert PATIENCE_SECONDS == 10
    assert "has waited ten seconds for a server" in text_of(TROUBLE)
    assert 1.5 * MAX_WAIT_SECONDS < 30
    for document in (TROUBLE, HANDBOOK):
        assert "within half a minute" in text_of(document)
