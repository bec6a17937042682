"""Fail points: named places where a test can stop, delay or break the running service.

They work like FreeBSD's `fail(9)` and etcd's `gofail`, and do nothing unless they were armed when
the process started. An unarmed point costs one look-up in an empty dict.
"""

import asyncio
import logging
import os
import random
import time
from dataclasses import dataclass
from typing import Final, Literal, get_args

from inventory_grpc.application.ports import Fault, StorageError

_log = logging.getLogger(__name__)

VARIABLE: Final = "INVENTORY_FAIL_POINTS"
"""The environment variable: `before_commit=exit@0.01; drain_2=sleep:0.5; batch_open=error:full`.

An armed point acts each time it is passed, or with the probability after `@`. The actions are
`exit` (at once, as if killed), `sleep:seconds` and `pass`; before a commit also
`error:busy|full|broken|damaged`, a storage failure. The first pass of each point is logged.
"""

EXIT_CODE: Final = 86
"""The exit code of a process that a fail point has ended."""

FailPoint = Literal[
    "admit",
    "batch_open",
    "projection_step",
    "before_commit",
    "after_commit",
    "before_publish",
    "after_publish",
    "before_ack",
    "before_expire",
    "catchup_to_live",
    "recovery_mid",
    "rebuild_mid",
    "upgrade_end",
    "copy_step",
    "copy_requests",
    "copy_checked",
    "copy_sealed",
    "copy_finish",
    "adopt_before_commit",
    "adopt_after_commit",
    "migrate_part",
    "head_poll",
    "checkpoint_start",
    "checkpoint_end",
    "drain_1",
    "drain_2",
    "drain_3",
    "drain_4",
    "drain_5",
]

FAIL_POINTS: Final[tuple[FailPoint, ...]] = get_args(FailPoint)

_FAILING: Final[frozenset[FailPoint]] = frozenset(
    {"batch_open", "projection_step", "before_commit", "recovery_mid", "rebuild_mid"}
)


class BadFailPoint(ValueError):
    """The setting of fail points is invalid."""


@dataclass
class _Armed:
    """The action of an armed point."""

    action: str
    value: str
    probability: float
    passed: bool = False

    def happens(self, point: FailPoint) -> bool:
        if not self.passed:
            self.passed = True
            _log.warning("fail point %s was passed", point)
        return self.probability >= 1 or random.random() < self.probability  # noqa: S311  not a secret

    def strike(self) -> None:
        match self.action:
            case "exit":
                logging.shutdown()  # writes the queued lines
                os._exit(EXIT_CODE)
            case "error":
                raise StorageError(Fault[self.value.upper()])

    @property
    def seconds(self) -> float:
        return float(self.value) if self.action == "sleep" else 0.0


_armed: dict[FailPoint, _Armed] = {}


def arm(text: str) -> None:
    """Arm the points named in *text*, and no others; see `VARIABLE`.

    Raises:
        BadFailPoint: *text* is invalid.
    """
    armed = dict(_parsed(part) for part in text.split(";") if part.strip())
    _armed.clear()
    _armed.update(armed)
    if armed:
        _log.warning("fail points are armed, as only a test should: %s", text)


def reach(point: FailPoint) -> None:
    """Pass *point* on a thread that may block."""
    if _armed and (armed := _armed.get(point)) and armed.happens(point):
        time.sleep(armed.seconds)
        armed.strike()


async def pause(point: FailPoint) -> None:
    """Pass *point* on the event loop, without blocking it."""
    if _armed and (armed := _armed.get(point)) and armed.happens(point):
        await asyncio.sleep(armed.seconds)
        armed.strike()


def _parsed(part: str) -> tuple[FailPoint, _Armed]:
    point, _, rest = part.strip().partition("=")
    what, _, probability = rest.partition("@")
    action, _, value = what.partition(":")
    found = next((known for known in FAIL_POINTS if known == point), None)
    try:
        armed = _Armed(action, value, float(probability or 1))
        is_known = (
            action in {"exit", "pass"}
            or (action == "sleep" and armed.seconds >= 0)
            or (action == "error" and found in _FAILING and value.upper() in Fault.__members__)
        )
    except ValueError:
        is_known = False
    if found is None or not is_known:
        raise BadFailPoint(
            f"{VARIABLE}: {part.strip()!r} cannot be read; it is POINT=ACTION, with ACTION one of "
            "exit, pass, sleep:SECONDS, error:FAULT, and @PROBABILITY if not always; "
            f"points are {', '.join(FAIL_POINTS)}"
        )
    return found, armed
