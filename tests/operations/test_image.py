"""The image's recipe has no fault that hadolint finds; `make image` builds and tries the image."""

import re
import subprocess
import tomllib
from typing import Final

from tests.support.server_process import ROOT
from tests.support.tools import find_tool

RECIPE: Final = ROOT / "scripts/deploy/Containerfile"
TEXT: Final = RECIPE.read_text("utf-8")


def _lint(recipe: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [find_tool("hadolint"), "-"], capture_output=True, check=False, input=recipe, text=True
    )


def test_hadolint_finds_no_fault_with_the_recipe() -> None:
    done = _lint(TEXT)
    assert (done.returncode, done.stdout) == (0, "")


def test_hadolint_finds_a_fault_that_is_made() -> None:
    assert "DL3025" in _lint(TEXT.replace('["inventory-grpc"]', "inventory-grpc")).stdout


def test_the_image_allows_by_itself_neither_plaintext_nor_anonymous_callers() -> None:
    assert "ALLOW" not in TEXT
    assert "INVENTORY_LISTEN=0.0.0.0:50051" in TEXT, "so the server asks for TLS and callers"


def test_the_image_is_stopped_by_the_signal_that_drains_and_runs_as_a_number() -> None:
    assert "STOPSIGNAL SIGTERM\n" in TEXT
    assert re.findall(r"^USER (.*)$", TEXT, re.MULTILINE) == ["10001:10001"]
    assert "\nARG BASE=python:3.12-slim\n" in TEXT


def test_the_extras_of_the_image_are_those_of_the_package() -> None:
    package = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    [installed] = re.findall(r"^ARG EXTRAS=(.*)$", TEXT, re.MULTILINE)
    [also] = re.findall(r"^# (\S+) to trace calls", TEXT, re.MULTILINE)
    named = {*installed.split(","), *also.split(","), "uvloop"}
    assert named <= package["optional-dependencies"].keys()
    assert ".[${EXTRAS}]" in TEXT


def test_what_the_recipe_copies_is_in_its_context_and_nothing_else() -> None:
    ignored = RECIPE.with_name("Containerfile.dockerignore").read_text("utf-8").splitlines()
    allowed = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", TEXT, re.MULTILINE)
    assert {name.rstrip("/") for names in copied for name in names.split()} == allowed
    assert "*" in ignored
