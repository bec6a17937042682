"""The documents say what the code does, and all they name is there."""

import re
import shlex
from dataclasses import fields
from pathlib import Path
from typing import Any, Final, cast

import pytest
import typer
from google.protobuf.descriptor import EnumDescriptor, FileDescriptor
from grpc import StatusCode
from typer.core import TyperGroup

from inventory_grpc.cli import app
from inventory_grpc.cli.calls.options import SERVER_VARIABLE
from inventory_grpc.cli.relay import TARGET_VARIABLE
from inventory_grpc.client import InventoryClient
from inventory_grpc.domain.values import BUILT_IN_STATES
from inventory_grpc.presentation.errors import STATUS
from inventory_grpc.server.environment import variable, written
from inventory_grpc.settings import Settings
from inventory_grpc.testing import fixtures
from inventory_grpc_protos.v1 import admin_pb2, commands_pb2, events_pb2, queries_pb2, stock_pb2
from inventory_grpc_protos.v1.errors_pb2 import ErrorReason
from inventory_grpc_protos.v1.stock_pb2 import ReservationState
from scripts.bench.__main__ import main
from tests.support.documents import (
    API,
    CLIENTS,
    HANDBOOK,
    MAX_DOCUMENT_LINES,
    MAX_FIRST_SCREEN_LINES,
    MAX_README_LINES,
    PROMISES,
    README,
    ROOT,
    STOCKS,
    code_of,
    documents,
    links_of,
    name_of,
    prose_of,
    rows_of,
    section_of,
    text_of,
)

BOOK: Final = "".join(map(text_of, documents()))
REASONS: Final = {ErrorReason.Name(one).removeprefix("ERROR_REASON_") for _, one in STATUS.values()}
WRITTEN_BY_READERS: Final = {"gen/", "ben.py", "toasters.py"}
WITHOUT_A_REASON: Final = ["DEADLINE_EXCEEDED", "CANCELLED", "UNAVAILABLE", "any other"]
FILES: Final[list[FileDescriptor]] = [
    module.DESCRIPTOR for module in (admin_pb2, commands_pb2, events_pb2, queries_pb2, stock_pb2)
]
CALLS: Final = {
    service.full_name: {method.name for method in service.methods}
    for file in FILES
    for service in file.services_by_name.values()
}
MESSAGES: Final = {
    f"{file.package}.{name}" for file in FILES for name in file.message_types_by_name
}
COMMANDS: Final = typer.main.get_group(app)

each_document = pytest.mark.parametrize("document", documents(), ids=name_of)


def test_every_setting_is_in_the_handbook_with_its_default_and_meaning() -> None:
    assert rows_of(text_of(HANDBOOK), "setting") == [
        [setting.name, written(setting.default), setting.metadata["doc"].strip("`")]
        for setting in fields(Settings)
    ]


def test_every_variable_that_a_document_names_is_that_of_a_setting() -> None:
    named = set(re.findall(r"\bINVENTORY_[A-Z_]+", BOOK))
    assert len(named) > 2
    known = {variable(setting.name) for setting in fields(Settings)}
    assert named <= known | {"INVENTORY_", SERVER_VARIABLE, TARGET_VARIABLE}


def test_every_refusal_is_in_the_table_of_errors_with_its_code_and_reason() -> None:
    told = {reason: code for code, reason, *_ in rows_of(text_of(API), "code") if reason}
    assert told == {
        ErrorReason.Name(reason).removeprefix("ERROR_REASON_"): code.name
        for code, reason in STATUS.values()
    }


def test_errors_without_a_reason_are_in_the_table_by_code_and_leave_the_outcome_open() -> None:
    told = {code: when for code, reason, when, _ in rows_of(text_of(API), "code") if not reason}
    assert list(told) == WITHOUT_A_REASON
    assert all("**The command may" in when for when in told.values())


def test_every_error_has_something_to_do() -> None:
    assert all(row[3] for row in rows_of(text_of(API), "code", "reason", "when", "do"))


def test_the_retry_rules_name_every_code_once() -> None:
    rows = rows_of(text_of(README), "code", "recorded?", "do")
    codes = [code for row in rows for code in _codes_of(row[0])]
    two_kinds = ["RESOURCE_EXHAUSTED", "UNAVAILABLE"]  # with a reason, and without one
    assert sorted(codes) == sorted(
        [*({"OK", *WITHOUT_A_REASON} | {code.name for code, _ in STATUS.values()}), *two_kinds]
    )


def test_the_retry_rules_leave_open_what_the_errors_leave_open() -> None:
    rows = rows_of(text_of(README), "code", "recorded?", "do")
    certain = {code for row in rows if row[1] == "no" for code in _codes_of(row[0])}
    perhaps = {code for row in rows if row[1] == "perhaps" for code in _codes_of(row[0])}
    in_doubt = {code for code, _, when, _ in rows_of(text_of(API), "code") if "**" in when}
    assert in_doubt <= perhaps
    assert certain & in_doubt == {"UNAVAILABLE"}, "with the reasons of which nothing is written"
    assert len(certain) > 5


def _codes_of(cell: str) -> list[str]:
    """Return the codes in a cell of the retry rules, without the reasons that it names."""
    codes = {"OK", "any other", *(code.name for code in StatusCode)}
    return [code for code in re.findall(r"any other|[A-Z_]{2,}", cell) if code in codes]


def test_the_drawing_of_a_reservation_has_every_state_and_only_calls_that_exist() -> None:
    drawn = section_of(README, "A reservation")
    assert set(re.findall(r"\b[A-Z]{4,}\b", drawn)) == {
        name.removeprefix("RESERVATION_STATE_") for name in ReservationState.keys()[1:]
    }
    named = set(re.findall(r"\b(?:Reserve|Extend|Commit|Release)\w+", drawn))
    assert len(named) == 4
    assert named <= CALLS["inventory.v1.InventoryCommands"]


def test_every_call_is_in_the_table_of_services() -> None:
    service, told = "", {name: set[str]() for name in CALLS}
    for name, calls, _ in rows_of(text_of(API), "service", "rpc"):
        linked = re.search(r"\w+", name)
        service = f"inventory.v1.{linked[0]}" if linked else service
        told[service] |= set(re.findall(r"\w+", calls))
    assert told == CALLS


@each_document
def test_every_call_and_message_that_a_document_names_in_full_is_there(document: Path) -> None:
    named = re.findall(r"\b(inventory\.v1\.[A-Z]\w+)(?:/([A-Z]\w+))?", text_of(document))
    assert {name for name, _ in named} <= {*CALLS, *MESSAGES, "inventory.v1.ShortLines"}
    assert all(call in CALLS[name] for name, call in named if call)


def _values(file: FileDescriptor) -> set[str]:
    enums: list[EnumDescriptor] = list(file.enum_types_by_name.values())
    full = {value.name for enum in enums for value in enum.values}
    return full | {name.partition("_STATE_")[2] for name in full}


def test_every_code_reason_and_state_that_a_document_names_is_there() -> None:
    named = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", BOOK))
    known = REASONS.union(*map(_values, FILES)) | {code.name for code in StatusCode}
    others = {
        "NOT_SERVING",
        "WIRE_JSON",
        "READ_MODELS",
        "SQLITE_DBCONFIG_ENABLE_QPSG",
        "SSL_CERT_FILE",
    }
    assert len(named) > 20
    assert {
        name for name in named - known - others if name[:4] not in {"INVE", "OTEL", "ROBU"}
    } == set()


@pytest.mark.parametrize("document", [README, API, CLIENTS, STOCKS, HANDBOOK], ids=name_of)
def test_every_setting_field_and_method_that_a_document_names_is_there(document: Path) -> None:
    messages = [one for file in FILES for one in file.message_types_by_name.values()]
    known = {field.name for message in messages for field in message.fields}
    known |= {setting.name for setting in fields(Settings)} | {*dir(InventoryClient)}
    known |= BUILT_IN_STATES | {*dir(fixtures)}
    known |= {"by_position", "error_id", "in_doubt", "trace_id"}
    named = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", text_of(document)))
    assert {name for name in named - known if not name.startswith("test_")} == set()


@each_document
def test_every_test_that_a_document_names_is_there(document: Path) -> None:
    stories = "".join(text_of(path) for path in (ROOT / "tests").rglob("test_*.py"))
    named = set(re.findall(r"`(test_\w+)(?:\[\w+\])?`", text_of(document)))
    assert named <= set(re.findall(r"def (test_\w+)", stories))
    assert named or document not in {README, PROMISES}


def test_each_guarantee_names_one_test_which_is_among_those_of_its_promise() -> None:
    guarantees = rows_of(section_of(README, "Guarantees"), "promise")
    promises = re.split(
        r"^\d+\. ", section_of(PROMISES, "Promises and their tests"), flags=re.MULTILINE
    )[1:]
    assert len(guarantees) == len(promises) == 20
    for (_, test), promise in zip(guarantees, promises, strict=True):
        assert f"`{test}`" in promise


@each_document
def test_every_file_that_a_document_names_is_there(document: Path) -> None:
    folders = [ROOT / name for name in ("inventory_grpc", "tests", "scripts", "protos")]
    named = re.findall(r"`([\w./-]+(?:\.(?:py|proto|sql|toml|md|yaml)|/))`", text_of(document))
    assert not {
        name
        for name in named
        if not (ROOT / name).exists()
        and not any(found for folder in folders for found in folder.rglob(name))
        and name not in WRITTEN_BY_READERS
    }


@each_document
def test_every_link_leads_somewhere(document: Path) -> None:
    assert not [
        link.target
        for link in links_of(document)
        if not link.is_external and not link.leads_somewhere
    ]
    assert all(
        link.target.startswith("https://") for link in links_of(document) if link.is_external
    )


@each_document
def test_every_make_target_that_a_document_names_is_there(document: Path) -> None:
    named = set(re.findall(r"^\s*make ([a-z][a-z-]*)", code_of(document), re.MULTILINE))
    makefile = text_of(ROOT / "Makefile")
    assert named <= set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))


@each_document
def test_every_command_and_option_that_a_document_names_is_there(document: Path) -> None:
    for name, rest in re.findall(r"\binventory-grpc ([a-z]+)\b([^\n|#]*)", code_of(document)):
        assert name in COMMANDS.commands, name
        command = COMMANDS.commands[name]
        if isinstance(command, TyperGroup) and not rest.lstrip().startswith("-"):
            verb = rest.split()[0] if rest.strip() else ""
            command = command.get_command(cast("Any", None), verb) or command
        known = {option for one in command.params for option in one.opts}
        assert set(re.findall(r" (--[a-z-]+)", rest)) <= known | {"--help"}


@each_document
def test_every_run_of_the_benchmarks_in_a_document_can_be_started(document: Path) -> None:
    bench = typer.Typer()
    bench.command()(main)
    for arguments in re.findall(r'make bench ARGS="([^"]*)"', text_of(document)):
        if arguments != "--help":
            typer.main.get_command(bench).make_context("bench", shlex.split(arguments))


@each_document
def test_every_option_of_the_replay_that_a_document_names_is_there(document: Path) -> None:
    source = text_of(ROOT / "scripts/replay_retail.py")
    named = re.findall(r'make replay ARGS="?([^"`\n]*)', text_of(document))
    for option in re.findall(r"(--[a-z-]+)", " ".join(named)):
        parameter = option.removeprefix("--").replace("-", "_")
        assert f'"{option}"' in source or f"    {parameter}: Annotated" in source


@each_document
def test_no_sentence_of_a_document_is_a_riddle(document: Path) -> None:
    begin = r"(?:^|[.:] |[-|] |\d\. )((?:What|Who|Whoever|Whatever|How) [^\n]*)"
    prose = re.sub(r"^(#.*|\|.*|- \[.*)$", "", prose_of(document), flags=re.MULTILINE)
    assert re.findall(begin, prose, re.MULTILINE) == []


@each_document
def test_no_document_is_longer_than_a_reader_has_patience_for(document: Path) -> None:
    assert len(text_of(document).splitlines()) <= (
        MAX_README_LINES if document == README else MAX_DOCUMENT_LINES
    )


def test_the_first_screen_of_the_readme_says_why_and_shows_a_refusal() -> None:
    first, _, _ = text_of(README).partition("\n## ")
    assert len(first.splitlines()) <= MAX_FIRST_SCREEN_LINES
    assert "INSUFFICIENT_STOCK" in first
