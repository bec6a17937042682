"""A command and the request that it came with, as callers put them to the ledger."""

from typing import Final, NamedTuple

from inventory_grpc.application.access import EVERYWHERE, Scope
from inventory_grpc.application.ports import RequestKey
from inventory_grpc.domain.book import Command
from inventory_grpc.domain.event import Cause
from inventory_grpc.domain.values import new

_NO_CAUSE: Final = Cause()


class Request:
    """One call: its cause, a fingerprint of the question, and until when it matters."""

    __slots__ = ("cause", "deadline", "fingerprint", "key", "scope")

    def __init__(
        self,
        cause: Cause = _NO_CAUSE,
        fingerprint: bytes = b"",
        deadline: float | None = None,
        scope: Scope = EVERYWHERE,
    ) -> None:
        self.cause = cause
        self.fingerprint = fingerprint
        self.deadline = deadline
        """On the event loop's clock; a command not begun by then is never begun."""
        self.scope = scope
        """A reservation with a line outside of it is not there for the caller."""
        self.key = new(RequestKey, (cause.actor, cause.request_id)) if cause.request_id else None
        """The name by which it is remembered, if it can be repeated."""


class Question(NamedTuple):
    """A command, and the request that it came with."""

    command: Command
    request: Request
