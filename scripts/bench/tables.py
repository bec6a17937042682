"""The tables of results: one for each question, with at most six columns."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Final, NamedTuple

from scripts.bench.results import Figure, Part, Parts, Ratio

MET, MISSED, NEAR = ": met", ": missed", ": missed, within the spread"
WORDS: Final = ("ratio", "aim")
"""Headings of columns that hold words, beside the first column."""


class Table(NamedTuple):
    """Headings and rows; columns without any cell are left out."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    used = [at for at in range(len(headings)) if any(row[at] for row in rows)]
    return Table([headings[at] for at in used], [[row[at] for at in used] for row in rows])


def number(value: float | None) -> str:
    """Return *value* with three digits, or with all digits of its whole part."""
    if value is None:
        return ""
    if value >= 100:  # noqa: PLR2004
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"  # noqa: PLR2004


def short(value: float) -> str:
    """Return a round number in few letters."""
    for size, letter in ((1_000_000, "M"), (1_000, "k")):
        if value >= 10 * size or value == size == 1_000_000:  # noqa: PLR2004
            return f"{value / size:g} {letter}"
    return f"{value:,g}"


def verdict(value: float, half: float, aim: float) -> str:
    if value >= aim:
        return MET
    return NEAR if value + half >= aim else MISSED


class Question(NamedTuple):
    """The parts that a question needs, and the tables that answer it."""

    parts: Sequence[str]
    tables: Callable[[Parts], Iterator[Table]]


def _beside(*names: str) -> Question:
    """Show each figure of these parts beside the series it was compared with."""

    def tables(parts: Parts) -> Iterator[Table]:
        figures = [one for name in names if name in parts for one in parts[name].figures]
        units = dict.fromkeys(figure.unit for figure in figures)
        unit = next(iter(units)) if len(units) == 1 else "1/s"
        quantity = "rate, " if unit.endswith("/s") else "time, " if unit == "ms" else ""
        headings = ("case", "ratio", f"{quantity}{unit}", "p99, ms", "server CPU, µs", "aim")
        rows = [row for one in figures for row in _rows_beside(one, named=len(units) > 1)]
        if rows:
            yield _table(headings, rows)

    return Question(names, tables)


def _rows_beside(figure: Figure, *, named: bool) -> Iterator[Sequence[str]]:
    aims = _aim_of(figure)
    first, more = next(iter(figure.ratios), None), figure.ratios[1:]
    is_call = figure.unit == "calls/s"
    yield (
        figure.name if is_call or not named else f"{figure.name} ({figure.unit.partition('/')[0]})",
        _ratio(first),
        f"{number(figure.value)} ±{figure.half / figure.value:.0%}",
        number(figure.p99_ms),
        number(figure.server_us),
        "; ".join(filter(None, (_aim(first), aims))),
    )
    for ratio in more:
        yield ("", _ratio(ratio), "", "", "", _aim(ratio))


def _ratio(ratio: Ratio | None) -> str:
    return f"{number(ratio.value)} ±{ratio.half:.2f} of {ratio.to}" if ratio else ""


def _aim(ratio: Ratio | None) -> str:
    if ratio is None or ratio.aim is None:
        return ""
    return f"at least {ratio.aim:.2f}{verdict(ratio.value, ratio.half, ratio.aim)}"


def _aim_of(figure: Figure) -> str:
    if figure.most is not None:
        return f"at most {number(figure.most)}{verdict(-figure.value, figure.half, -figure.most)}"
    if figure.aim is None:
        return ""
    return f"at least {number(figure.aim)}{verdict(figure.value, figure.half, figure.aim)}"


_FIELDS: Final = {"p50_ms": "p50, ms", "p99_ms": "p99, ms", "p999_ms": "p99.9, ms"}


def _by_place(name: str, columns: str) -> Question:
    """Show a row for each place of an axis; *columns* are series, ratios or percentiles."""

    def tables(parts: Parts) -> Iterator[Table]:
        if not (part := parts.get(name)):
            return
        found = {column: _column(part, column) for column in columns.split("; ")}
        cells = {column: value for column, value in found.items() if value}
        limits = [one for column in cells for one in part.of(column) if one.most is not None]
        headings = [part.axis or "", *(_heading(part, column) for column in cells)]
        rows = [
            [label, *(value.get(at, "") for value in cells.values()), _passed(limits, at)]
            for at, label in _places(part)
        ]
        yield _table([*headings, "aim"], rows)

    return Question([name], tables)


def _column(part: Part, column: str) -> Mapping[float | None, str]:
    name, _, field = column.partition("|")
    figures = part.of(name)
    if field == "ratio":
        return {one.at: number(one.ratios[0].value) for one in figures if one.ratios}
    return {one.at: number(getattr(one, field or "value")) for one in figures}


def _heading(part: Part, column: str) -> str:
    name, _, field = column.partition("|")
    first = part.of(name)[0]
    if field == "ratio":
        return f"{name}, ratio to {first.ratios[0].to}"
    if field:
        return f"{name} {_FIELDS[field]}"
    return f"{name}, {first.unit}{f', at most {first.most:g}' if first.most else ''}"


def _passed(limits: Sequence[Figure], at: float | None) -> str:
    here = [one for one in limits if one.at == at]
    missed = [one.name for one in here if one.value > (one.most or 0)]
    return f"missed: {', '.join(missed)}" if missed else "met" if here else ""


def _places(part: Part) -> Sequence[tuple[float | None, str]]:
    places = sorted({figure.at for figure in part.figures if figure.at is not None})
    return [(at, part.places[int(at)] if part.places else f"{at:,.0f}") for at in places]


def _by_series(name: str) -> Question:
    """Show a row for each series, and its ratios; a column is a place of the axis."""

    def tables(parts: Parts) -> Iterator[Table]:
        if not (part := parts.get(name)):
            return
        places = _places(part)
        rows = []
        for series in dict.fromkeys(figure.name for figure in part.figures):
            for column in (series, f"{series}|ratio"):
                if cells := _column(part, column):
                    _, is_ratio, heading = _heading(part, column).rpartition(", ratio")
                    label = f"ratio{heading}" if is_ratio else series
                    rows.append([label, *(cells.get(at, "") for at, _ in places)])
        yield _table([part.axis or "", *(f"{label}, µs" for _, label in places)], rows)

    return Question([name], tables)


def _kept(name: str) -> Question:
    """Show which share of its first ratio a series keeps along the axis."""

    def tables(parts: Parts) -> Iterator[Table]:
        if not (part := parts.get(name)):
            return
        rows, places = [], _places(part)
        for series in dict.fromkeys(figure.name for figure in part.figures):
            shares = kept(part, series)
            if len(shares) > 1 and (flat := part.of(series)[0].ratios[0].flat):
                aim = f"at least {flat:.2f}{verdict([*shares.values()][-1], 0, flat)}"
                rows.append([series, *(number(shares.get(at)) for at, _ in places), aim])
        if rows:
            labels = [f"{short(at or 0)} {part.axis}, ratio" for at, _ in places]
            yield _table(["call", *labels, "aim"], rows)

    return Question([name], tables)


def kept(part: Part, name: str) -> Mapping[float | None, float]:
    """Return the first ratio of a series at each place, as a share of that at the first place."""
    figures = [one for one in part.of(name) if one.ratios]
    return {one.at: one.ratios[0].value / figures[0].ratios[0].value for one in figures}


def _both(one: Question, other: Question) -> Question:
    return Question(
        [*one.parts, *other.parts], lambda parts: chain(one.tables(parts), other.tables(parts))
    )


_SIZES: Final = "resident memory; on disk; first answer after a start; first echo after a start"
_FOLLOWERS: Final = (
    "deliveries; deliveries|p50_ms; deliveries|p999_ms; AddStock meanwhile; "
    "AddStock meanwhile|p999_ms"
)
QUESTIONS: Final[Mapping[str, Question]] = {
    "single calls": _beside("reads", "commands", "carts"),
    "more callers": _by_place(
        "sweep", "echo; GetStock; AddStock; GetStock|p999_ms; AddStock|p999_ms"
    ),
    "more workers": _beside("workers"),
    "bulk": _beside("bulk"),
    "imports": _beside("imports"),
    "catch-up": _beside("catch-up"),
    "a relay": _beside("relay"),
    "followers": _by_place("followers", _FOLLOWERS),
    "growth": _kept("growth"),
    "growth in rates": _by_place(
        "growth", "echo; GetStock; AddStock; cart of 9 lines; ExecuteStream"
    ),
    "growth in size": _both(_by_place("growth", _SIZES), _beside("disk")),
    "growth of SQLite": _by_place(
        "growth", "ExecuteStream beside it|ratio; ExecuteStream beside it; SQLite alone"
    ),
    "request ids": _by_place("request-ids", "time-ordered; random; random|ratio"),
    "long histories": _by_place("histories", "GetStock, the first; AddStock, the first"),
    "changes of policies": _beside("walks"),
    "on PostgreSQL": _beside("engines"),
    "several servers": _beside("servers"),
    "the lock": _beside("lock"),
    "what bounds it": _by_series("profile"),
    "the generator": _beside("h2load"),
    "without gRPC": _by_series("in-process"),
}
