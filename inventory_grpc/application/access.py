"""The caller of a request, with its role and its stores.

A caller has one role, and may be restricted to some stores. A reservation with a line in any
other store does not exist for that caller: no answer depends on it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, Protocol

from inventory_grpc.domain.event import Key
from inventory_grpc.domain.values import StoreId


class Role(IntEnum):
    """The role of a caller; each role includes those before it."""

    READER = 1
    """Queries, and subscriptions to events."""
    OPERATOR = 2
    """Commands."""
    ADMIN = 3
    """Administration of the server."""


_BEARER: Final = re.compile(r"Bearer +([A-Za-z0-9._~+/=-]{16,512})", re.IGNORECASE)


def token_in(header: object) -> str | None:
    """Return the token in the value of an `authorization` header; None if it has none."""
    bearer = _BEARER.fullmatch(header) if isinstance(header, str) else None
    return bearer[1] if bearer else None


@dataclass(frozen=True, slots=True)
class Scope:
    """The stores that a caller may access; None is all."""

    stores: frozenset[StoreId] | None = None

    def covers(self, streams: Iterable[Key]) -> bool:
        """Return whether all these streams are in scope; one without a store needs all stores."""
        stores = self.stores
        return stores is None or all(getattr(key, "store_id", None) in stores for key in streams)


EVERYWHERE: Final = Scope()


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller, or the anonymous one."""

    actor: str
    """The name in events; empty for the anonymous caller."""
    role: Role
    scope: Scope = field(default=EVERYWHERE)


ANYBODY: Final = Caller("", Role.ADMIN)
"""The anonymous caller, of a server without authentication."""


class Callers(Protocol):
    """Finds callers by their credentials; the answers may change at any time."""

    def by_token(self, token: str) -> Caller | None:
        """Return the caller with this token, if it is valid now."""

    def by_certificate(self, names: Iterable[str]) -> Caller | None:
        """Return the caller whose certificate has one of these names."""
