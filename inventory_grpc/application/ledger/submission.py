"""A command and its request, as callers submit them to the ledger."""

from typing import Final, NamedTuple

from inventory_grpc.application.access import EVERYWHERE, Scope
from inventory_grpc.application.ports import RequestKey
from inventory_grpc.domain.book import Command
from inventory_grpc.domain.event import Cause
from inventory_grpc.domain.values import new

_NO_CAUSE: Final = Cause()


class Request:
    """The request of a command: its cause, fingerprint, deadline and scope."""

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
        """On the event loop's clock; a command not started by then is refused."""
        self.scope = scope
        """A reservation with a line outside it does not exist for the caller."""
        self.key = new(RequestKey, (cause.actor, cause.request_id)) if cause.request_id else None
        """The key under which the answer is stored, if the request can be repeated."""


class Submission(NamedTuple):
    command: Command
    request: Request
