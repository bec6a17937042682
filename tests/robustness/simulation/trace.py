"""The trace of a simulation, and the faults that must occur in it at least once."""

import hashlib
import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from tests.robustness.simulation.loop import START_SECONDS, SeededLoop

_SERVICE = logging.getLogger("inventory_grpc")


class Line(NamedTuple):
    """One action of an actor, or one fault that affected it."""

    turn: int
    time: float
    who: str
    what: str
    details: tuple[object, ...]

    def __str__(self) -> str:
        details = ", ".join(map(str, self.details))
        return f"{self.time - START_SECONDS:12.6f}  {self.who:<12} {self.what} {details}"


class Violation(AssertionError):
    """Something is so that must never be."""


class Trace(logging.Handler):
    """The story of one seed. What the service logs belongs to it."""

    def __init__(self, loop: SeededLoop) -> None:
        super().__init__(logging.WARNING)
        self._loop = loop
        self.lines: list[Line] = []
        self.seen: Counter[str] = Counter()
        self.violations: list[str] = []

    def note(self, who: str, what: str, *details: object) -> None:
        loop = self._loop
        self.lines.append(Line(loop.turns, loop.time(), who, what, details))

    def saw(self, who: str, what: str, *details: object) -> None:
        """Note something that some seed of every run has to see."""
        self.seen[what] += 1
        self.note(who, what, *details)

    def violated(self, rule: str) -> Violation:
        """Note that *rule* is broken; it is remembered also where the error gets lost."""
        self.note("oracle", "VIOLATED", rule)
        self.violations.append(rule)
        return Violation(rule)

    def require(self, holds: bool, rule: str) -> None:  # noqa: FBT001  it reads as an assert does
        if not holds:
            raise self.violated(rule)

    def digest(self) -> str:
        """Return a hash over all of it, and over every choice of the loop."""
        story = "\n".join(f"{line.turn} {line.time!r} {line}" for line in self.lines)
        whole = f"{story}\n{self._loop.fingerprint} {self._loop.turns} {self._loop.time()!r}"
        return hashlib.sha256(whole.encode()).hexdigest()

    def emit(self, record: logging.LogRecord) -> None:
        self.note("log", str(record.msg))
        if record.exc_info and record.exc_info[1] and "handler of" in str(record.msg):
            self.violated(f"a listener failed: {record.exc_info[1]!r}")

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Receive the log of the service alone."""
        propagates, _SERVICE.propagate = _SERVICE.propagate, False
        level = _SERVICE.level
        _SERVICE.setLevel(logging.WARNING)
        _SERVICE.addHandler(self)
        try:
            yield
        finally:
            _SERVICE.removeHandler(self)
            _SERVICE.setLevel(level)
            _SERVICE.propagate = propagates
