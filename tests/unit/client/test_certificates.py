"""The certificates that the client trusts, and the reason when it refuses one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import grpc
import pytest
import trustme

from inventory_grpc.client import InventoryClient, Untrusted
from inventory_grpc.client.subscription import Backoff
from inventory_grpc_protos.v1.events_pb2 import Event, SubscribeResponse
from tests.support.waiting import eventually
from tests.unit.client.scripted import Failure, ScriptedServer, serving

NOW: Final = datetime.now(UTC)
DAY: Final = timedelta(days=1)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@asynccontextmanager
async def serving_tls(
    server: ScriptedServer, certificate: trustme.LeafCert, address: str = "127.0.0.1:0"
) -> AsyncIterator[str]:
    key = certificate.private_key_pem.bytes()
    chain = b"".join(one.bytes() for one in certificate.cert_chain_pems)
    credentials = grpc.ssl_server_credentials([(key, chain)])
    async with serving(server, address, credentials) as bound:
        yield bound


async def test_the_authority_may_be_a_path_or_what_is_in_the_file(
    server: ScriptedServer, authority: trustme.CA, tmp_path: Path
) -> None:
    pem = authority.cert_pem.bytes()
    path = tmp_path / "authority.pem"
    path.write_bytes("# Autoridade de Évora\n".encode() + pem)
    async with serving_tls(server, authority.issue_cert("127.0.0.1")) as address:
        for ca in (path, str(path), pem, pem.decode()):
            async with InventoryClient(address, ca=ca, token="inv_a1", timeout=20) as client:  # noqa: S106  it opens nothing
                await client.get_server_info()
    assert len(server.asked) == 4


def test_an_authority_that_cannot_be_used_is_refused_at_once(
    authority: trustme.CA, tmp_path: Path
) -> None:
    address = "inventory.example:50051"
    with pytest.raises(FileNotFoundError, match=r"nothing\.pem"):
        InventoryClient(address, ca=tmp_path / "nothing.pem")
    key = tmp_path / "key.pem"
    key.write_bytes(authority.private_key_pem.bytes())
    with pytest.raises(ValueError, match=r"ca, .*key\.pem, has no valid certificate"):
        InventoryClient(address, ca=key)
    for pem in (b"", b"nonsense", "# of kettles\n-----BEGIN CERTIFICATE-----\nnonsense"):
        with pytest.raises(ValueError, match="ca has no valid certificate"):
            InventoryClient(address, ca=pem)
    with pytest.raises(TypeError, match="ca must be a path"):
        InventoryClient(address, ca=7)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="ca and credentials exclude each other"):
        InventoryClient(
            address, ca=authority.cert_pem.bytes(), credentials=grpc.ssl_channel_credentials()
        )


@pytest.mark.parametrize(
    ("flaw", "cause"),
    [
        ("expired", "is not trusted, certificate has expired"),
        ("other name", "is for another name than the one called"),
        ("other authority", "is not trusted, unable to get local issuer certificate"),
    ],
)
async def test_a_certificate_that_is_not_trusted_is_an_error_at_once_and_says_why(
    server: ScriptedServer, authority: trustme.CA, flaw: str, cause: str
) -> None:
    certificate = {
        "expired": authority.issue_cert("127.0.0.1", not_before=NOW - 2 * DAY, not_after=NOW - DAY),
        "other name": authority.issue_cert("inventory.example"),
        "other authority": trustme.CA().issue_cert("127.0.0.1"),
    }[flaw]
    async with (
        serving_tls(server, certificate) as address,
        InventoryClient(address, ca=authority.cert_pem.bytes(), timeout=60) as client,
    ):
        with pytest.raises(Untrusted, match=f"the server's certificate {cause}") as failed:
            await client.add_stock(product_id="kettle", store_id="lisbon", quantity=5)
        assert not failed.value.in_doubt
        with pytest.raises(Untrusted, match=cause):
            await anext(client.subscribe())
    assert not server.asked


async def test_a_subscription_waits_for_a_server_that_renews_its_certificate(
    server: ScriptedServer, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Backoff, "FIRST", 0.001)
    monkeypatch.setattr(Backoff, "MOST", 0.005)
    good = authority.issue_cert("127.0.0.1")
    old = authority.issue_cert("127.0.0.1", not_before=NOW - 2 * DAY, not_after=NOW - DAY)
    gone = Failure(grpc.StatusCode.UNAVAILABLE)
    first, second = (
        SubscribeResponse(events=[Event(position=at)], position=at, log_id="a") for at in (1, 2)
    )
    async with serving_tls(server, good) as address:
        client = InventoryClient(address, ca=authority.cert_pem.bytes())
        server.plays("Subscribe", [first, gone])
        events = client.events()
        assert (await anext(events)).position == 1
    refused: list[str] = []
    monkeypatch.setattr(
        "inventory_grpc.client.subscription._log.warning",
        lambda *said: refused.append(str(said[-1])),
    )
    server.plays("Subscribe", [second])
    async with aclosing(events), client:
        async with serving_tls(server, old, address):
            rest = asyncio.ensure_future(anext(events))
            await eventually(lambda: any("has expired" in one for one in refused))
        async with serving_tls(server, good, address):
            assert (await rest).position == 2
            await events.aclose()
