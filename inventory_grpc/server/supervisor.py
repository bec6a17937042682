"""Starts workers that share a port, replaces those that end, and drains them."""

import asyncio
import logging
import time
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Final

from inventory_grpc.application.background import repeat
from inventory_grpc.server.address import held, warn_of_openness
from inventory_grpc.server.worker import End, Worker
from inventory_grpc.server.worker_link import BEAT_SECONDS, OVERTIME_SECONDS, ending_signals
from inventory_grpc.settings import Settings

_log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS: Final = 0.1
LONGEST_PAUSE_SECONDS: Final = 10.0
STEADY_SECONDS: Final = 60.0
"""After so long a life, the next one begins at once."""

QUIET_BEATS: Final = 4
"""After so many beats that did not come, 2 s, a worker is named in the log."""

HUNG_BEATS: Final = 20
"""After so many, 10 s, it is killed, and so replaced: what it holds keeps others from writing.
If it waits for the disk then, that is looked at again after as many.

They are counted, not timed: when the machine or all processes are suspended, none is missed.
"""

LAST_SECONDS: Final = 2.0
"""How much longer than they should need workers are waited for, before they are killed."""


class WorkerFailed(Exception):
    """A worker could not serve, or did not end as it should; the message says why."""


def pause_after(last_pause: float | None, lived_seconds: float) -> float:
    """Return how long to wait before a worker is replaced that lived so long after *last_pause*."""
    if last_pause is None or lived_seconds >= STEADY_SECONDS:
        return 0.0
    return min(max(2 * last_pause, FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)


async def supervise(settings: Settings) -> None:
    """Run workers, and replace those that end, until SIGTERM, SIGINT or SIGHUP.

    Then they drain; a second signal ends them at once. When this process is gone for any
    reason, they drain by themselves.

    Raises:
        BadSetting, OSError: the address cannot be had.
        WorkerFailed: one of them ended before all had served, or otherwise than it should.
    """
    with held(settings) as address:
        warn_of_openness(settings)
        await _Supervisor(replace(settings, listen=address)).run()
    _log.info("stopped")


class _Supervisor:
    """Keeps the wanted number of workers running."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._numbers = range(1, settings.workers + 1)
        self._workers: dict[int, Worker] = {}
        self._served: set[int] = set()
        self._stop = asyncio.Event()
        self._failed: list[str] = []

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in ending_signals():
            loop.add_signal_handler(number, self._told_to_stop)
        listening = asyncio.create_task(repeat("the look at workers", self._look, BEAT_SECONDS))
        keeping = [asyncio.create_task(self._keep(number)) for number in self._numbers]
        try:
            await asyncio.gather(*keeping)
        except Exception:
            # also for what nobody expected: the others must not stay without a supervisor
            self._drain()
            await asyncio.wait(keeping)
            raise
        finally:
            listening.cancel()
        if self._failed:
            raise WorkerFailed("; ".join(self._failed))

    async def _keep(self, number: int) -> None:
        """Have a worker of this *number* at work until told to stop."""
        name, pause = f"worker {number} of {len(self._numbers)}", None
        while not self._stop.is_set():
            started = time.monotonic()
            end = await self._life(number)
            if self._stop.is_set():
                _log.info("%s %s", name, end.how)
                if not end.is_orderly:
                    self._failed.append(f"{name} {end.how}")
            elif len(self._served) < len(self._numbers):
                raise WorkerFailed(end.reason or f"{name} {end.how} before all of them served")
            else:
                pause = pause_after(pause, time.monotonic() - started)
                when = f"in {pause:g} s" if pause else "at once"
                say = _log.info if end.is_orderly else _log.error
                say("%s %s; another starts %s", name, end, when)
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._stop.wait()

    async def _look(self) -> None:
        """Name workers whose event loop stands still, then kill them.

        One that reads from a disk that hangs is let be: the system ends it no earlier than the
        disk answers, and then it goes on by itself. Once all drain, they have a time of their
        own for that, and stop beating in the end.
        """
        if self._stop.is_set():
            return
        for number, worker in self._workers.items():
            missed = worker.miss()
            is_hung = missed > 0 and missed % HUNG_BEATS == 0
            # one that is done takes its time on a busy machine, and nobody waits for it
            is_quiet = missed == QUIET_BEATS and not worker.is_leaving
            if not (is_hung or is_quiet):
                continue
            kills = is_hung and not worker.waits_for_disk()
            fate = f"it is killed after {HUNG_BEATS * BEAT_SECONDS:g} s"
            if is_hung:
                fate = "it is killed" if kills else "it is let be until the disk answers"
            _log.error(
                "worker %s of %s has not been heard of for %g s: %s; %s",
                number,
                len(self._numbers),
                missed * BEAT_SECONDS,
                worker,
                fate,
            )
            if kills:
                worker.kill()

    async def _life(self, number: int) -> End:
        """Start a worker of this *number*; return how it has ended."""
        try:
            worker = self._workers[number] = Worker.start(number, self._settings)
        except OSError as error:
            return End("could not be started", str(error), is_orderly=False)
        return await worker.ended(partial(self._serves, number))

    def _serves(self, number: int) -> None:
        if len(self._served) == len(self._numbers):
            return  # it is one that replaces another
        self._served.add(number)
        if len(self._served) == len(self._numbers):
            # there is a database: if it goes, nobody may begin another log on the same port
            self._settings = replace(self._settings, create=False)
            _log.info(
                "serving on %s from %s with %s workers (durability %s)",
                self._settings.listen,
                self._settings.database,
                len(self._served),
                self._settings.durability.value,
            )

    def _told_to_stop(self) -> None:
        if self._stop.is_set():
            _log.warning("leaving at once; what was acknowledged is on disk")
            self._kill()
        else:
            _log.info("draining: calls that were taken are answered; once more to leave at once")
            self._drain()

    def _drain(self) -> None:
        self._stop.set()
        for worker in self._workers.values():
            worker.drain()
        patience = self._settings.drain_seconds + OVERTIME_SECONDS + LAST_SECONDS
        asyncio.get_running_loop().call_later(patience, self._kill)

    def _kill(self) -> None:
        for worker in self._workers.values():
            worker.kill()
