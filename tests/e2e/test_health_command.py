"""`inventory-grpc health`, the command for probes, connects as the server is configured."""

import asyncio
import re
import socket
import subprocess
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
import trustme

from inventory_grpc.application.ledger import circuit_breaker
from inventory_grpc.application.ports import Fault, StorageError
from inventory_grpc.bad_setting import BadSetting
from inventory_grpc.choices import HealthAccess
from inventory_grpc.cli.probe import Probe
from inventory_grpc.presentation.server import COMMANDS
from inventory_grpc.server import serve
from inventory_grpc.settings import Settings
from tests.support.certificates import Issued
from tests.support.keyring import Keyring
from tests.support.server_process import COMMAND, ENVIRONMENT, ROOT

SECONDS: Final = 20.0
_PROBE: Final = re.compile(r"exec: \{command: \[inventory-grpc, (health.*)\]\}")


@pytest.fixture
def settings(path: Path, tmp_path: Path) -> Settings:
    """Return the settings of a server that authenticates callers."""
    keyring = Keyring(tmp_path / "callers.toml")
    (tmp_path / "token").write_text(keyring.add("probe", "reader") + "\n", "ascii")
    return Settings(listen="127.0.0.1:0", database=path, callers=keyring.path)


@pytest.fixture
def encrypting(settings: Settings, tmp_path: Path) -> Settings:
    """Return those of a server with the certificate of a public name."""
    authority = trustme.CA()
    issued = authority.issue_cert("*.example.com")
    issued.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    issued.cert_chain_pems[0].write_to_path(str(tmp_path / "chain.pem"))
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    own = authority.issue_cert("probe.example.com")
    own.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "own.pem"))
    return replace(settings, tls_certificate=tmp_path / "chain.pem", tls_key=tmp_path / "key.pem")


PROXIES: Final = {
    "http_proxy": "http://127.0.0.1:1",
    "GRPC_ADDRESS_HTTP_PROXY": "127.0.0.1:1",
    "GRPC_ADDRESS_HTTP_PROXY_ENABLED_ADDRESSES": "0.0.0.0/0,::/0",
}
"""Proxies that do not answer, for every address."""


def _run(address: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        check=False,
        env={**ENVIRONMENT, **PROXIES, "INVENTORY_LISTEN": address},
        text=True,
        timeout=SECONDS,
    )


async def test_the_probes_of_the_handbook_answer_with_their_exit_code(
    encrypting: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(circuit_breaker, "FIRST_WAIT_SECONDS", 600.0)
    probes = _PROBE.findall((ROOT / "scripts/deploy/README.md").read_text("utf-8"))
    assert len(probes) == 2
    async with serve.serving(replace(encrypting, listen="0.0.0.0:0")) as served:
        for probe in probes:
            told = await asyncio.to_thread(_run, served.address, *probe.split(", "))
            assert (told.returncode, told.stdout) == (0, "SERVING\n"), told.stderr
        served.engine.breaker.failed(StorageError(Fault.FULL))
        told = await asyncio.to_thread(_run, served.address, "health", "--service", COMMANDS)
        assert (told.returncode, told.stdout) == (1, "NOT_SERVING\n"), told.stderr


async def test_a_server_in_the_open_is_asked_in_the_open(settings: Settings) -> None:
    async with serve.serving(settings) as served:
        assert await Probe(served.address).status("", SECONDS) == "SERVING"
        with pytest.raises(ConnectionError, match="NOT_FOUND: there is no such service"):
            await Probe(served.address).status("inventory.v1.Nobody", SECONDS)


async def test_where_health_needs_a_token_it_is_read_from_a_file(
    settings: Settings, tmp_path: Path
) -> None:
    async with serve.serving(replace(settings, health=HealthAccess.TOKEN)) as served:
        with pytest.raises(ConnectionError, match="UNAUTHENTICATED"):
            await Probe(served.address).status("", SECONDS)
        probe = Probe(served.address, token_file=tmp_path / "token")
        assert await probe.status("", SECONDS) == "SERVING"


async def test_where_a_certificate_is_asked_for_it_is_shown(
    encrypting: Settings, tmp_path: Path
) -> None:
    settings = replace(encrypting, tls_client_ca=tmp_path / "ca.pem")
    async with serve.serving(settings) as served:
        with pytest.raises(ConnectionError, match="UNAVAILABLE"):
            await Probe(served.address).status("", SECONDS)
        own = tmp_path / "own.pem"
        assert await Probe(served.address, certificate=own, key=own).status("", SECONDS)


async def test_with_an_authority_the_server_is_verified(
    encrypting: Settings, tmp_path: Path
) -> None:
    issued = Issued.of()
    issued.write(tmp_path / "chain.pem", tmp_path / "key.pem")
    async with serve.serving(encrypting) as served:
        port = Settings(listen=served.address).address.port
        with pytest.raises(ConnectionError, match="UNAVAILABLE"):
            await Probe(f"localhost:{port}", tmp_path / "ca.pem").status("", SECONDS)
        assert await Probe(f"localhost:{port}", tmp_path / "chain.pem").status("", SECONDS)


async def test_a_server_that_does_not_answer_is_given_up_in_time() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ConnectionError, match=f"{address} has not answered for 0.2 s"):
            await Probe(address).status("", 0.2)
    with pytest.raises(ConnectionError, match=f"^{address} cannot be reached: Connection refused"):
        await Probe(address).status("", SECONDS)
    with pytest.raises(BadSetting, match=r"^server: 'nowhere' is not HOST:PORT"):
        await Probe("nowhere").status("", SECONDS)


async def test_a_token_never_leaves_this_machine_in_the_open(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret", "ascii")
    probe = Probe("inventory.example.com:50051", token_file=tmp_path / "token")
    with pytest.raises(BadSetting, match="needs --ca"):
        await probe.status("", SECONDS)
    (tmp_path / "token").write_text("two\nlines", "ascii")
    with pytest.raises(BadSetting, match="holds no token"):
        await replace(probe, server="127.0.0.1:1").status("", SECONDS)
