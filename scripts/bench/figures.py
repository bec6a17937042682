"""What was measured: samples, series, comparisons and groups, and the file that keeps a run."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple


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


@dataclass(frozen=True)
class Record:
    """One run."""

    facts: Mapping[str, str]
    options: Mapping[str, Any]
    groups: Sequence[Group]


def write(path: Path, record: Record) -> None:
    """Write everything that was measured, each sample of it, and what it comes to."""
    document = {
        "facts": dict(record.facts),
        "options": dict(record.options),
        "groups": [_group(group) for group in record.groups],
    }
    path.write_text(json.dumps(document, indent=2, default=str) + "\n", "utf-8")


def read(path: Path) -> Record:
    """Return what was written."""
    document = json.loads(path.read_text("utf-8"))
    groups = [_read_group(group) for group in document["groups"]]
    return Record(document["facts"], document["options"], groups)


def _group(group: Group) -> dict[str, Any]:
    place = {id(series): number for number, series in enumerate(group.series)}
    return {
        "name": group.name,
        "axis": group.axis,
        "places": group.places,
        "notes": group.notes,
        "series": [_series(series) for series in group.series],
        "comparisons": [
            {
                "case": place[id(one.case)],
                "beside": place[id(one.beside)],
                "aim": one.aim,
                "flat": one.flat,
                "ratio": one.ratio._asdict(),
                "is_met": one.is_met,
            }
            for one in group.comparisons
        ],
    }


def _series(series: Series) -> dict[str, Any]:
    return {
        "name": series.name,
        "unit": series.unit,
        "aim": series.aim,
        "most": series.most,
        "at": series.at,
        "value": series.value._asdict(),
        "is_met": series.is_met,
        "samples": [sample._asdict() for sample in series.samples],
    }


def _read_group(document: Mapping[str, Any]) -> Group:
    series = [
        Series(
            one["name"],
            one["unit"],
            one["aim"],
            one["most"],
            one["at"],
            [Sample(**sample) for sample in one["samples"]],
        )
        for one in document["series"]
    ]
    comparisons = [
        Comparison(series[one["case"]], series[one["beside"]], one["aim"], one["flat"])
        for one in document["comparisons"]
    ]
    return Group(
        document["name"],
        series,
        comparisons,
        document["axis"],
        tuple(document["places"]),
        document["notes"],
    )
