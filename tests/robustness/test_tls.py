"""Connections of other machines are encrypted, and certificates identify both ends."""

import asyncio
import datetime as dt
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import grpc
import grpc.aio
import pytest
import trustme
from grpc import StatusCode

from inventory_grpc.bad_setting import BadSetting
from inventory_grpc.server import serve
from inventory_grpc.server.environment import load
from inventory_grpc.settings import Settings
from inventory_grpc_protos.v1.commands_pb2_grpc import InventoryCommandsStub
from tests.support.caller import adding, refused
from tests.support.certificates import Issued
from tests.support.keyring import Keyring, bearing

OTHER_KEY: Final = Issued.of().key_pem()
YESTERDAY: Final = dt.datetime.now(tz=dt.UTC) - dt.timedelta(days=1)


@dataclass
class House:
    """An authority, and the files that a server and its callers have of it."""

    folder: Path
    authority: trustme.CA
    keyring: Keyring

    def __post_init__(self) -> None:
        self.renew()
        self.authority.cert_pem.write_to_path(str(self.folder / "ca.pem"))

    def renew(self) -> None:
        """Put a new certificate in the place of the server's."""
        issued = self.authority.issue_cert("localhost", "127.0.0.1")
        issued.private_key_pem.write_to_path(str(self.folder / "key.pem"))
        (self.folder / "chain.pem").write_bytes(
            b"".join(blob.bytes() for blob in issued.cert_chain_pems)
        )

    def settings(self, *, mutual: bool = False) -> Settings:
        return Settings(
            listen="127.0.0.1:0",
            database=self.folder / "inventory.db",
            tls_certificate=self.folder / "chain.pem",
            tls_key=self.folder / "key.pem",
            tls_client_ca=self.folder / "ca.pem" if mutual else None,
            callers=self.keyring.path,
        )

    def credentials(self, shown: trustme.LeafCert | None = None) -> grpc.ChannelCredentials:
        return grpc.ssl_channel_credentials(
            self.authority.cert_pem.bytes(),
            shown.private_key_pem.bytes() if shown else None,
            b"".join(blob.bytes() for blob in shown.cert_chain_pems) if shown else None,
        )


@pytest.fixture
def house(tmp_path: Path) -> House:
    keyring = Keyring(tmp_path / "callers.toml")
    keyring.add("ana", "operator", certificates=["ana.example.com", "spiffe://shop/ana"])
    return House(tmp_path, trustme.CA(), keyring)


@asynccontextmanager
async def commands(
    address: str, credentials: grpc.ChannelCredentials
) -> AsyncIterator[InventoryCommandsStub]:
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
    async with grpc.aio.secure_channel(address, credentials, options=options) as channel:
        yield InventoryCommandsStub(channel)


async def test_a_token_travels_encrypted(house: House) -> None:
    token = house.keyring.add("ben", "operator")
    async with serve.serving(house.settings()) as served:
        async with commands(served.address, house.credentials()) as caller:
            await caller.AddStock(adding(1), metadata=bearing(token), timeout=10)
            assert (await refused(caller.AddStock(adding(1), timeout=10))).code is (
                StatusCode.UNAUTHENTICATED
            )
        async with grpc.aio.insecure_channel(served.address) as channel:
            plain = InventoryCommandsStub(channel)
            assert (await refused(plain.AddStock(adding(1), timeout=2))).code in {
                StatusCode.UNAVAILABLE,
                StatusCode.DEADLINE_EXCEEDED,
            }


async def test_a_certificate_of_somebody_known_is_enough_and_of_nobody_else(house: House) -> None:
    ca = house.authority
    shown = {
        "by name": ca.issue_cert("ana.example.com"),
        "of nobody known": ca.issue_cert("ben.example.com"),
        # what anybody can have an authority write there is not looked at
        "common name only": ca.issue_cert("ben.example.com", common_name="ana.example.com"),
        "none": None,
        "of another authority": trustme.CA().issue_cert("ana.example.com"),
        "expired": ca.issue_cert("ana.example.com", not_after=YESTERDAY),
    }
    answers: dict[str, object] = {}
    async with serve.serving(house.settings(mutual=True)) as served:
        for kind, certificate in shown.items():
            async with commands(served.address, house.credentials(certificate)) as caller:
                try:
                    answers[kind] = (await caller.AddStock(adding(1), timeout=5)).stock.on_hand
                except grpc.aio.AioRpcError as error:
                    answers[kind] = error.code()
    assert answers == {
        "by name": 1,
        "of nobody known": StatusCode.UNAUTHENTICATED,
        "common name only": StatusCode.UNAUTHENTICATED,
        "none": StatusCode.UNAVAILABLE,
        "of another authority": StatusCode.UNAVAILABLE,
        "expired": StatusCode.UNAVAILABLE,
    }


async def test_a_wrong_token_is_not_made_good_by_a_certificate(house: House) -> None:
    shown = house.authority.issue_cert("ana.example.com")
    async with (
        serve.serving(house.settings(mutual=True)) as served,
        commands(served.address, house.credentials(shown)) as caller,
    ):
        call = caller.AddStock(adding(1), metadata=bearing("inv_" + "x" * 40), timeout=5)
        assert (await refused(call)).code is StatusCode.UNAUTHENTICATED


async def test_a_certificate_is_replaced_under_way(house: House) -> None:
    token = house.keyring.add("ben", "operator")
    async with (
        serve.serving(house.settings()) as served,
        commands(served.address, house.credentials()) as staying,
    ):
        before = await _certificate_of(served.address)
        for renewal in range(3):
            house.renew()
            await staying.AddStock(adding(1), metadata=bearing(token), timeout=5)
            async with commands(served.address, house.credentials()) as new:
                added = await new.AddStock(adding(1), metadata=bearing(token), timeout=5)
            assert added.stock.on_hand == 2 * (renewal + 1)
        assert await _certificate_of(served.address) != before
        # half a renewal: the old one is served until the new one is whole
        for half in (b"not a key", OTHER_KEY):
            (house.folder / "key.pem").write_bytes(half)
            async with commands(served.address, house.credentials()) as new:
                await new.AddStock(adding(1), metadata=bearing(token), timeout=5)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl to ask with")
@pytest.mark.parametrize(
    ("version", "is_served"), [("-tls1", 0), ("-tls1_1", 0), ("-tls1_2", 1), ("-tls1_3", 1)]
)
async def test_nothing_older_than_tls_1_2_is_spoken(
    house: House, version: str, is_served: int
) -> None:
    async with serve.serving(house.settings()) as served:
        said = await asyncio.to_thread(
            subprocess.run,
            [
                "openssl",
                "s_client",
                version,
                "-cipher",
                "ALL:@SECLEVEL=0",
                "-alpn",
                "h2",
                "-connect",
                served.address,
            ],
            input=b"",
            capture_output=True,
            check=False,
            timeout=20,
        )
    assert said.stdout.count(b"-----BEGIN CERTIFICATE-----") == is_served, said.stderr


async def test_what_cannot_be_served_with_is_said_at_the_start(house: House) -> None:
    for key, problem in (
        (b"not a key", "has no private key in PEM"),
        (OTHER_KEY, "is not the key"),
    ):
        (house.folder / "key.pem").write_bytes(key)
        with pytest.raises(BadSetting, match=f"tls: .*/key.pem: {problem}"):
            async with serve.serving(house.settings()):
                pass


async def test_what_grpc_alone_refuses_is_never_called_a_port_in_use(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    (house.folder / "key.pem").write_bytes(OTHER_KEY)
    monkeypatch.setattr("inventory_grpc.server.certificates.check", lambda *_: [])
    with pytest.raises(BadSetting, match=r"gRPC cannot serve with .*chain\.pem and "):
        async with serve.serving(house.settings()):
            pass


async def test_a_port_in_use_is_never_called_a_bad_certificate(house: House) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(OSError, match=f"cannot listen on {address}"):
            async with serve.serving(replace(house.settings(), listen=address)):
                pass


@pytest.mark.parametrize(
    ("chosen", "problem"),
    [
        ({}, "nothing would be encrypted"),
        ({"allow_plaintext": True}, "any caller could do anything"),
        ({"callers": Path("callers.toml")}, "nothing would be encrypted"),
        ({"tls_certificate": Path("c"), "tls_key": Path("k")}, "any caller could do anything"),
        ({"tls_certificate": Path("c")}, "one needs the other"),
        ({"tls_client_ca": Path("c")}, "needs tls_certificate"),
    ],
)
def test_remote_callers_are_served_without_tls_only_on_request(
    chosen: dict[str, object], problem: str
) -> None:
    with pytest.raises(BadSetting, match=problem):
        load({}, listen="0.0.0.0:0", **chosen)


def test_others_may_be_served_with_what_is_needed_or_knowingly_without() -> None:
    for chosen in (
        {"tls_certificate": Path("c"), "tls_key": Path("k"), "callers": Path("callers.toml")},
        {"allow_plaintext": True, "allow_anonymous": True},
    ):
        assert not load({}, listen="0.0.0.0:0", **chosen).serves_reflection


async def _certificate_of(address: str) -> bytes:
    host, _, port = address.rpartition(":")
    chain = await asyncio.to_thread(ssl.get_server_certificate, (host, int(port)))
    return ssl.PEM_cert_to_DER_cert(chain)
