"""The faults and sizes that one seed tries; each seed leaves some out.

Limits of the service are drawn too: with the real ones, no small history would ever
reach the places where a batch is full, or a process too far behind.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Final

from inventory_grpc.application import following
from inventory_grpc.application.ledger import batch, driver, expiry, fills, mailbox, upkeep
from inventory_grpc.application.ledger import loop as ledger
from tests.robustness.simulation.chance import Chance

LIMITS: Final[Mapping[tuple[ModuleType, str], tuple[int, ...]]] = {
    (ledger, "MAX_COMMANDS"): (2, 3),
    (batch, "MAX_EVENTS"): (1, 2, 4),
    (upkeep, "EXPIRY_PATIENCE_MICROS"): (0, 20_000, 5_000_000),
    (mailbox, "MAX_TURNS"): (1, 64),
    (driver, "MAX_BEHIND"): (1, 2, 4),
    (expiry, "MAX_EXPIRED"): (1, 2),
    (expiry, "MAX_EXPIRED_EVENTS"): (1, 2),
    (fills, "MAX_FILLS"): (1, 2),
    (mailbox, "MAX_WAITING"): (1, 2, 3),
    (following, "WINDOW"): (3, 7),
    (following, "MAX_BYTES"): (1, 300),
    (following, "REPORT_EVERY"): (2, 5),
}
"""Limits of the service, and the values that a seed may set."""

FAULTS: Final = (
    "sync fails",
    "statement fails",
    "killed",
    "killed while committing",
    "power cut",
    "power cut while committing",
    "drained",
    "slow",
    "busy",
    "full",
    "broken",
    "gone",
    "hogged",
    "stalled",
    "wall back",
    "wall ahead",
    "wall frozen",
)


@dataclass(frozen=True)
class Profile:
    """The faults and sizes of one seed."""

    processes: int
    clients: int
    requests: int
    followers: int
    readers: int
    faults: tuple[str, ...]
    """Each as often as it stands here."""
    sync_seconds: float
    network_seconds: float
    loses: float
    cancels: float
    faulty: float
    think_seconds: float
    scarce: bool
    disorder: float
    max_states: int
    limits: Mapping[tuple[ModuleType, str], int]

    @property
    def pace(self) -> float:
        """Return the longest delay before the next fault, so that each meets a running call."""
        one = self.think_seconds + 4 * (self.sync_seconds + self.network_seconds)
        return one * self.requests / max(1, len(self.faults))


def profile_of(chance: Chance) -> Profile:
    kinds = chance.sample(FAULTS, chance.randint(0, 4))
    calm = not kinds or chance.happens(0.12)
    return Profile(
        processes=chance.choice((1, 2, 2, 3)),
        clients=chance.randint(2, 4),
        requests=chance.randint(5, 9),
        followers=chance.randint(1, 2),
        readers=1,
        faults=() if calm else tuple(chance.choices(kinds, k=chance.randint(2, 7))),
        sync_seconds=chance.choice((0.004, 0.004, 0.05, 0.3)),
        network_seconds=chance.choice((0.001, 0.005, 0.05)),
        loses=chance.choice((0.0, 0.0, 0.1)),
        cancels=chance.choice((0.0, 0.1, 0.3)),
        faulty=chance.choice((0.0, 0.0, 0.0, 0.05)),
        think_seconds=chance.choice((0.01, 0.3, 1.5, 4.0)),
        scarce=chance.happens(0.3),
        disorder=chance.choice((0.0, 0.1, 1.0, 1.0)),
        max_states=chance.choice((1, 2, 100)),
        limits={
            where: chance.choice(values) for where, values in LIMITS.items() if chance.happens(0.25)
        },
    )


@contextmanager
def limited(limits: Mapping[tuple[ModuleType, str], int]) -> Iterator[None]:
    """Set the service's *limits*, for a while."""
    before = {where: getattr(*where) for where in limits}
    for (module, name), value in limits.items():
        setattr(module, name, value)
    try:
        yield
    finally:
        for (module, name), value in before.items():
            setattr(module, name, value)
