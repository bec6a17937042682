"""The caller of a request, and what the caller may see and do.

A caller has one role and, if it is so, only some stores. A reservation with a line in any
other store is not there for them: what they are told does not depend on it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, Protocol

from inventory_grpc.domain.event import Key
from inventory_grpc.domain.values import StoreId


class Role(IntEnum):
    """What a caller may do; each may also do what those before it may."""

    READER = 1
    """Ask, and follow the events."""
    OPERATOR = 2
    """Send commands."""
    ADMIN = 3
    """Look after the server."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The stores that count for a caller: all of them, unless they are named."""

    stores: frozenset[StoreId] | None = None

    def covers(self, streams: Iterable[Key]) -> bool:
        """Tell whether all these streams are in it. One of no store is only for all stores."""
        stores = self.stores
        return stores is None or all(getattr(key, "store_id", None) in stores for key in streams)


EVERYWHERE: Final = Scope()


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who is known, or anybody."""

    actor: str
    """Their name in the events; empty while nobody is asked who they are."""
    role: Role
    scope: Scope = field(default=EVERYWHERE)


ANYBODY: Final = Caller("", Role.ADMIN)
"""Whoever calls a server that does not ask who calls."""


class Callers(Protocol):
    """Knows who calls, by what they show. What it knows may change at any time."""

    def by_token(self, token: str) -> Caller | None:
        """Return whose token this is, now."""
        ...

    def by_certificate(self, names: Iterable[str]) -> Caller | None:
        """Return whose certificate bears one of these names."""
        ...
