"""Uses of gRPC on both sides of a fork.

A process that forks between the calls of its clients, as a web server does that loads the
application and then makes its workers, may use clients on both sides. While gRPC is at work in
another thread, a fork leaves it with locks that nobody gives back: a call of the new process would
wait for ever or crash. Such a process gets an error instead.
"""

import os
from typing import Protocol
from weakref import WeakSet


class Connected(Protocol):
    def in_use(self) -> bool: ...


_clients: WeakSet[Connected] = WeakSet()
_at_work = False
"""Whether gRPC was at work when this process was forked."""


def note(connections: Connected) -> None:
    """Consider *connections* at each fork."""
    _clients.add(connections)


def check() -> None:
    """Check that gRPC can be used in this process.

    Raises:
        RuntimeError: it was at work in another thread when this process was forked.
    """
    if _at_work:
        raise RuntimeError(
            "this process was forked while an inventory client was in use, so it cannot use gRPC:"
            " fork before the first call, or when all calls and streams have ended"
            " and each InventoryClient is closed, or start the process by `spawn`"
        )


def _before_fork() -> None:
    global _at_work_at_fork  # noqa: PLW0603  the hooks of a fork share nothing else
    _at_work_at_fork = any(connections.in_use() for connections in list(_clients))


def _in_child() -> None:
    global _at_work  # noqa: PLW0603  as above
    _at_work = _at_work or _at_work_at_fork


_at_work_at_fork = False

if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    os.register_at_fork(before=_before_fork, after_in_child=_in_child)
