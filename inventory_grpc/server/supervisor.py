"""Starts workers that share a port, replaces those that end, and drains them."""

import asyncio
import logging
import time
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from inventory_grpc.application.background import repeat
from inventory_grpc.server.address import reserved, warn_of_openness
from inventory_grpc.server.metrics_of_workers import metrics_of_workers, of_worker
from inventory_grpc.server.service_manager import NOT_MANAGED, ServiceManager
from inventory_grpc.server.worker import End, Worker
from inventory_grpc.server.worker_link import BEAT_SECONDS, OVERTIME_SECONDS, ending_signals
from inventory_grpc.settings import Settings

_log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS: Final = 0.1
LONGEST_PAUSE_SECONDS: Final = 10.0
STEADY_SECONDS: Final = 60.0
"""A worker that ran for this long is replaced at once."""

QUIET_BEATS: Final = 4
"""After this many missed heartbeats, 2 s, a worker is named in the log."""

HUNG_BEATS: Final = 20
"""After this many, 10 s, it is killed and replaced, because its locks block other writers. If it
waits for the disk, this is checked again after as many.

Heartbeats are counted, not timed: none is missed while the machine or all processes are suspended.
"""

LAST_SECONDS: Final = 2.0
"""The extra time for workers to drain before they are killed."""


class WorkerFailed(Exception):
    """A worker could not serve, or ended in an error; the message gives the reason."""


def pause_after(last_pause: float | None, lived_seconds: float) -> float:
    """Return the pause before a worker that ran for *lived_seconds* is replaced."""
    if last_pause is None or lived_seconds >= STEADY_SECONDS:
        return 0.0
    return min(max(2 * last_pause, FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)


async def supervise(settings: Settings, manager: ServiceManager = NOT_MANAGED) -> None:
    """Run workers, and replace those that end, until SIGTERM, SIGINT or SIGHUP.

    Then they drain; a second signal kills them. If this process ends for any reason, they drain
    by themselves.

    Raises:
        BadSetting, OSError: the address cannot be bound.
        WorkerFailed: a worker ended before all had served, or ended in an error.
    """
    with reserved(settings) as address:
        warn_of_openness(settings)
        supervisor = _Supervisor(replace(settings, listen=address), manager)
        async with (
            manager.watched(),
            metrics_of_workers(settings, supervisor.restarts) as supervisor.sockets,
        ):
            await supervisor.run()
    _log.info("stopped")


class _Supervisor:
    def __init__(self, settings: Settings, manager: ServiceManager = NOT_MANAGED) -> None:
        self._settings = settings
        self._manager = manager
        self._numbers = range(1, settings.workers + 1)
        self.restarts = dict.fromkeys(self._numbers, 0)
        self.sockets: Path | None = None
        """The folder in which workers serve their metrics, if these are served."""
        self._workers: dict[int, Worker] = {}
        self._served: set[int] = set()
        self._stop = asyncio.Event()
        self._failed: list[str] = []

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in ending_signals():
            loop.add_signal_handler(number, self._on_signal)
        watching = asyncio.create_task(
            repeat("the check of workers", self._check_workers, BEAT_SECONDS)
        )
        keeping = [asyncio.create_task(self._keep(number)) for number in self._numbers]
        try:
            await asyncio.gather(*keeping)
        except Exception:
            # after any error: the other workers must not stay without a supervisor
            self._drain()
            await asyncio.wait(keeping)
            raise
        finally:
            watching.cancel()
        if self._failed:
            raise WorkerFailed("; ".join(self._failed))

    async def _keep(self, number: int) -> None:
        """Run worker *number*, and replace it when it ends, until the supervisor stops."""
        name, pause = f"worker {number} of {len(self._numbers)}", None
        while not self._stop.is_set():
            started = time.monotonic()
            end = await self._run_worker(number)
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
                self.restarts[number] += 1

    async def _check_workers(self) -> None:
        """Log workers whose event loop is blocked, and later kill them.

        A worker that waits for a hanging disk is not killed: the system ends it no earlier than
        the disk answers, and then it continues by itself. While draining, workers have their own
        time limit and end their heartbeats.
        """
        if self._stop.is_set():
            return
        for number, worker in self._workers.items():
            missed = worker.count_missed_beat()
            is_hung = missed > 0 and missed % HUNG_BEATS == 0
            # a worker that has ended its heartbeats may exit slowly on a busy machine
            is_quiet = missed == QUIET_BEATS and not worker.is_leaving
            if not (is_hung or is_quiet):
                continue
            kills = is_hung and not worker.waits_for_disk()
            action = f"it is killed after {HUNG_BEATS * BEAT_SECONDS:g} s"
            if is_hung:
                action = "it is killed" if kills else "it is not killed until the disk answers"
            _log.error(
                "worker %s of %s has sent no heartbeat for %g s: %s; %s",
                number,
                len(self._numbers),
                missed * BEAT_SECONDS,
                worker,
                action,
            )
            if kills:
                worker.kill()

    async def _run_worker(self, number: int) -> End:
        try:
            worker = self._workers[number] = Worker.start(
                number, of_worker(self._settings, self.sockets, number)
            )
        except OSError as error:
            return End("could not be started", str(error), is_orderly=False)
        return await worker.ended(partial(self._serves, number))

    def _serves(self, number: int) -> None:
        if len(self._served) == len(self._numbers):
            return  # it has replaced another worker
        self._served.add(number)
        if len(self._served) == len(self._numbers):
            # the database exists: if it disappears, no worker may create another log
            self._settings = replace(self._settings, create=False)
            _log.info(
                "serving on %s from %s with %s workers (durability %s)",
                self._settings.listen,
                self._settings.database,
                len(self._served),
                self._settings.durability.value,
            )
            self._manager.report_serving()

    def _on_signal(self) -> None:
        if self._stop.is_set():
            _log.warning("exiting at once; acknowledged commands are on disk")
            self._kill()
        else:
            _log.info("draining: accepted calls are answered; another signal exits at once")
            self._drain()

    def _drain(self) -> None:
        self._stop.set()
        self._manager.report_draining()
        for worker in self._workers.values():
            worker.drain()
        patience = self._settings.drain_seconds + OVERTIME_SECONDS + LAST_SECONDS
        asyncio.get_running_loop().call_later(patience, self._kill)

    def _kill(self) -> None:
        for worker in self._workers.values():
            worker.kill()
