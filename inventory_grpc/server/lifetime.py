"""The process that serves: its event loop, garbage collection, signals, and its exit."""

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable
from itertools import count
from typing import Final, NoReturn

from inventory_grpc.application.background import repeat
from inventory_grpc.server.serve import serving
from inventory_grpc.server.worker_link import BEAT_SECONDS, OVERTIME_SECONDS, Link, ending_signals
from inventory_grpc.settings import BadSetting, EventLoop, Settings

_log = logging.getLogger(__name__)

GC_THRESHOLDS: Final = (20_000, 10, 10_000)
"""Objects made, less those freed, between two garbage collections: by default Python collects
every few calls. A full collection comes about once in three hours; with full caches it takes
0.3 s."""

GC_SECONDS: Final = 1.0
"""Between two collections of young objects. Where caches make room for each new entry, as many
objects are freed as are made, so Python collected so late that it took 0.3 s."""

SWITCH_SECONDS: Final = 0.0005
"""How long a thread may keep the interpreter; durable commands are a tenth faster for it."""


def serve(settings: Settings, link: Link | None) -> None:
    """Serve until SIGTERM, SIGINT or SIGHUP, then drain; a second one ends the process at once.

    A signal that comes before it serves ends it at once, too: no call was accepted, and to wait
    for a file, or to rebuild its tables, can take long. A worker also drains when its supervisor
    is gone.

    Raises:
        LedgerBroken: storage has failed for too long.
    """
    # otherwise a thread that returns from the disk waits for up to 5 ms to go on
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.set_threshold(*GC_THRESHOLDS)
    with asyncio.Runner(loop_factory=_loop_factory(settings.event_loop)) as runner:
        runner.run(_serve_until_stopped(settings, link))


def _loop_factory(choice: EventLoop) -> Callable[[], asyncio.AbstractEventLoop] | None:
    if choice is EventLoop.ASYNCIO:
        return None
    try:
        import uvloop  # noqa: PLC0415  an extra, for those who chose it
    except ImportError:
        raise BadSetting("event_loop: uvloop is not installed; pip install uvloop") from None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


async def _serve_until_stopped(settings: Settings, link: Link | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    beating: list[asyncio.Task[None]] = []
    ending = ending_signals()
    for number in ending:
        signal.signal(number, _exit_before_serving)
    async with serving(settings, worker=link.worker if link else None) as served:
        on_signal = _drain_then_exit(stop)
        for number in ending:
            loop.add_signal_handler(number, on_signal)
        if link:
            link.on_end(stop.set)
            link.serves()
            beating.append(loop.create_task(repeat("the beat", link.beat, BEAT_SECONDS)))
        collecting = asyncio.create_task(
            repeat("garbage collection", _collect_garbage, GC_SECONDS), name="garbage collection"
        )
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait([stopping, served.engine.running], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        collecting.cancel()
        _log.info("draining: calls that were taken are answered; once more to leave at once")
        # a disk that hangs must not keep the process: to be killed is safe
        loop.call_later(settings.drain_seconds + OVERTIME_SECONDS, _exit_now)
        if served.engine.running.done():
            await served.engine.running
    for task in beating:
        task.cancel()
    if link:
        link.leaves()
    _log.info("stopped")


async def _collect_garbage() -> None:
    gc.collect(1)


def _exit_before_serving(*_: object) -> None:
    _log.info("told to stop before it served")
    _exit(0)


def _drain_then_exit(stop: asyncio.Event) -> Callable[[], None]:
    """Return a handler of signals: the first sets *stop*, the second exits at once.

    The loss of a worker's supervisor is not counted: a service manager often sends its signal
    to all processes.
    """
    times = count()

    def on_signal() -> None:
        if next(times):
            _exit_now()
        stop.set()

    return on_signal


def _exit_now() -> None:
    _log.warning("leaving at once; what was acknowledged is on disk")
    _exit(1)


def _exit(code: int) -> NoReturn:
    """End the process at once, except that the last log lines have a bounded time."""
    logging.shutdown()
    os._exit(code)
