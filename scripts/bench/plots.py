"""Plots of figures along an axis."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from scripts.bench.figures import Group, Series

_MS: Final = (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000)
_WORDS: Final = {10_000: "10 k", 100_000: "100 k", 1_000_000: "1 M", 10_000_000: "10 M"}

_STYLE: Final = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 10,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "savefig.facecolor": "white",  # to be read on a dark page as well
    "svg.fonttype": "none",
    "svg.hashsalt": "inventory",  # the same file for the same figures
}


def draw(groups: Iterable[Group], folder: Path) -> Sequence[Path]:
    """Draw each group that has an axis; return the files that were written."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with mpl.rc_context(_STYLE):
        for group in groups:
            if group.axis and group.name in _PANELS:
                path = folder / f"{group.name}.svg"
                _drawn(group, _PANELS[group.name]).savefig(path, metadata={"Date": None})
                written.append(path)
    return written


def _drawn(group: Group, panels: Sequence[Callable[[Any, Group], None]]) -> Figure:
    figure = Figure(figsize=(4.8 * len(panels), 3.4), layout="constrained")
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        panel(axes, group)
        _label(axes.set_xscale, axes.xaxis, sorted({series.at or 0 for series in group.series}))
        axes.set_xlabel(group.axis)
        axes.legend(fontsize="small")
    return figure


def _label(scale: Callable[[str], object], axis: Any, ticks: Sequence[float]) -> None:  # noqa: ANN401  matplotlib has no types here
    """Have an axis be logarithmic, with a word at each of *ticks* and nowhere else."""
    scale("log")
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _WORDS.get(value, f"{value:,g}")))
    axis.set_minor_locator(NullLocator())


def _label_waits(axes: Any, words: str) -> None:  # noqa: ANN401  as above
    """Have the upright axis be of milliseconds."""
    bottom, top = axes.get_ylim()
    _label(axes.set_yscale, axes.yaxis, [tick for tick in _MS if bottom / 3 <= tick <= top * 3])
    axes.set_ylabel(words)


def _rates(axes: Any, group: Group) -> None:  # noqa: ANN401  as above
    for name, series in _lines(group):
        _plotted(axes, name, series, [one.value.median for one in series])
        axes.fill_between(
            [one.at for one in series],
            [one.value.low for one in series],
            [one.value.high for one in series],
            alpha=0.15,
        )
    axes.set_ylim(bottom=0)
    axes.set_ylabel("a second")


def _waits(axes: Any, group: Group) -> None:  # noqa: ANN401  as above
    for name, series in _lines(group):
        drawn = _plotted(axes, name, series, [one.middle("p50_ms") for one in series])
        _plotted(
            axes,
            "",
            series,
            [one.middle("p99_ms") for one in series],
            color=drawn.get_color(),
            linestyle="--",
        )
    _label_waits(axes, "ms: the median, and 99 of 100 (dashed)")


def _flatness(axes: Any, group: Group) -> None:  # noqa: ANN401  as above
    flat = [one for one in group.comparisons if one.flat is not None]
    ratio = {id(one.case): one.ratio.median for one in flat}
    for name, series in _lines(group):
        if id(series[0]) in ratio:
            first = ratio[id(series[0])]
            _plotted(axes, name, series, [ratio[id(one)] / first for one in series])
    axes.set_ylim(bottom=0)
    axes.axhline(0.8, color="grey", linestyle=":")
    axes.set_ylabel("rate beside an echo, the first is 1")


def _tails(axes: Any, group: Group) -> None:  # noqa: ANN401  as above
    for name, series in _lines(group):
        if series[0].middle("p999_ms") is not None:
            _plotted(axes, name, series, [one.middle("p999_ms") for one in series])
    _label_waits(axes, "ms within which 999 of 1,000 are answered")


def _costs(axes: Any, group: Group) -> None:  # noqa: ANN401  as above
    for name, series in _lines(group):
        _plotted(axes, name, series, [one.value.median for one in series])
    axes.set_ylim(bottom=0)
    axes.set_ylabel("ms")


def _plotted(
    axes: Any,  # noqa: ANN401  as above
    name: str,
    series: Sequence[Series],
    figures: Sequence[float | None],
    **style: Any,  # noqa: ANN401  as above
) -> Any:  # noqa: ANN401  as above
    (line,) = axes.plot(
        [one.at for one in series], figures, marker="o", markersize=4, label=name, **style
    )
    return line


def _lines(group: Group) -> Iterator[tuple[str, Sequence[Series]]]:
    """Yield the series of each name, from left to right."""
    for name in dict.fromkeys(series.name for series in group.series):
        of_name = [series for series in group.series if series.name == name]
        yield name, sorted(of_name, key=lambda one: one.at or 0)


_PANELS: Final = {
    "sweep": (_rates, _waits),
    "followers": (_rates, _waits),
    "growth": (_flatness, _tails),
    "histories": (_costs,),
}
