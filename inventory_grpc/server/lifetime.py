"""The life of a serving process: event loop, garbage collection, signals, and exit."""

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from itertools import count
from typing import Any, Final, NoReturn

from inventory_grpc.application.background import repeat
from inventory_grpc.application.tally import Tally
from inventory_grpc.bad_setting import BadSetting
from inventory_grpc.choices import EventLoop
from inventory_grpc.server.serve import serving
from inventory_grpc.server.service_manager import ServiceManager
from inventory_grpc.server.worker_link import BEAT_SECONDS, OVERTIME_SECONDS, Link, ending_signals
from inventory_grpc.settings import Settings

_log = logging.getLogger(__name__)

GC_THRESHOLDS: Final = (60_000, 10, 10_000)
"""Allocations minus deallocations between two garbage collections. A full batch of carts allocates
28,000 objects and frees nearly all of them: collecting at 20,000 takes 7 % of the CPU, this 2 %. A
full collection runs about once in three hours; with full caches it takes 0.3 s."""

GC_SECONDS: Final = 1.0
"""The interval between collections of young objects. When a full cache evicts an entry for each
new one, allocations and deallocations balance, so Python collected so late that it took 0.3 s."""

SWITCH_SECONDS: Final = 0.0005
"""The longest time a thread keeps the GIL; it makes durable commands a tenth faster."""


def serve(settings: Settings, link: Link | None, manager: ServiceManager) -> None:
    """Serve until SIGTERM, SIGINT or SIGHUP, then drain; a second signal exits at once.

    A signal before the server accepts calls also exits at once, because waiting for a file or
    rebuilding its tables can take long. A worker also drains when its supervisor ends.

    Raises:
        LedgerBroken: storage has failed for too long.
    """
    # by default a thread that returns from the disk waits up to 5 ms for the GIL
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.set_threshold(*GC_THRESHOLDS)
    with asyncio.Runner(loop_factory=_loop_factory(settings.event_loop)) as runner:
        runner.run(_serve_until_stopped(settings, link, manager))


def _loop_factory(choice: EventLoop) -> Callable[[], asyncio.AbstractEventLoop] | None:
    if choice is EventLoop.ASYNCIO:
        return None
    try:
        import uvloop  # noqa: PLC0415  an optional extra
    except ImportError:
        if choice is EventLoop.AUTO:
            return None
        raise BadSetting("event_loop: uvloop is not installed; pip install uvloop") from None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


async def _serve_until_stopped(
    settings: Settings, link: Link | None, manager: ServiceManager
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    beating: list[asyncio.Task[None]] = []
    ending = ending_signals()
    for number in ending:
        signal.signal(number, _exit_before_serving)
    worker = link.worker if link else None
    async with manager.watched(), serving(settings, worker=worker) as served:
        on_signal = _drain_then_exit(stop)
        for number in ending:
            loop.add_signal_handler(number, on_signal)
        manager.report_serving()
        if link:
            link.on_end(stop.set)
            link.report_serving()
            beating.append(loop.create_task(repeat("the heartbeat", link.beat, BEAT_SECONDS)))
        collecting = asyncio.create_task(
            repeat("garbage collection", _collecting(served.loop_lag), GC_SECONDS),
            name="garbage collection",
        )
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait([stopping, served.engine.running], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        collecting.cancel()
        _log.info("draining: accepted calls are answered; another signal exits at once")
        manager.report_draining()
        # a hanging disk must not keep the process alive; an exit at any moment is safe
        loop.call_later(settings.drain_seconds + OVERTIME_SECONDS, _exit_now)
        if served.engine.running.done():
            await served.engine.running
    for task in beating:
        task.cancel()
    if link:
        link.end_beats()
    _log.info("stopped")


def _collecting(loop_lag: Tally) -> Callable[[], Coroutine[Any, Any, None]]:
    """Return what collects garbage, and counts how late the event loop runs it."""
    loop = asyncio.get_running_loop()
    due = loop.time() + GC_SECONDS

    async def collect() -> None:
        nonlocal due
        loop_lag.add(max(0.0, loop.time() - due))
        gc.collect(1)
        due = loop.time() + GC_SECONDS

    return collect


def _exit_before_serving(*_: object) -> None:
    _log.info("stopped by a signal before serving")
    _exit(0)


def _drain_then_exit(stop: asyncio.Event) -> Callable[[], None]:
    """Return a signal handler: the first call sets *stop*, the second exits at once.

    The end of a worker's supervisor does not count, because a service manager often sends its
    signal to all processes.
    """
    times = count()

    def on_signal() -> None:
        if next(times):
            _exit_now()
        stop.set()

    return on_signal


def _exit_now() -> None:
    _log.warning("exiting at once; acknowledged commands are on disk")
    _exit(1)


def _exit(code: int) -> NoReturn:
    """Exit at once, after a bounded time for the last log lines."""
    logging.shutdown()
    os._exit(code)
