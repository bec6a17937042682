"""Whose call is being served?"""

from contextvars import ContextVar

from inventory_grpc.application.access import ANYBODY, Caller

CALLER: ContextVar[Caller] = ContextVar("CALLER", default=ANYBODY)
"""Of the call that is being served; set, and never reset: each call has a context of its own."""
