"""Who is told, in this process, what has been committed?"""

import logging
from collections.abc import Callable
from typing import Any

from inventory_grpc.application.ports import Skipped
from inventory_grpc.domain.event import Event

_log = logging.getLogger(__name__)


class InProcessBus:
    """An `EventBus` that calls its handlers one after the other, on the event loop."""

    def __init__(self) -> None:
        self._handlers: dict[type[Any], list[Callable[[Any], None]]] = {}

    def subscribe(self, kind: type[Any], handler: Callable[[Any], None]) -> None:
        self._handlers.setdefault(kind, []).append(handler)

    def publish(self, occurrence: Event | Skipped) -> None:
        kind = type(occurrence.fact) if isinstance(occurrence, Event) else Skipped
        for handler in self._handlers.get(kind, ()):
            try:
                handler(occurrence)
            except Exception:  # noqa: BLE001  whatever it is, it is not the caller's
                # what is committed is committed: nobody's answer may hang on a listener
                _log.exception("a handler of %s failed", kind.__name__)
