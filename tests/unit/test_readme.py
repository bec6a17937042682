"""The README's tables say what the code does."""

import re
from dataclasses import fields
from pathlib import Path

from inventory_grpc.presentation.errors import STATUS
from inventory_grpc.server.environment import written
from inventory_grpc.settings import Settings
from inventory_grpc_protos.v1.errors_pb2 import ErrorReason

TESTS = Path(__file__).parents[1]
README = TESTS.parent / "README.md"


def rows(first_column: str) -> list[list[str]]:
    """Return the cells of the table whose first column has this name."""
    lines = README.read_text(encoding="utf-8").splitlines()
    start = next(at for at, line in enumerate(lines) if line.startswith(f"| {first_column} |"))
    table = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        table.append([cell.strip().strip("`") for cell in line.strip("|").split(" | ")])
    return table


def test_every_setting_is_in_the_readme_with_its_default_and_what_it_is() -> None:
    assert rows("setting") == [
        [setting.name, written(setting.default), setting.metadata["doc"].strip("`")]
        for setting in fields(Settings)
    ]


def test_every_refusal_is_in_the_readme_with_its_code_and_reason() -> None:
    told = {reason: code for code, reason, _ in rows("code") if reason}
    assert told == {
        ErrorReason.Name(reason).removeprefix("ERROR_REASON_"): code.name
        for code, reason in STATUS.values()
    }


def test_errors_without_a_reason_are_in_the_readme_by_code_and_leave_it_open() -> None:
    told = {code: when for code, reason, when in rows("code") if not reason}
    assert list(told) == ["DEADLINE_EXCEEDED", "CANCELLED", "UNAVAILABLE", "any other"]
    assert all("**As above.**" in when or "**The command may" in when for when in told.values())


def test_every_test_that_the_readme_names_is_there() -> None:
    named = set(re.findall(r"`(test_\w+)`", README.read_text(encoding="utf-8")))
    stories = "".join(path.read_text(encoding="utf-8") for path in TESTS.rglob("test_*.py"))
    assert len(named) > 20
    assert named <= set(re.findall(r"def (test_\w+)", stories))


def test_every_file_that_the_readmes_name_is_there() -> None:
    folders = [README.parent / name for name in ("inventory_grpc", "tests", "scripts", "protos")]
    built = (folders[0] / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w/]+(?:\.py|/))`", built + README.read_text(encoding="utf-8")))
    assert len(named) > 30
    assert not {
        name
        for name in named
        if not (README.parent / name).exists()
        and not any(found for folder in folders for found in folder.rglob(name))
    }
