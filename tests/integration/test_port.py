"""The port belongs to one service, and its workers share all connections to it."""

import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from inventory_grpc.bad_setting import BadSetting
from inventory_grpc.server.address import reserved
from inventory_grpc.settings import Settings


@pytest.fixture
def sockets() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def _bound(sockets: ExitStack, address: str, *, shares: bool) -> socket.socket:
    """Bind as gRPC does."""
    host, _, port = address.rpartition(":")
    bound = sockets.enter_context(socket.socket())
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shares)
    bound.bind((host, int(port)))
    return bound


def _connect(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=5)


def _at(address: str) -> Settings:
    return Settings(listen=address, allow_plaintext=True, allow_anonymous=True)


def _free() -> str:
    with reserved(_at("127.0.0.1:0")) as address:
        return address


@pytest.mark.parametrize("chosen", [True, False])
def test_every_connection_goes_to_who_shares_it(sockets: ExitStack, *, chosen: bool) -> None:
    with reserved(_at(_free() if chosen else "127.0.0.1:0")) as address:
        with pytest.raises(ConnectionRefusedError):
            _connect(address)
        workers = [_bound(sockets, address, shares=True) for _ in range(2)]
        for worker in workers:
            worker.listen()
        for _ in range(40):
            sockets.enter_context(_connect(address))
        accepted = [0, 0]
        for number, worker in enumerate(workers):
            worker.settimeout(0)
            while True:
                try:
                    sockets.enter_context(worker.accept()[0])
                except BlockingIOError:
                    break
                accepted[number] += 1
        assert sum(accepted) == 40
        assert all(accepted)


@pytest.mark.parametrize("serving", [True, False])
@pytest.mark.parametrize("other", ["127.0.0.1", "0.0.0.0"])  # noqa: S104  it is the question
def test_a_second_one_is_refused_whether_workers_serve_or_not(
    sockets: ExitStack, other: str, *, serving: bool
) -> None:
    with reserved(_at(_free())) as address:
        if serving:
            _bound(sockets, address, shares=True).listen()
        port = address.rpartition(":")[2]
        with (
            pytest.raises(OSError, match=f"cannot listen on {other}:{port}"),
            reserved(_at(f"{other}:{port}")),
        ):
            pass
        with pytest.raises(OSError, match="in use"):
            _bound(sockets, f"{other}:{port}", shares=False)


def test_who_listens_already_and_would_share_is_not_joined(sockets: ExitStack) -> None:
    address = _free()
    _bound(sockets, address, shares=True).listen()
    with pytest.raises(OSError, match="cannot listen"), reserved(_at(address)):
        pass


def test_of_two_who_come_at_once_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    address, plain_bind = _free(), socket.socket.bind
    rival = ExitStack()

    def bind(self: socket.socket, at: tuple[str, int]) -> None:
        plain_bind(self, at)
        monkeypatch.undo()
        rival.enter_context(reserved(_at(address)))  # which is as far as it gets meanwhile

    monkeypatch.setattr(socket.socket, "bind", bind)
    with rival, pytest.raises(OSError, match="cannot listen"), reserved(_at(address)):
        pass


def test_connections_of_a_server_that_has_ended_do_not_count(sockets: ExitStack) -> None:
    address = _free()
    with closing(_bound(sockets, address, shares=False)) as server:
        server.listen()
        caller = sockets.enter_context(_connect(address))
        server.accept()[0].close()  # who closes first keeps the port for a minute
        assert caller.recv(1) == b""
        caller.close()
    host, _, port = address.rpartition(":")
    with pytest.raises(OSError, match="in use"):
        sockets.enter_context(socket.socket()).bind((host, int(port)))
    with reserved(_at(address)):
        _bound(sockets, address, shares=True).listen()


def test_a_name_of_several_addresses_has_one_port(sockets: ExitStack) -> None:
    with reserved(_at("localhost:0")) as address:
        port = address.rpartition(":")[2]
        _bound(sockets, f"127.0.0.1:{port}", shares=True)
        with pytest.raises(OSError, match="in use"):
            _bound(sockets, f"127.0.0.1:{port}", shares=False)


def test_an_address_that_is_not_ours_is_said() -> None:
    with pytest.raises(OSError, match="cannot listen on 192"), reserved(_at("192.0.2.7:1")):
        pass


def test_where_ports_cannot_be_spread_it_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    settings = Settings(listen="127.0.0.1:0", workers=2, database=tmp_path / "a.db")
    with pytest.raises(BadSetting, match="workers: only Linux"), reserved(settings):
        pass
