"""The results of a run: the summary of each series, and the file that keeps them.

`figures.json` beside this file keeps those that the documents and the plots show.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from scripts.bench.figures import Comparison, Group, Series, Spread

KEPT: Final = Path(__file__).with_name("figures.json")


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
    figures = [_figure(series, group.comparisons) for series in group.series if series.samples]
    return Part(group.name, facts, figures, group.axis, tuple(group.places), tuple(group.notes))


def _figure(series: Series, comparisons: Sequence[Comparison]) -> Figure:
    ratios = [
        Ratio(one.beside.name, *_both(one.ratio), one.aim, one.flat)
        for one in comparisons
        if one.case is series and one.beside.samples
    ]
    figure = Figure(series.name, series.unit, *_both(series.value), series.at)
    medians: dict[str, Any] = {
        field: _rounded(median)
        for field in ("p50_ms", "p99_ms", "p999_ms", "server_us", "generator_busy")
        if (median := series.middle(field)) is not None
    }
    return figure._replace(**medians, aim=series.aim, most=series.most, ratios=tuple(ratios))


def _both(spread: Spread) -> tuple[float, float]:
    return _rounded(spread.median), _rounded(spread.half)


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")


def write(path: Path, parts: Parts) -> None:
    """Write the parts with a line for each figure, so that changes can be reviewed."""
    texts = []
    for part in parts.values():
        head = json.dumps(_known(part), ensure_ascii=False)
        lines = ",\n".join(
            json.dumps(_known(figure), ensure_ascii=False) for figure in part.figures
        )
        texts.append(f'{head[:-1]}, "figures": [\n{lines}\n]}}')
    path.write_text("[\n" + ",\n".join(texts) + "\n]\n", "utf-8")


def _known(row: Part | Figure | Ratio) -> dict[str, Any]:
    known = {name: value for name, value in row._asdict().items() if value not in (None, ())}
    known.pop("figures", None)
    if ratios := known.get("ratios"):
        known["ratios"] = [_known(ratio) for ratio in ratios]
    return known


def read(path: Path) -> Parts:
    """Return the parts that were written, by name."""
    parts = [_part(document) for document in json.loads(path.read_text("utf-8"))]
    return {part.name: part for part in parts}


def _part(document: Mapping[str, Any]) -> Part:
    known: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in document.items()
    }
    return Part(**{**known, "figures": [_read_figure(**one) for one in document["figures"]]})


def _read_figure(ratios: Sequence[Mapping[str, Any]] = (), **others: Any) -> Figure:  # noqa: ANN401  JSON
    return Figure(**others, ratios=tuple(Ratio(**ratio) for ratio in ratios))
