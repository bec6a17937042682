"""Reserves a server's address for its workers, and warns if the address is open to others."""

import errno
import logging
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from inventory_grpc.bad_setting import BadSetting
from inventory_grpc.settings import Settings

_log = logging.getLogger(__name__)

_NOT_HERE: Final = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
"""A name such as localhost may also resolve to an address that this machine lacks."""


def cannot_listen(settings: Settings) -> OSError:
    return OSError(
        f"cannot listen on {settings.listen}:"
        " the port is in use, or the address is not this machine's"
    )


def warn_of_openness(settings: Settings) -> None:
    """Warn if the server accepts anonymous or unencrypted calls."""
    host, _, _ = settings.listen.rpartition(":")
    where = "every user of" if settings.is_loopback else "everyone who can reach"
    if settings.callers is None:
        _log.warning("%s is open: %s this machine may call without a token", host, where)
    if settings.tls_certificate is None and not settings.is_loopback:
        _log.warning("%s can be reached from other machines, and nothing is encrypted", host)


@contextmanager
def reserved(settings: Settings) -> Iterator[str]:
    """Reserve the address in *settings* for workers to share; yield it, with its port.

    The address must be free at first, and stays reserved while workers are replaced. The kernel
    lets only processes of this user share it, and connects clients to workers only.

    Raises:
        BadSetting: this system cannot share a port.
        OSError: the address cannot be bound.
    """
    if sys.platform != "linux":  # elsewhere SO_REUSEPORT is missing or does not balance
        raise BadSetting("workers: only Linux can share one port among several; set it to 1")
    with ExitStack() as holders:
        try:
            port = _hold_all(*settings.address, holders)
        except OSError as error:
            raise cannot_listen(settings) from error
        host, _, _ = settings.listen.rpartition(":")
        yield f"{host}:{port}"


def is_free(settings: Settings) -> bool:
    """Return whether the address in *settings* can be bound."""
    try:
        with ExitStack() as holders:
            _hold_all(*settings.address, holders)
    except OSError:
        return False
    return True


def _hold_all(host: str, port: int, holders: ExitStack) -> int:
    """Bind every address of *host*; return the port, which is the same for all."""
    is_held, missing = False, OSError()
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    for family, _, _, _, address in found:
        try:
            holder = holders.enter_context(socket.socket(family))
            port = _hold(holder, (address[0], port, *address[2:]))
        except OSError as error:
            if error.errno not in _NOT_HERE:
                raise
            missing = error
        else:
            is_held = True
    if not is_held:
        raise missing
    return port


def _hold(holder: socket.socket, address: tuple[str | int, ...]) -> int:
    """Bind *holder* to an unused address, then allow workers to share it.

    Connections of a server that has just ended do not count as use (`SO_REUSEADDR`). Any other
    socket there makes `listen` fail, so of two concurrent starts at most one succeeds. Then the
    socket stops listening, and keeps the port.
    """
    is_chosen = address[1] != 0  # otherwise the kernel chooses a free port
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, is_chosen)
    holder.bind(address)
    if is_chosen:
        holder.listen()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if is_chosen:
        holder.shutdown(socket.SHUT_RDWR)
    port: int = holder.getsockname()[1]
    return port
