"""Addresses, tokens and proxies of the client. A token is never sent in the clear."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import grpc
import pytest

from inventory_grpc.client import InventoryClient, InventoryError
from inventory_grpc.client.address import is_here
from inventory_grpc.client.tokens import MAX_TOKEN, checked_token

KEY: Final = "inv_a1"

HERE: Final = [
    "127.0.0.1:50051",
    "127.8.9.10:50051",
    "0.0.0.0:50051",
    "localhost",
    "LocalHost.:50051",
    "ana.localhost:50051",
    "[::1]:50051",
    "::1",
    "dns:localhost:50051",
    "dns:///localhost:50051",
    "ipv4:127.0.0.1:50051",
    "ipv4:127.0.0.1:50051,127.0.0.2:50051",
    "ipv6:[::1]:50051",
    "unix:inventory.sock",
    "unix:///run/inventory.sock",
    "unix-abstract:inventory",
]

ELSEWHERE: Final = [
    "10.0.0.7:50051",
    "inventory.example:50051",
    "localhost.example:50051",
    "127.0.0.1.example:50051",
    "[2001:db8::1]:50051",
    "dns:///inventory.example:50051",
    "dns://127.0.0.1/inventory.example:50051",
    "ipv4:127.0.0.1:50051,10.0.0.7:50051",
    "ipv6:[2001:db8::1]:50051",
    "xds:///localhost:50051",
    "localhost@inventory.example:50051",
]

PROXIES: Final = ["grpc_proxy", "https_proxy", "http_proxy"]
EXCEPTIONS: Final = ["no_grpc_proxy", "no_proxy"]


@pytest.mark.parametrize("address", HERE)
def test_this_machine_is_known_by_its_addresses(address: str) -> None:
    assert is_here(address)
    InventoryClient(address, token=KEY)


@pytest.mark.parametrize("address", ELSEWHERE)
def test_a_token_is_not_sent_elsewhere_without_encryption(address: str) -> None:
    assert not is_here(address)
    with pytest.raises(ValueError, match="without encryption: give `ca`") as refused:
        InventoryClient(address, token=KEY)
    assert KEY not in str(refused.value)
    InventoryClient(address, token=KEY, credentials=grpc.ssl_channel_credentials())
    InventoryClient(address)


@pytest.mark.parametrize(
    "address", ["", " ", "127.0.0.1:50051\n", "http://127.0.0.1:50051", "https://a.example"]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="address must be host:port"):
        InventoryClient(address)


def test_values_of_the_wrong_type_are_refused_at_once() -> None:
    wrong: Any = 50_051
    with pytest.raises(TypeError, match="address must be a string"):
        InventoryClient(wrong)
    with pytest.raises(TypeError, match="credentials must be made by gRPC"):
        InventoryClient("127.0.0.1:50051", credentials=wrong)
    with pytest.raises(TypeError, match="token must be a string, not int"):
        InventoryClient("127.0.0.1:50051", token=wrong)


@pytest.mark.parametrize("read", ["inv_a1\n", "inv_a1\r\n", "\n inv_a1 ", "inv_a1"])
def test_a_token_is_taken_without_the_space_that_a_file_has_around_it(read: str) -> None:
    assert checked_token(read) == "inv_a1"


@pytest.mark.parametrize(
    ("token", "problem"),
    [
        ("", "the token is empty"),
        (" \n", "the token is empty"),
        ("Bearer inv_a1", "begins with 'Bearer '"),
        ("inv_a1\ninv_a2\n", r"character 7 of the token is U\+000A"),
        ("inv a1", r"character 4 of the token is U\+0020"),
        ("\ufeffinv_a1", r"character 1 of the token is U\+FEFF"),
        ("inv_á1", r"character 5 of the token is U\+00E1"),
        ("inv_a1\0", r"character 7 of the token is U\+0000"),
        ("a" * (MAX_TOKEN + 1), "has 4,097 characters"),
    ],
)
def test_what_cannot_be_sent_as_a_token_is_refused_at_once(token: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as refused:
        InventoryClient("127.0.0.1:50051", token=token)
    assert "inv_" not in str(refused.value)


class Proxy:
    """Writes down what it is asked, and refuses it."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.address = ""

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n")
        self.asked.append(asked.decode().strip())
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()


@pytest.fixture
async def proxy(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Proxy]:
    """Listen, with no proxy in the environment yet."""
    for name in (*PROXIES, *EXCEPTIONS):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    proxy = Proxy()
    server = await asyncio.start_server(proxy, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        proxy.address = f"{host}:{port}"
        yield proxy


@pytest.mark.parametrize("token", [None, KEY])
@pytest.mark.parametrize("name", [*PROXIES, *map(str.upper, PROXIES)])
async def test_this_machine_is_reached_without_a_proxy(
    proxy: Proxy, address: str, monkeypatch: pytest.MonkeyPatch, name: str, token: str | None
) -> None:
    monkeypatch.setenv(name, f"http://{proxy.address}")
    port = address.partition(":")[2]
    for here in (address, f"localhost:{port}", f"ipv4:{address}", f"dns:///localhost:{port}"):
        async with InventoryClient(here, token=token) as client:
            await client.get_server_info()
    assert not proxy.asked


async def test_nor_is_a_proxy_for_addresses_asked(
    proxy: Proxy, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRPC_ADDRESS_HTTP_PROXY", proxy.address)
    monkeypatch.setenv("GRPC_ADDRESS_HTTP_PROXY_ENABLED_ADDRESSES", "127.0.0.0/8")
    async with InventoryClient(address, token=KEY) as client:
        await client.get_server_info()
    assert not proxy.asked


@pytest.mark.parametrize(
    ("credentials", "token", "asked"),
    [
        (None, None, True),
        (grpc.ssl_channel_credentials(), None, True),
        (grpc.ssl_channel_credentials(), KEY, True),
        # These trust a proxy on this machine as if it were the server.
        (grpc.local_channel_credentials(), KEY, False),
        (grpc.local_channel_credentials(), None, False),
    ],
    ids=["in the clear", "TLS", "TLS with a token", "local with a token", "local"],
)
async def test_a_proxy_is_asked_for_other_machines_only_where_no_token_is_in_the_clear(
    proxy: Proxy,
    monkeypatch: pytest.MonkeyPatch,
    credentials: grpc.ChannelCredentials | None,
    token: str | None,
    *,
    asked: bool,
) -> None:
    monkeypatch.setenv("http_proxy", f"http://{proxy.address}")
    other = "inventory.invalid:50051"
    async with InventoryClient(other, credentials=credentials, token=token, timeout=0.5) as client:
        with pytest.raises(InventoryError):
            await client.get_server_info()
    assert set(proxy.asked) == ({f"CONNECT {other} HTTP/1.1"} if asked else set())
