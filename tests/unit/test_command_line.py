"""The command line: its options, its errors, and the tokens it makes."""

import os
import re
import shlex
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.core import TyperGroup
from typer.testing import CliRunner, Result

from inventory_grpc.application.access import Role
from inventory_grpc.cli import app
from inventory_grpc.cli import serve as serve_module
from inventory_grpc.cli.access import RoleName
from inventory_grpc.infrastructure.callers_file import CallersFile
from inventory_grpc.infrastructure.sqlite.connection import Database
from inventory_grpc.settings import Settings


def run(*arguments: str | Path, **variables: str) -> Result:
    """Run a command; none of its errors may be a traceback."""
    done = CliRunner().invoke(app, list(map(str, arguments)), env=variables)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
    return done


@contextmanager
def settings_of_serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Settings]]:
    """Have `serve` not serve; yield the settings that it would have served with."""
    taken: list[Settings] = []
    with monkeypatch.context() as patched:
        patched.setattr(serve_module, "_serve", lambda settings, _: taken.append(settings))
        yield taken


def test_every_setting_is_an_option_of_serve_in_the_part_of_its_group() -> None:
    said = run("serve", "--help", COLUMNS="200").output
    parts = {part.split(" ─")[0]: part for part in said.split("╭─ ")}
    for setting in fields(Settings):
        option = f"--{setting.name.replace('_', '-')} "
        assert option in parts[setting.metadata["group"].value]
    assert (
        "Processes that serve together; see Workers in scripts/deploy/README.md. [default: 1]"
        in said
    )
    assert "](#" not in said


def _commands() -> Iterator[tuple[str, Any]]:
    """Yield each command and its words, such as `stock add`."""
    commands: Mapping[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for name, command in commands.items():
        if isinstance(command, TyperGroup):
            context = command.make_context(name, [], resilient_parsing=True)
            for verb in command.list_commands(context):
                yield f"{name} {verb}", command.get_command(context, verb)
        else:
            yield name, command


@pytest.mark.parametrize(("words", "command"), [*_commands()], ids=str)
def test_the_help_of_each_command_has_an_example_that_is_valid(words: str, command: Any) -> None:  # noqa: ANN401  typer's own
    example = re.search(rf"Example: `inventory-grpc {words} ?([^`>]*)[`>]", command.help)
    assert example is not None
    command.make_context(words, shlex.split(example[1]))  # raises an error of usage


def test_the_commands_are_in_parts_and_those_that_call_a_server_come_first() -> None:
    said = run("--help", COLUMNS="120").output
    parts = dict(re.findall(r"╭─ ([\w ]+) ─+╮\n(.*?)╰", said, re.DOTALL))
    assert [*parts] == ["Options", "Call a server", "Run a server", "Look after a log"]
    assert re.search(r"│ stock +Units", parts["Call a server"])
    assert re.search(r"│ serve +Serve", parts["Run a server"])
    assert re.search(r"│ backup +Copy", parts["Look after a log"])


def test_an_option_comes_before_its_variable_and_that_before_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with settings_of_serve(monkeypatch) as taken:
        run("serve", "--max-queries", "7", "--allow-plaintext", INVENTORY_MAX_QUERIES="8")
        run("serve", "--no-create", INVENTORY_MAX_QUERIES="8", INVENTORY_LISTEN="localhost:1")
    assert taken == [
        Settings(max_queries=7, allow_plaintext=True),
        Settings(max_queries=8, listen="localhost:1", create=False),
    ]


@pytest.mark.parametrize("text", ["inf", "nan", "1e12", "-1"])
def test_a_number_that_cannot_be_used_is_refused_by_its_name(text: str) -> None:
    for done in (
        run("serve", f"--remember-days={text}"),
        run("serve", INVENTORY_REMEMBER_DAYS=text),
    ):
        assert done.exit_code == 1
        assert done.stderr.startswith("error: remember_days: must be from 0 to 36,500, and is ")


def test_the_version_is_shown() -> None:
    done = run("--version")
    assert (done.exit_code, done.stdout) == (0, f"inventory-grpc {version('inventory-grpc')}\n")


@pytest.mark.parametrize("name", ["[old]", "[/b]", "[red]x", ":warning:", "a\nb", "\x1b[31m"])
def test_errors_show_paths_as_they_are(tmp_path: Path, name: str) -> None:
    done = run("verify", "-d", tmp_path / name / "inventory.db")
    shown = name.replace("\n", "\\n").replace("\x1b", "\\x1b")
    assert done.exit_code == 1
    assert done.stderr == (
        f"error: there is no database at {tmp_path}/{shown}/inventory.db; "
        "name one with --database\n"
    )


def test_what_the_system_refuses_is_told_by_its_path_and_words(tmp_path: Path) -> None:
    done = run("restore", tmp_path, "-d", tmp_path / "inventory.db")
    assert (done.exit_code, done.stderr) == (1, f"error: {tmp_path}: Is a directory\n")


def test_which_entry_of_the_file_of_callers_is_wrong_is_shown(tmp_path: Path) -> None:
    callers = tmp_path / "callers.toml"
    callers.write_text('[checkout]\nrole = "boss"\n', encoding="utf-8")
    done = run("serve", "--listen", "127.0.0.1:0", "-d", tmp_path / "a.db", "--callers", callers)
    assert done.exit_code == 1
    assert f"{callers}: [checkout] role must be one of reader, operator, admin" in done.stderr


def test_a_fact_that_is_none_is_shown_as_it_was_written() -> None:
    done = run("events", "--type", "[/b]")
    assert done.exit_code == 2
    assert "unknown type [/b]" in done.stderr


def test_a_position_beyond_what_a_file_can_hold_is_refused() -> None:
    assert run("events", "--after", str(2**63)).exit_code == 2


def test_a_file_whose_path_is_not_utf_8_is_a_file_like_others(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff?#%41.db")
    writer = Database(path).creator()
    writer.execute("CREATE TABLE kept (it)")
    writer.close()
    assert [found.name for found in tmp_path.iterdir()] == [path.name]
    for opened in (Database(path).reader(), Database(path).immutable()):
        assert opened.execute("SELECT name FROM sqlite_schema").get == "kept"
        opened.close()
    done = run("verify", "-d", tmp_path / os.fsdecode(b"\xfe.db"))
    assert (done.exit_code, "\\udcfe.db" in done.stderr) == (1, True)


@given(st.text("abcXYZ019._:/-", min_size=1, max_size=128), st.sampled_from(get_args(RoleName)))
def test_the_entry_of_a_token_lets_its_caller_in(actor: str, role: str) -> None:
    done = run("token", "--role", role, "--", actor)
    token = done.stdout.removesuffix("\n")
    assert token.startswith("inv_")
    assert token not in done.stderr
    with TemporaryDirectory() as folder:
        callers = Path(folder, "callers.toml")
        callers.write_text(done.stderr, encoding="utf-8")
        known = CallersFile(callers).by_token(token)
    assert known is not None
    assert (known.actor, known.role) == (actor, Role[role.upper()])
    assert list(tomllib.loads(done.stderr)) == [actor]


def test_a_token_says_which_of_its_outputs_is_the_secret() -> None:
    said = run("token", "checkout").stderr.splitlines()
    assert said[0] == "# The line on standard output is the secret token of checkout."
    assert "not secret" in said[1]


@pytest.mark.parametrize("actor", ["", "ana@example.com", "till 3", "x" * 129, "[b]"])
def test_a_name_that_no_caller_can_have_is_refused(actor: str) -> None:
    done = run("token", "--", actor)
    assert (done.exit_code, done.stdout) == (2, "")


def test_a_role_that_is_none_is_refused() -> None:
    assert {role.name.lower() for role in Role} == set(get_args(RoleName))
    assert run("token", "checkout", "--role", "boss").exit_code == 2
