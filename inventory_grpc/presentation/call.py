"""The current call, as interceptors and handlers see it."""

from inventory_grpc.application.access import ANYBODY, Caller
from inventory_grpc.presentation.grpc_types import Context


class Call:
    """One call: its gRPC context, its caller, and the fields of its log line."""

    __slots__ = ("caller", "context", "notes", "position")

    def __init__(self, context: Context, caller: Caller = ANYBODY) -> None:
        self.context = context
        self.caller = caller
        self.notes: dict[str, object] = {}
        self.position = 0
        """The position of an answer in bytes, if the call is traced."""

    def note(self, **facts: object) -> None:
        """Add *facts* to the log line of this call."""
        self.notes.update(facts)

    def seconds_left(self) -> float | None:
        """Return the seconds until the caller's deadline, if there is one."""
        return self.context.time_remaining()
