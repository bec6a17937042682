"""How is what was measured kept, so that it can be shown again?"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.bench.figures import Comparison, Group, Sample, Series


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
