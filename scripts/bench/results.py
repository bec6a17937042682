"""The results of a run: the summary of each series, and the file that keeps them.

`figures.json` beside this file keeps those that the documents and the plots show.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from scripts.bench.figures import Group, Series

KEPT: Final = Path(__file__).with_name("figures.json")
MEDIANS: Final = ("p50_ms", "p99_ms", "p999_ms", "server_us", "generator_busy")


class Ratio(NamedTuple):
    """The median ratio to a series that was measured right beside, and half its range."""

    to: str
    value: float
    half: float = 0.0
    aim: float | None = None
    flat: float | None = None


class Figure(NamedTuple):
    """The medians of a series, and half the range of its value."""

    name: str
    unit: str
    value: float
    half: float = 0.0
    at: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    p999_ms: float | None = None
    server_us: float | None = None
    generator_busy: float | None = None
    aim: float | None = None
    most: float | None = None
    ratios: Sequence[Ratio] = ()


class Part(NamedTuple):
    """The figures of a group, and the circumstances they depend on."""

    name: str
    facts: Mapping[str, str]
    figures: Sequence[Figure]
    axis: str | None = None
    places: Sequence[str] = ()
    notes: Sequence[str] = ()

    def of(self, name: str) -> Sequence[Figure]:
        """Return the figures of this name, in the order of the axis."""
        found = [figure for figure in self.figures if figure.name == name]
        return sorted(found, key=lambda figure: figure.at or 0)


Parts = Mapping[str, Part]


def summed(group: Group, facts: Mapping[str, str]) -> Part:
    """Return the summary of the series that have samples."""
    figures = [_figure(series) for series in group.series if series.samples]
    return Part(group.name, facts, figures, group.axis, [*group.places] or (), group.notes or ())


def _figure(series: Series) -> Figure:
    compared = [one for one in series.comparisons if one.beside.samples]
    ratios = [Ratio(one.beside.name, *one.ratio, one.aim, one.flat) for one in compared]
    medians: dict[str, Any] = {name: series.middle(name) for name in MEDIANS}
    figure = Figure(series.name, series.unit, *series.value, series.at)
    return figure._replace(**medians, aim=series.aim, most=series.most, ratios=ratios or ())


def write(path: Path, parts: Parts) -> None:
    """Write the parts with a line for each figure, so that changes can be reviewed."""
    texts = []
    for part in parts.values():
        lines = ",\n".join(_json(figure) for figure in part.figures)
        texts.append(f'{_json(part._replace(figures=()))[:-1]}, "figures": [\n{lines}\n]}}')
    path.write_text("[\n" + ",\n".join(texts) + "\n]\n", "utf-8")


def _json(row: Part | Figure) -> str:
    return json.dumps(_known(row), ensure_ascii=False)


def _known(row: Part | Figure | Ratio) -> dict[str, Any]:
    known = {name: value for name, value in row._asdict().items() if value not in (None, ())}
    if ratios := known.get("ratios"):
        known["ratios"] = [_known(ratio) for ratio in ratios]
    return known


def read(path: Path) -> Parts:
    """Return the parts that were written, by name."""
    parts = [
        Part(**{**part, "figures": [_read_figure(**figure) for figure in part["figures"]]})
        for part in json.loads(path.read_text("utf-8"))
    ]
    return {part.name: part for part in parts}


def _read_figure(ratios: Sequence[Any] = (), **others: Any) -> Figure:  # noqa: ANN401  JSON
    return Figure(**others, ratios=[Ratio(**ratio) for ratio in ratios] or ())
