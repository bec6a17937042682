"""What do the measurements of one case come to?"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import NamedTuple


class Sample(NamedTuple):
    """One measurement: a figure, and what else could be seen at the time."""

    value: float
    p50_ms: float | None = None
    p99_ms: float | None = None
    p999_ms: float | None = None
    server_us: float | None = None
    """Processor time of the server for each."""

    generator_busy: float | None = None


class Spread(NamedTuple):
    """The middle of several figures, and how far apart they were."""

    median: float
    low: float
    high: float

    @property
    def half(self) -> float:
        """Half of how far apart they were."""
        return (self.high - self.low) / 2


def spread(figures: Sequence[float]) -> Spread:
    return Spread(median(figures), min(figures), max(figures))


@dataclass
class Series:
    """What is measured again and again under one name."""

    name: str
    unit: str
    aim: float | None = None
    """What its median is to reach."""

    most: float | None = None
    """What its median is not to pass."""

    at: float | None = None
    """Where on the axis of its group it was measured."""

    samples: list[Sample] = field(default_factory=list)

    @property
    def value(self) -> Spread:
        return spread([sample.value for sample in self.samples])

    @property
    def is_met(self) -> bool | None:
        if self.most is not None:
            return self.value.median <= self.most
        return None if self.aim is None else self.value.median >= self.aim

    def middle(self, name: str) -> float | None:
        """Return the median of a field of the samples, where it was seen."""
        seen = [value for sample in self.samples if (value := getattr(sample, name)) is not None]
        return median(seen) if seen else None


@dataclass(frozen=True)
class Comparison:
    """A series beside another of the same run, and what is to be reached."""

    case: Series
    beside: Series
    aim: float | None = None
    flat: float | None = None
    """What the ratio at the end of an axis is to be of the one at its beginning."""

    @property
    def ratio(self) -> Spread:
        """Of each measurement to the one beside it: what disturbs both is not in it."""
        # whoever was interrupted has one more of those measured first
        pairs = zip(self.case.samples, self.beside.samples, strict=False)
        return spread([case.value / beside.value for case, beside in pairs])

    @property
    def is_met(self) -> bool | None:
        return None if self.aim is None else self.ratio.median >= self.aim


@dataclass
class Group:
    """Cases that are measured together, so that they can be compared."""

    name: str
    series: list[Series] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)
    axis: str | None = None
    """What its series differ in, where the same is measured at several places."""

    places: Sequence[str] = ()
    """What the places 0, 1, and so on of the axis are called, where they are no numbers."""

    notes: list[str] = field(default_factory=list)
    """What a reader has to know, such as what could not be measured."""
