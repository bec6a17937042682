"""Samples, the series they belong to, and comparisons of series that are measured together."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import NamedTuple, Self


class Sample(NamedTuple):
    """One measurement: a value, and what else was observed meanwhile."""

    value: float
    p50_ms: float | None = None
    p99_ms: float | None = None
    p999_ms: float | None = None
    server_us: float | None = None
    """Processor time of the server for each unit counted."""

    generator_busy: float | None = None


class Spread(NamedTuple):
    """A median, and half the distance from the lowest value to the highest."""

    median: float
    half: float


def spread(values: Sequence[float]) -> Spread:
    return Spread(_rounded(median(values)), _rounded((max(values) - min(values)) / 2))


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")


class BenchmarkFailed(Exception):
    """A measurement could not be made; the message has the cause."""


@dataclass
class Series:
    """The samples of one case, which is measured repeatedly."""

    name: str
    unit: str
    aim: float | None = None
    """The least that its median should be."""

    most: float | None = None
    """The most that its median should be."""

    at: float | None = None
    """The place on the axis of its group where it was measured."""

    samples: list[Sample] = field(default_factory=list)
    comparisons: "list[Comparison]" = field(default_factory=list)

    def beside(self, other: "Series", aim: float | None = None, flat: float | None = None) -> Self:
        """Compare with a series that is measured right before."""
        self.comparisons.append(Comparison(self, other, aim, flat))
        return self

    @property
    def value(self) -> Spread:
        return spread([sample.value for sample in self.samples])

    def middle(self, name: str) -> float | None:
        """Return the median of a field, over the samples that have it."""
        seen = [value for sample in self.samples if (value := getattr(sample, name)) is not None]
        return _rounded(median(seen)) if seen else None


@dataclass(frozen=True)
class Comparison:
    """A series beside another one of the same run."""

    case: Series
    beside: Series
    aim: float | None = None
    """The least that the median ratio should be."""

    flat: float | None = None
    """The least that the ratio at the end of the axis should be of that at its beginning."""

    @property
    def ratio(self) -> Spread:
        """The ratio of each sample to the one beside it; disturbances of both cancel out."""
        # an interrupted run has one more sample of the series measured first
        pairs = zip(self.case.samples, self.beside.samples, strict=False)
        return spread([case.value / beside.value for case, beside in pairs])


@dataclass
class Group:
    """Series that are measured together, so that they can be compared."""

    name: str
    series: list[Series] = field(default_factory=list)
    axis: str | None = None
    """The quantity by which series of the same name differ."""

    places: Sequence[str] = ()
    """Names of the places 0, 1, and so on of an axis that is not a quantity."""

    notes: list[str] = field(default_factory=list)
    """Remarks that a reader needs, such as what could not be measured."""
