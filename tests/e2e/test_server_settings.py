"""Settings of the server process, and the combinations it refuses."""

import socket
from pathlib import Path
from typing import Final

import pytest
from google.protobuf.duration_pb2 import Duration

from inventory_grpc.bad_setting import BadSetting
from inventory_grpc.presentation.server import OPTIONS, OPTIONS_OFF_LOOPBACK
from inventory_grpc.server import serve
from inventory_grpc.settings import Settings
from inventory_grpc_protos.v1.commands_pb2 import ReserveStockResponse
from tests.support.caller import adding, calling, line, reserving
from tests.support.server_process import ServerProcess, command_line

PROMISED: Final = {
    "grpc.so_reuseport": 0,
    "grpc.max_receive_message_length": 1_048_576,
    "grpc.max_send_message_length": 4_194_304,
    "grpc.max_concurrent_streams": 100,
    "grpc.max_metadata_size": 8_192,
    "grpc.absolute_max_metadata_size": 16_384,
    "grpc.keepalive_time_ms": 60_000,
    "grpc.keepalive_timeout_ms": 20_000,
    "grpc.http2.ping_timeout_ms": 20_000,
    "grpc.http2.min_recv_ping_interval_without_data_ms": 30_000,
    "grpc.max_connection_idle_ms": 900_000,
}
PROMISED_OFF_LOOPBACK: Final = {"grpc.max_connection_age_ms": 3_600_000}


def test_the_server_is_set_as_promised() -> None:
    assert OPTIONS.items() >= PROMISED.items()
    assert not OPTIONS.keys() & PROMISED_OFF_LOOPBACK.keys()
    assert OPTIONS_OFF_LOOPBACK.items() >= PROMISED_OFF_LOOPBACK.items()


async def test_a_port_is_never_shared_silently(address: str, path: Path) -> None:
    second = Settings(listen=address, database=path)
    with pytest.raises(OSError, match="in use"):
        async with serve.serving(second):
            pass


def test_a_port_that_is_taken_is_said_in_one_line_with_what_to_do(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = command_line(
            "serve", "--listen", f"127.0.0.1:{port}", "--database", str(tmp_path / "a.db")
        )
    assert ended.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not list(tmp_path.iterdir()), "it has made a database"


def test_without_encryption_nobody_else_is_served(tmp_path: Path) -> None:
    database = tmp_path / "a.db"
    ended = command_line("serve", "--listen", "0.0.0.0:0", "--database", str(database))
    assert ended.returncode == 1
    assert "INVENTORY_ALLOW_PLAINTEXT" in ended.stderr
    assert not database.exists()
    for address in ("0.0.0.0:1", "[::]:1", "192.0.2.7:1", "example.org:1"):
        with pytest.raises(BadSetting, match="encrypted"):
            Settings(listen=address)


async def test_who_allows_plain_text_is_warned(tmp_path: Path) -> None:
    server = ServerProcess.begin(
        tmp_path / "a.db", tmp_path / "log", "--allow-plaintext", "--listen", "127.0.0.2:0"
    )
    try:
        assert (await server.address()).startswith("127.0.0.2:")
    finally:
        server.kill()


async def test_a_cart_without_a_time_is_held_as_long_as_the_server_is_set(path: Path) -> None:
    settings = Settings(listen="127.0.0.1:0", database=path, hold_seconds=90)
    async with serve.serving(settings) as served, calling(served.address) as caller:
        await caller.commands.AddStock(adding(5))
        set_by_server = await caller.commands.ReserveStock(reserving(line(1)))
        ttl = Duration(seconds=5)
        set_by_caller = await caller.commands.ReserveStock(reserving(line(1), ttl=ttl))
    assert [_held_for(set_by_server), _held_for(set_by_caller)] == [90_000_000, 5_000_000]


def _held_for(response: ReserveStockResponse) -> int:
    """Return for how long the cart is held, in microseconds."""
    cart = response.reservation
    return cart.expire_time.ToMicroseconds() - cart.create_time.ToMicroseconds()
