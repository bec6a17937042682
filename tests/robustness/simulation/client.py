"""A simulated customer, who retries every request under its request id."""

import asyncio
from collections.abc import Sequence
from functools import partial

from inventory_grpc.application.failures import Internal, OutcomeUnknown, Unavailable
from inventory_grpc.application.ledger.mailbox import submissions_of
from inventory_grpc.application.ledger.submission import Submission
from inventory_grpc.application.outcomes import Outcome
from inventory_grpc.domain.book import Command
from inventory_grpc.domain.event import Cause
from inventory_grpc.domain.refusals import Refusal
from tests.robustness.simulation.history import Asked, Attempt, Doubt, Faulty
from tests.robustness.simulation.network import Lost, Unreachable
from tests.robustness.simulation.process import Process
from tests.robustness.simulation.stage import Stage
from tests.robustness.simulation.wishes import Wishes
from tests.support.engine import Engine

BACKOFF_SECONDS = 0.05
MAX_BACKOFF_SECONDS = 2.0


class Client:
    """Sends requests to any process, one after the other."""

    def __init__(self, name: str, stage: Stage, wishes: Wishes) -> None:
        self.name = name
        self._stage = stage
        self._chance = stage.chance
        self._wishes = wishes
        self._asked: list[Asked] = []

    async def run(self, requests: int) -> None:
        for number in range(requests):
            await self._chance.pause(self._stage.profile.think_seconds)
            asked = self._next(number, await self._race())
            hedges = asked.request_id and self._chance.happens(0.1)
            sent = [self._insist(asked) for _ in range(2 if hedges else 1)]
            await asyncio.gather(*sent)  # hedged: to two processes at once
            if asked.request_id and asked.outcome and self._chance.happens(0.2):
                await self._attempt(asked)  # once more, for the same answer
                if self._chance.happens(0.2):
                    await self._reuse(asked)

    async def _race(self) -> str:
        """Now and then wait until a hold is just about to be over; return whose it is."""
        race = self._wishes.race(self._stage.loop.time())
        if race is None:
            return ""
        await asyncio.sleep(race.seconds)
        return race.name

    def _next(self, number: int, name: str) -> Asked:
        anonymous = self._chance.happens(0.08)
        request_id = "" if anonymous else f"{self.name}-{number}"
        wishes = self._wishes
        command: Command | Faulty = (
            wishes.on(name) if name else wishes.any_command(f"{self.name}-{number}")
        )
        if self._chance.happens(self._stage.profile.faulty):
            command = Faulty()
        asked = Asked(request_id, command)
        self._stage.asked.append(asked)
        self._asked.append(asked)
        return asked

    async def _insist(self, asked: Asked) -> None:
        """Ask until it is known what became of it, or until patience is over."""
        backoff = BACKOFF_SECONDS
        for _ in range(self._chance.choice((1, 3, 8))):
            pushback = _wait_before_next(await self._attempt(asked))
            if pushback is None or not asked.request_id:
                return
            await asyncio.sleep(pushback + self._chance.random() * backoff)
            backoff = min(2 * backoff, MAX_BACKOFF_SECONDS)

    async def settle(self) -> None:
        """Ask once more for whatever is still in doubt, now that nothing fails."""
        for asked in self._asked:
            last = asked.attempts[-1].answer
            if asked.request_id and not asked.outcome and isinstance(last, Doubt | Unavailable):
                backoff = BACKOFF_SECONDS
                while (
                    wait := _wait_before_next(await self._attempt(asked, calm=True))
                ) is not None:
                    await asyncio.sleep(wait + self._chance.random() * backoff)
                    backoff = min(2 * backoff, MAX_BACKOFF_SECONDS)

    async def _reuse(self, first: Asked) -> None:
        """Ask for something else under an id that was used: that must be noticed."""
        command = self._wishes.any_command(f"{first.request_id}-reused")
        if command != first.command:
            other = Asked(first.request_id, command)
            self._stage.reused.append(other)
            await self._attempt(other)

    async def _attempt(self, asked: Asked, *, calm: bool = False) -> Attempt:
        """Send it once, and note what came of it."""
        stage, chance = self._stage, self._chance
        process = chance.choice(stage.processes)
        attempt = Attempt(
            f"{asked.request_id or self.name}/{len(stage.asked)}.{stage.next_number()}",
            process.name,
            stage.loop.turns,
            stage.loop.time(),
            stage.disk.tables.head,
        )
        asked.attempts.append(attempt)
        stage.trace.note(self.name, "asks", attempt.tag, process.name, asked.command)
        seconds = None if calm or chance.happens(0.6) else chance.soon(0.3)
        calling = asyncio.ensure_future(
            stage.network.call(process, partial(self._handle, process, asked, attempt, seconds))
        )
        timers = []
        if seconds is not None:
            patience = seconds + chance.choice((0.0, 0.2))  # by its own clock
            timers.append(stage.loop.call_later(patience, calling.cancel))
        if not calm and chance.happens(stage.profile.cancels):
            timers.append(stage.loop.call_later(chance.soon(0.05), calling.cancel))
        attempt.answer = await self._answer(calling, asked)
        for timer in timers:
            timer.cancel()
        attempt.returned, attempt.head_after = stage.loop.turns, stage.disk.tables.head
        attempt.split = process.had_bug
        stage.trace.note(self.name, "is told", attempt.tag, _told(attempt.answer))
        return attempt

    async def _answer(  # noqa: C901  one case an answer
        self, calling: "asyncio.Task[Outcome]", asked: Asked
    ) -> Outcome | Refusal | TimeoutError | Doubt:
        trace = self._stage.trace
        await asyncio.wait([calling])
        if calling.cancelled():
            return Doubt("it was given up")
        error = calling.exception()
        match error:
            case None:
                outcome = calling.result()
                self._check_is_there(outcome)
                if outcome.replayed:
                    trace.saw(self.name, "answered again")
                return outcome
            case OutcomeUnknown():
                trace.saw(self.name, "told OutcomeUnknown")
                return Doubt("outcome unknown")
            case Lost():
                return Doubt("the connection was lost")
            case Unreachable():
                return Unavailable(0.0)
            case Internal() if isinstance(asked.command, Faulty):
                trace.saw(self.name, "told Internal")
                return error
            case Internal():
                raise trace.violated(f"{asked.request_id}: internal error")
            case TimeoutError():
                return error
            case Refusal():
                trace.saw(self.name, f"told {type(error).__name__}")
                return error
            case _:
                raise trace.violated(f"{asked.request_id}: {error!r}") from error

    def _check_is_there(self, outcome: Outcome) -> None:
        head = self._stage.disk.tables.head
        rule = f"acknowledged at {outcome.position}, and the log on disk ends at {head}"
        self._stage.trace.require(outcome.position <= head, rule)

    async def _handle(
        self,
        process: Process,
        asked: Asked,
        attempt: Attempt,
        seconds: float | None,
        engine: Engine,
    ) -> Outcome:
        """Do what the server does with a call; gRPC cancels it when its time is up, or later."""
        loop = self._stage.loop
        attempt.base = process.port.base
        if seconds is not None:
            attempt.deadline = loop.time() + seconds
            task = asyncio.current_task()
            assert task is not None
            loop.call_later(seconds + self._chance.soon(0.1), task.cancel)
        cause = Cause(request_id=asked.request_id, reference=attempt.tag)
        submission = Submission.of(asked.command, cause, repr(asked.command).encode())  # type: ignore[arg-type]
        try:
            outcome = await engine.ledger.record(submission, attempt.deadline)
        except asyncio.CancelledError:
            if process.is_up:
                waiting = submissions_of(engine.ledger._mailbox._entries)
                where = "queued" if submission in waiting else "being recorded"
                self._stage.trace.saw(process.name, f"cancelled while {where}")
            raise
        except TimeoutError:
            self._stage.trace.saw(process.name, "deadline passed in the mailbox")
            raise
        except Internal:
            process.had_bug = True
            raise
        rule = f"{process.name} answers with {outcome.position}, which it has not published"
        self._stage.trace.require(engine.head.position >= outcome.position, rule)
        kept = outcome.subjects[0] if outcome.subjects else None
        if kept and kept.held and kept.expire_time is not None:
            left = (kept.expire_time - engine.ledger._upkeep._clock.now()) / 1e6
            self._wishes.holds[kept.reservation_id] = loop.time() + left
        return outcome


def _wait_before_next(attempt: Attempt) -> float | None:
    """Return what the client library waits before the next attempt; None: there is none."""
    match attempt.answer:
        case Doubt():
            return 0.0
        case Unavailable(retry_seconds=seconds):
            return seconds
        case _:
            return None


def _told(answer: object) -> Sequence[object]:
    match answer:
        case Outcome():
            return ("done", answer.position, "again" if answer.replayed else "")
        case Internal():
            return ("Internal",)
        case _:
            return (type(answer).__name__, str(answer))
