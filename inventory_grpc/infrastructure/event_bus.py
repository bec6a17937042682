"""Publishes committed events to the listeners in this process, on the event loop."""

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from inventory_grpc.application.bus import Listener
from inventory_grpc.domain.event import Event, Key

T = TypeVar("T")

_log = logging.getLogger(__name__)


class InProcessBus:
    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def subscribe(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def publish(self, events: Sequence[Event]) -> None:
        if events:
            for listener in self._listeners:
                if not _notify(listener.recorded, events):
                    # it is unknown how many of them it has handled
                    _notify(listener.skipped, events[-1].position)

    def publish_elsewhere(self, streams: Sequence[Key], upto: int) -> None:
        if streams:
            for listener in self._listeners:
                if not _notify(listener.recorded_elsewhere, streams):
                    _notify(listener.skipped, upto)

    def skip(self, upto: int) -> None:
        for listener in self._listeners:
            _notify(listener.skipped, upto)


def _notify(handle: Callable[[T], None], news: T) -> bool:
    """Call a listener; return whether it succeeded."""
    try:
        handle(news)
    except Exception:  # noqa: BLE001  no error of a listener concerns the caller
        # the events are committed, so no answer may depend on a listener
        _log.exception("a listener of the event bus failed")
        return False
    return True
