"""Plots of results along an axis, with one colour for each command in all of them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from scripts.bench.results import Figure, Part, Parts
from scripts.bench.tables import kept, short

FOLDER: Final = Path(__file__).with_name("plots")

_COLOURS: Final = {
    "echo": "#7f7f7f",
    "GetStock": "#0072b2",
    "AddStock": "#d55e00",
    "cart of 9 lines": "#009e73",
    "ExecuteStream": "#cc79a7",
    "Subscribe": "#b8860b",
}
_NAMES: Final = {
    "deliveries": "Subscribe",
    "AddStock meanwhile": "AddStock",
    "GetStock, the first": "GetStock",
    "AddStock, the first": "AddStock",
}
"""The command that a series is about, where its own name says more."""

_TICKS: Final = [factor * 10**power for power in range(-1, 6) for factor in (1, 3)]

_STYLE: Final = {
    "axes.edgecolor": "#888888",
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "font.size": 10,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "savefig.facecolor": "white",  # readable on a dark page
    "svg.fonttype": "none",
    "svg.hashsalt": "inventory",  # equal figures give equal files
}

Values = Mapping[float | None, float | None]


def draw(parts: Parts, folder: Path) -> Sequence[Path]:
    """Draw each part that has a plot; return the files that were written."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with mpl.rc_context(_STYLE):
        for name, panels in _PANELS.items():
            if name in parts:
                path = folder / f"{name}.svg"
                _drawn(parts[name], panels).savefig(path, metadata={"Date": None})
                written.append(path)
    return written


def _drawn(part: Part, panels: Sequence[Callable[[Any, Part], None]]) -> Drawing:
    drawing = Drawing(figsize=(4.8 * len(panels), 3.8), layout="constrained")
    places = sorted({figure.at for figure in part.figures if figure.at is not None})
    all_axes = drawing.subplots(1, len(panels), squeeze=False)[0]
    for axes, panel in zip(all_axes, panels, strict=True):
        panel(axes, part)
        _label(axes.set_xscale, axes.xaxis, places)
        axes.set_xlabel(part.axis)
    # above the panels, where it covers no line
    lines = {line.get_label(): line for axes in all_axes[::-1] for line in axes.get_lines()[::-1]}
    shown = {name: lines[name] for name in _COLOURS if name in lines}
    drawing.legend(shown.values(), shown.keys(), loc="outside upper center", ncols=len(shown))
    return drawing


def _label(scale: Callable[[str], object], axis: Any, ticks: Sequence[float]) -> None:  # noqa: ANN401  matplotlib has no types here
    """Make an axis logarithmic, with a label at each of *ticks* and nowhere else."""
    scale("log")
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    axis.set_minor_locator(NullLocator())


def _rates(unit: str, *, log: bool = False) -> Callable[[Any, Part], None]:
    def panel(axes: Any, part: Part) -> None:  # noqa: ANN401  as above
        for name, figures in _series(part):
            _plotted(axes, name, {one.at: one.value for one in figures})
            axes.fill_between(
                [one.at for one in figures],
                [one.value - one.half for one in figures],
                [one.value + one.half for one in figures],
                alpha=0.15,
                color=_COLOURS[_NAMES.get(name, name)],
                linewidth=0,
            )
        _label_upright(axes, "rate", unit, log=log)

    return panel


def _waits(title: str, **lines: str) -> Callable[[Any, Part], None]:
    """Draw percentiles of waiting, each with its own style of line."""

    def panel(axes: Any, part: Part) -> None:  # noqa: ANN401  as above
        for name, figures in _series(part):
            for field, style in lines.items():
                values = {one.at: getattr(one, field) for one in figures}
                if None not in values.values():
                    _plotted(axes, name, values, linestyle=style)
        _label_upright(axes, title, "ms", log=True)

    return panel


def _kept(axes: Any, part: Part) -> None:  # noqa: ANN401  as above
    for name, figures in _series(part):
        if figures[0].ratios and figures[0].ratios[0].flat:
            _plotted(axes, name, kept(part, name))
            axes.axhline(figures[0].ratios[0].flat, color="#444444", linestyle=":", linewidth=1)
    _label_upright(axes, "rate beside an echo (dotted: aim)", "share of that in the smallest log")


def _first_calls(axes: Any, part: Part) -> None:  # noqa: ANN401  as above
    for name, figures in _series(part):
        _plotted(axes, name, {one.at: one.value for one in figures})
    _label_upright(axes, "first call for a stock after a start", "ms")


def _label_upright(axes: Any, title: str, unit: str, *, log: bool = False) -> None:  # noqa: ANN401  as above
    if log:
        values = [value for line in axes.get_lines() for value in line.get_ydata()]
        bottom = max(tick for tick in _TICKS if tick <= min(values))
        top = min(tick for tick in _TICKS if tick >= max(values))
        _label(axes.set_yscale, axes.yaxis, [tick for tick in _TICKS if bottom <= tick <= top])
        axes.set_ylim(bottom * 0.9, top * 1.1)
    else:
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    axes.set_title(title)
    axes.set_ylabel(unit)


def _plotted(axes: Any, name: str, values: Values, linestyle: str = "-") -> None:  # noqa: ANN401  as above
    axes.plot(
        [*values],
        [*values.values()],
        color=_COLOURS[_NAMES.get(name, name)],
        label=_NAMES.get(name, name),
        linestyle=linestyle,
        marker="o",
        markersize=4,
    )


def _series(part: Part) -> Iterator[tuple[str, Sequence[Figure]]]:
    """Yield the series of each command that has a colour, from left to right."""
    for name in dict.fromkeys(figure.name for figure in part.figures):
        if _NAMES.get(name, name) in _COLOURS:
            yield name, part.of(name)


_MEDIAN_AND_P99: Final = _waits("waiting: median, p99 (dashed)", p50_ms="-", p99_ms="--")
_PANELS: Final = {
    "sweep": (_rates("calls/s"), _MEDIAN_AND_P99),
    "followers": (_rates("events/s, calls/s", log=True), _MEDIAN_AND_P99),
    "growth": (_kept, _waits("waiting: p99.9", p999_ms="-")),
    "histories": (_first_calls,),
}
