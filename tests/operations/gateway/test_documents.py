"""The commands and settings that documents show for the gateway are run as written."""

import asyncio
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest
import trustme
import yaml

from tests.support.answers import agree
from tests.support.documents import API, README, ROOT, documents, name_of, section_of, text_of
from tests.support.gateway import Config, Gateway, gateway
from tests.support.server_process import ServerProcess
from tests.support.tools import find_tool

HANDBOOK: Final = ROOT / "scripts/deploy/envoy/README.md"
WRITTEN: Final = "127.0.0.1:8080"
NAME: Final = "inventory.example"

_BLOCK: Final = re.compile(
    r"^<!-- run (?P<how>behind|as) the gateway -->\n```sh\n(?P<code>.*?)^```\n"
    r"(?:<!-- answer -->\n```\w*\n(?P<answer>.*?)^```\n)?",
    re.MULTILINE | re.DOTALL,
)
_CURL: Final = re.compile(r"`(curl [^`]+)`")


class Call(NamedTuple):
    """A command that calls the gateway, and its answer if one is shown."""

    code: str
    answer: str | None


def _calls(document: Path) -> list[Call]:
    found = _BLOCK.finditer(text_of(document))
    blocks = [Call(one["code"], one["answer"]) for one in found if one["how"] == "behind"]
    return blocks + [Call(code, None) for code in _CURL.findall(text_of(document))]


CALLED: Final = [document for document in documents() if _calls(document)]


def _run(code: str, envoy: Gateway) -> str:
    code = code.replace(WRITTEN, envoy.address).replace("curl ", "curl --noproxy '*' ")
    ended = subprocess.run(
        ["sh", "-eu", "-c", code], capture_output=True, check=True, text=True, timeout=30
    )
    return ended.stdout


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Gateway]:
    """Run Envoy before a server without events."""
    find_tool("curl")
    server = ServerProcess.begin(tmp_path / "inventory.db", tmp_path / "server.log")
    try:
        with gateway(tmp_path, [asyncio.run(server.address())]) as started:
            yield started
    finally:
        server.kill()


@pytest.mark.parametrize("document", CALLED, ids=name_of)
def test_the_calls_of_a_document_are_answered_as_it_shows(document: Path, alone: Gateway) -> None:
    for code, answer in _calls(document):
        told = _run(code, alone)
        assert told.startswith("{"), f"{code}\n{told}"
        assert answer is None or agree(told, answer), f"{code}\n{told}"


def test_each_document_that_names_the_gateway_has_a_call() -> None:
    assert {README, API, HANDBOOK} <= set(CALLED)
    for document in documents():
        shown = {line for line in text_of(document).splitlines() if f"{WRITTEN}/" in line}
        run = "\n".join(code for code, _ in _calls(document))
        assert all(WRITTEN in run for _ in shown), name_of(document)
        assert len(shown) == run.count(WRITTEN), name_of(document)


def test_the_command_that_starts_the_gateway_finds_all_files() -> None:
    [command] = [one["code"] for one in _BLOCK.finditer(text_of(HANDBOOK)) if one["how"] == "as"]
    program, *options = shlex.split(command)
    assert program == ".venv/bin/envoy"
    arguments = [find_tool("envoy"), *options, "--mode", "validate", "--use-dynamic-base-id"]
    subprocess.run(arguments, capture_output=True, check=True, cwd=ROOT, timeout=60)


class Authority(NamedTuple):
    """An authority, and the files that a machine has from it."""

    ca: trustme.CA
    folder: Path

    def issue(self, name: str, host: str) -> tuple[Path, Path]:
        """Write a certificate for *host* and its key; return where they are."""
        issued = self.ca.issue_cert(host)
        certificate, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        certificate.write_bytes(b"".join(one.bytes() for one in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(key)
        return certificate, key


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "authority.pem")
    return Authority(ca, tmp_path)


@pytest.mark.parametrize("host", [NAME, "other.example"])
def test_the_tls_settings_encrypt_both_ways_and_know_the_server(
    authority: Authority, tmp_path: Path, host: str
) -> None:
    authority.issue("gateway", "127.0.0.1")
    certificate, key = authority.issue("server", host)
    to_callers, to_servers = (
        yaml.safe_load(block.replace("/etc/envoy", str(tmp_path)))
        for block in re.findall(r"```yaml\n(.*?)```", section_of(HANDBOOK, "TLS"), re.DOTALL)
    )

    def encrypt(config: Config) -> None:
        [listener] = config["static_resources"]["listeners"]
        listener["filter_chains"][0].update(to_callers)
        config["static_resources"]["clusters"][0].update(to_servers)

    options = ("--tls-certificate", str(certificate), "--tls-key", str(key))
    server = ServerProcess.begin(tmp_path / "inventory.db", tmp_path / "server.log", *options)
    try:
        backend = asyncio.run(server.address())
        healthy = 1 if host == NAME else 0
        with gateway(tmp_path, [backend], encrypt, healthy=healthy) as started:
            url = f"https://{started.address}/v1/serverInfo"
            ask = (
                "curl",
                "-sS",
                "--noproxy",
                "*",
                "--cacert",
                str(tmp_path / "authority.pem"),
                url,
            )
            told = subprocess.run(ask, capture_output=True, check=True, text=True, timeout=30)
    finally:
        server.kill()
    assert ("log_id" if host == NAME else "no healthy upstream") in told.stdout
