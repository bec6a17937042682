"""The life of a server, from its start to its drain."""

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
from inventory_grpc.bootstrap import serving
from inventory_grpc.choices import EventLoop
from inventory_grpc.process import BEAT_SECONDS, OVERTIME_SECONDS, Link, ending_signals
from inventory_grpc.settings import BadSetting, Settings

_log = logging.getLogger(__name__)

GC_THRESHOLDS: Final = (20_000, 10, 10_000)
"""Objects made, less those that went, between two looks for cycles: by default Python looks every
few calls. It looks at everything about once in three hours, which with full caches takes 0.3 s."""

GC_SECONDS: Final = 1.0
"""Between two looks at what is new. Where caches make room for each new entry, as many objects
go as come, and Python did not look until there were so many that it took 0.3 s."""

SWITCH_SECONDS: Final = 0.0005
"""How long a thread may keep the interpreter; durable commands are a tenth faster for it."""


def serve(settings: Settings, link: Link | None) -> None:
    """Serve until SIGTERM, SIGINT or SIGHUP, then drain; a second one ends the process at once.

    So does one that comes before it serves: nothing was taken that would have to be
    answered, and to wait for a file, or make its tables anew, can take long. A worker also
    drains when its supervisor is gone.

    Raises:
        LedgerBroken: storage has failed for too long.
    """
    # a thread that comes back from the disk otherwise waits for up to 5 ms to go on
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
        signal.signal(number, _never_mind)
    async with serving(settings, worker=link.worker if link else None) as served:
        told = _once_gently(stop)
        for number in ending:
            loop.add_signal_handler(number, told)
        if link:
            link.on_end(stop.set)
            link.serves()
            beating.append(loop.create_task(repeat("the beat", link.beat, BEAT_SECONDS)))
        looking = asyncio.create_task(
            repeat("the look for cycles", _look_for_cycles, GC_SECONDS), name="look for cycles"
        )
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait([stopping, served.engine.running], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        looking.cancel()
        _log.info("draining: calls that were taken are answered; once more to leave at once")
        # a disk that does not answer must not keep the process: to be killed is safe
        loop.call_later(settings.drain_seconds + OVERTIME_SECONDS, _leave)
        if served.engine.running.done():
            await served.engine.running
    for task in beating:
        task.cancel()
    if link:
        link.leaves()
    _log.info("stopped")


async def _look_for_cycles() -> None:
    gc.collect(1)


def _never_mind(*_: object) -> None:
    _log.info("told to stop before it served")
    _exit(0)


def _once_gently(stop: asyncio.Event) -> Callable[[], None]:
    """Return what sets *stop*, and when it is called again, leaves at once.

    That a worker has no supervisor any more is not counted: a service manager often tells
    all processes at once.
    """
    times = count()

    def told() -> None:
        if next(times):
            _leave()
        stop.set()

    return told


def _leave() -> None:
    _log.warning("leaving at once; what was acknowledged is on disk")
    _exit(1)


def _exit(code: int) -> NoReturn:
    """End the process at once, but for the last lines, which have a bounded time."""
    logging.shutdown()
    os._exit(code)
