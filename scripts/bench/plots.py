"""How do figures look along an axis?"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure

from scripts.bench.figures import Group, Series

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
        axes.set_xscale("log")
        panel(axes, group)
        axes.set_xlabel(group.axis)
        axes.legend()
    return figure


def _rates(axes: Any, group: Group) -> None:  # noqa: ANN401  matplotlib has no types here
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
        drawn = _plotted(axes, f"{name}, median", series, [one.middle("p50_ms") for one in series])
        _plotted(
            axes,
            f"{name}, 99 of 100 within",
            series,
            [one.middle("p99_ms") for one in series],
            color=drawn.get_color(),
            linestyle="--",
        )
    axes.set_yscale("log")
    axes.set_ylabel("ms")


def _flatness(axes: Any, group: Group) -> None:  # noqa: ANN401  as above
    ratio = {id(one.case): one.ratio.median for one in group.comparisons}
    for name, series in _lines(group):
        if id(series[0]) in ratio:
            first = ratio[id(series[0])]
            _plotted(axes, name, series, [ratio[id(one)] / first for one in series])
    axes.set_ylim(bottom=0)
    axes.set_ylabel("rate, beside an echo's; the first is 1")


def _tails(axes: Any, group: Group) -> None:  # noqa: ANN401  as above
    for name, series in _lines(group):
        if series[0].middle("p999_ms") is not None:
            _plotted(axes, name, series, [one.middle("p999_ms") for one in series])
    axes.set_yscale("log")
    axes.set_ylabel("999 of 1,000 within, ms")


def _costs(axes: Any, group: Group) -> None:  # noqa: ANN401  as above
    for name, series in _lines(group):
        _plotted(axes, name, series, [one.value.median for one in series])
    axes.set_yscale("log")
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
