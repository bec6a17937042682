"""The address of a server: reserved for workers, probed, and warned of where it is open."""

import errno
import logging
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from inventory_grpc.settings import BadSetting, Settings

_log = logging.getLogger(__name__)

_NOT_HERE: Final = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
"""A name such as localhost may also stand for an address that this machine lacks."""


def cannot_listen(settings: Settings) -> OSError:
    return OSError(
        f"cannot listen on {settings.listen}:"
        " the port is in use, or the address is not this machine's"
    )


def warn_of_openness(settings: Settings) -> None:
    """Warn where the server is open in a way that the operator may not have intended."""
    host, _, _ = settings.listen.rpartition(":")
    who = "whoever uses this machine" if settings.is_loopback else "whoever can reach this machine"
    if settings.callers is None:
        _log.warning("%s is open: %s may call, and is not asked who it is", host, who)
    if settings.tls_certificate is None and not settings.is_loopback:
        _log.warning("%s can be reached from other machines, and nothing is encrypted", host)


@contextmanager
def held(settings: Settings) -> Iterator[str]:
    """Hold the address in *settings* for workers to share; yield it, with the port it has.

    It is nobody else's at the start, and stays ours while workers come and go. The kernel
    then lets processes of this user in, and no others; connections go to workers alone.

    Raises:
        BadSetting: a port cannot be shared here.
        OSError: the address cannot be had.
    """
    if sys.platform != "linux":  # elsewhere SO_REUSEPORT is missing, or does not spread
        raise BadSetting("workers: only Linux can spread one port over several; set it to 1")
    with ExitStack() as holders:
        try:
            port = _hold_all(settings.host, settings.port, holders)
        except OSError as error:
            raise cannot_listen(settings) from error
        host, _, _ = settings.listen.rpartition(":")
        yield f"{host}:{port}"


def is_free(settings: Settings) -> bool:
    """Tell whether a server could listen as in *settings*, as far as the port goes."""
    try:
        with ExitStack() as holders:
            _hold_all(settings.host, settings.port, holders)
    except OSError:
        return False
    return True


def _hold_all(host: str, port: int, holders: ExitStack) -> int:
    """Hold every address that *host* stands for; return the port, which is one for all."""
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
    """Bind *holder* where nobody else is, then let others in who mean to share.

    Connections of a server that has just ended do not count (`SO_REUSEADDR`); what else is
    bound there does, once we listen: of two who come at once, no more than one gets past it.
    Then the socket stops to listen, and keeps the port.
    """
    is_chosen = address[1] != 0  # else the kernel looks for one that nobody has
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
