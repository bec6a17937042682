"""A command as callers submit it to the ledger."""

from typing import Final, NamedTuple

from inventory_grpc.application.access import EVERYWHERE, Scope
from inventory_grpc.application.ledger.atomic import AnyCommand
from inventory_grpc.application.outcomes import RequestKey
from inventory_grpc.domain.event import Cause

_NO_CAUSE: Final = Cause()


class Submission(NamedTuple):
    """A command, and what the ledger needs to know of its request."""

    command: AnyCommand
    cause: Cause
    key: RequestKey | None
    """The key under which the answer is stored, if the request can be repeated."""
    fingerprint: bytes
    scope: Scope
    """A reservation with a line outside it does not exist for the caller."""
    is_dry: bool = False
    """Whether the command is decided and not recorded."""

    @classmethod
    def of(
        cls,
        command: AnyCommand,
        cause: Cause = _NO_CAUSE,
        fingerprint: bytes = b"",
        scope: Scope = EVERYWHERE,
    ) -> "Submission":
        """Return *command* with the key that its *cause* names."""
        key = RequestKey(cause.actor, cause.request_id) if cause.request_id else None
        return cls(command, cause, key, fingerprint, scope)
