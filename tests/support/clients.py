"""The clients in other languages: programs in `tests/clients`, and the commands that run them."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.support.documents import COMPILED, LANGUAGES, ROOT, text_of
from tests.support.node import ENVIRONMENT, MODULES

PROGRAMS: Final = ROOT / "tests/clients"
WRITTEN_PORTS: Final = ("50051", "8080")
"""The ports of the server and of Envoy, as the programs have them."""

SECONDS: Final = 1_200.0
"""The longest that a client may compile and run; C++ has taken 400 on a busy machine."""

_COMMANDS: Final = re.compile(
    r"^<!-- client: (?P<language>\w+) -->\n```sh\n(?P<code>.*?)^```\n"
    r".*?^<!-- file: (?P<file>[\w./]+) -->\n```\w+\n(?P<program>.*?)^```\n",
    re.MULTILINE | re.DOTALL,
)
_ANSWER: Final = re.compile(
    r"^<!-- answer of each client -->\n```\n(.*?)^```\n", re.MULTILINE | re.DOTALL
)
_NEEDS: Final = {
    "ruby": "type protoc grpc_ruby_plugin && ruby -rgrpc -e 0",
    "go": "type go protoc protoc-gen-go protoc-gen-go-grpc"
    " && cd /usr/share/gocode/src/google.golang.org && ls grpc genproto",
    "java": "type javac protoc grpc_java_plugin && cd /usr/share/java"
    " && ls grpc-netty.jar netty-transport.jar proto-google-common-protos.jar",
    "cpp": "type g++ protoc grpc_cpp_plugin && pkg-config grpc++",
}
"""Commands that fail where a package is missing; grpclib is always in `.venv`."""


def answer() -> str:
    """Return what each client writes, as the document shows it."""
    [found] = _ANSWER.findall(text_of(LANGUAGES))
    return str(found)


def commands() -> dict[str, str]:
    """Return the commands that make and run the client of each language."""
    return {one["language"]: one["code"] for one in _shown()}


def programs() -> dict[Path, str]:
    """Return the text that the documents show for each program."""
    return {ROOT / one["file"]: one["program"] for one in _shown()}


def _shown() -> list[re.Match[str]]:
    return [one for name in (LANGUAGES, COMPILED) for one in _COMMANDS.finditer(text_of(name))]


def need_client(language: str) -> None:
    """Skip the test where a package is missing that the client needs."""
    needed = _NEEDS[language]
    if subprocess.run(["sh", "-c", needed], capture_output=True, check=False).returncode:
        pytest.skip(f"packages for {language} are not installed: protos/ has their names")


def run_client(language: str, folder: Path, address: str) -> str:
    """Run the client as its document says, in *folder*, but against *address*."""
    _, _, port = address.rpartition(":")
    (folder / "protos").symlink_to(ROOT / "protos")
    (folder / "node_modules").symlink_to(MODULES)
    for file in (PROGRAMS / language).iterdir():
        code = file.read_text("utf-8")
        for written in WRITTEN_PORTS:
            code = code.replace(written, port)
        (folder / file.name).write_text(code, "utf-8")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    ended = subprocess.run(
        ["sh", "-eu", "-c", commands()[language]],
        capture_output=True,
        check=False,
        cwd=folder,
        env={**_outside(), "PATH": path},
        text=True,
        timeout=SECONDS,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def _outside() -> dict[str, str]:
    """Return the environment of a program that does not know this repository."""
    return {name: value for name, value in ENVIRONMENT.items() if name != "PYTHONPATH"}
