"""What else should the log line of this call say?"""

from contextvars import ContextVar

NOTES: ContextVar[dict[str, object]] = ContextVar("NOTES")
"""Of the call that is being served; set, and never reset: each call has a context of its own."""


def note(**facts: object) -> None:
    """Add *facts* to the log line of the call that is being served."""
    notes = NOTES.get(None)
    if notes is not None:
        notes.update(facts)
