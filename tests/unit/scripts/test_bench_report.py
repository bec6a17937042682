"""The report shows figures as they were measured."""

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from scripts.bench import figures, report
from scripts.bench.figures import Comparison, Group, Record, Sample, Series
from scripts.bench.report import Table, along, side_by_side
from scripts.bench.run import BRIEF, CASES, NoSuchCase, chosen


def reads() -> Group:
    echo = Series("echo", "calls/s", samples=[Sample(5_000, 12, 20, 21, 210, 0.1)])
    look = Series("GetStock", "calls/s", samples=[Sample(3_750, 15, 25, 30, 280, 0.2)])
    many = Series("BatchGetStock", "stocks/s", aim=50_000, samples=[Sample(60_000)])
    compared = [Comparison(look, echo, aim=0.8), Comparison(many, echo)]
    return Group("reads", [echo, look, many], compared, notes=["reads: of kettles"])


def growth() -> Group:
    """Return what is measured at 10,000 and at 100,000 events; the echo is slower there, too."""
    group = Group("growth", axis="events")
    for at, echoes, calls in ((10_000, 5_000, 4_000), (100_000, 2_500, 1_500)):
        echo = Series("echo", "calls/s", at=at, samples=[Sample(echoes)])
        look = Series("GetStock", "calls/s", at=at, samples=[Sample(calls, 10, 20, 30)])
        memory = Series("memory", "MB", most=300, at=at, samples=[Sample(at / 1_000)])
        group.series += [echo, look, memory]
        group.comparisons.append(Comparison(look, echo, flat=0.8))
    return group


def cells(table: Table) -> list[list[str]]:
    """Return the rows, without what is empty."""
    return [[cell for cell in row if cell] for section in table.sections for row in section]


def test_a_case_is_shown_with_its_ratio_and_its_aim() -> None:
    assert cells(side_by_side([reads()])) == [
        ["echo", "5,000", "±0%", "12.0", "20.0", "210"],
        ["GetStock", "3,750", "±0%", "15.0", "25.0", "280", "0.75 ±0.00", "echo", "0.80 not met"],
        ["BatchGetStock, stocks", "60,000", "±0%", "12.00 ±0.00", "echo"],
        ["50,000 met"],
    ]


def test_a_run_that_was_interrupted_is_told_as_far_as_it_got() -> None:
    group = reads()
    group.series[0].samples.append(Sample(1_000))  # and then nothing beside it

    assert group.comparisons[0].ratio.median == 0.75
    assert cells(side_by_side([group]))[1][:2] == ["GetStock", "3,750"]


def test_growth_is_told_beside_the_echo_of_the_same_moment() -> None:
    assert cells(along(growth())) == [
        ["echo, calls/s", "5,000", "2,500"],
        ["GetStock, calls/s", "4,000", "1,500"],
        ["  p50 ms", "10.0", "10.0"],
        ["  p99 ms", "20.0", "20.0"],
        ["  p99.9 ms", "30.0", "30.0"],
        ["  to echo", "0.80", "0.60"],
        ["  and that to the first, 0.80 not met", "1.00", "0.75"],
        ["memory, MB, at most 300 met", "10.0", "100"],
    ]


def test_what_was_measured_beside_two_things_is_told_beside_each() -> None:
    group = growth()
    for look, memory in zip(group.series[1::3], group.series[2::3], strict=True):
        group.comparisons.append(Comparison(look, memory))

    assert cells(along(group))[5:-1] == [
        ["  to echo", "0.80", "0.60"],
        ["  and that to the first, 0.80 not met", "1.00", "0.75"],
        ["  to memory", "400", "15.0"],
    ]


def test_what_was_not_measured_at_a_place_is_left_open() -> None:
    group = growth()
    group.series = [one for one in group.series if not (one.name == "memory" and one.at == 10_000)]

    assert list(along(group).sections[-1]) == [("memory, MB, at most 300 met", "", "100")]


def test_places_that_are_no_numbers_have_names() -> None:
    group = growth()
    group.places = ["small", "large"]
    for series in group.series:
        series.at = 0 if series.at == 10_000 else 1

    assert along(group).headings == ("events", "small", "large")


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    named = Group("profile", axis="time", places=("echo", "GetStock"))
    written = Record({"machine": "of Ana's"}, {"seconds": 1.5}, [reads(), growth(), named])
    file = tmp_path / "bench.json"

    figures.write(file, written)

    assert figures.read(file) == written


def test_all_of_it_is_shown_on_a_screen_and_in_the_readme() -> None:
    told = Record({"machine": "of Ana's"}, {}, [reads(), growth()])
    screen = Console(record=True, width=120, file=StringIO())

    report.show(screen, told)

    for text in (screen.export_text(), report.markdown(told)):
        for word in ("of Ana's", "GetStock", "0.75", "not met", "100,000", "reads: of kettles"):
            assert word in text
        assert "at work 20% of the time at most, for GetStock" in " ".join(text.split())


def test_figures_are_put_in_the_place_of_the_last_ones() -> None:
    told = Record({}, {}, [growth()])
    text = f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n"

    once = report.put(text, told)

    assert once.startswith(f"before\n{report.BEGIN}\n")
    assert once.endswith(f"{report.END}\nafter\n")
    assert "old" not in once
    assert "| GetStock, calls/s | 4,000 | 1,500 |" in once
    assert "p99.9 ms" in once
    assert "p50 ms" not in once  # which the plots show
    assert report.put(once, told) == once
    with pytest.raises(report.NoPlace):
        report.put("before\nafter\n", told)


def test_what_is_chosen_is_measured_and_nothing_else() -> None:
    assert chosen([]) == list(BRIEF)
    assert chosen(["bulk", "reads"]) == ["reads", "bulk"]
    assert chosen(["reads"], "sweep") == ["reads", "sweep"]
    assert chosen([], *CASES) == list(CASES)
    with pytest.raises(NoSuchCase, match="there is no kettles; choose from reads"):
        chosen(["kettles"])


def test_plots_are_small_and_the_same_for_the_same_figures(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from scripts.bench import plots  # noqa: PLC0415  needs what may not be installed

    one, other = (plots.draw([reads(), growth()], tmp_path / name) for name in ("one", "other"))

    assert [path.name for path in one] == ["growth.svg"]  # the other has no axis
    assert one[0].stat().st_size < 150_000
    assert one[0].read_text("utf-8") == other[0].read_text("utf-8")
    assert "GetStock" in one[0].read_text("utf-8")
