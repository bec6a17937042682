"""The report shows figures as they were measured."""

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from scripts.bench import documents, report, results
from scripts.bench.figures import Group, Sample, Series
from scripts.bench.results import Parts, Ratio, summed
from scripts.bench.run import BRIEF, CASES, NoSuchCase, chosen
from scripts.bench.tables import QUESTIONS, number, short, verdict

ANA = {"machine": "of Ana's"}


def reads() -> Group:
    echo = Series("echo", "calls/s", samples=[Sample(5_000, 12, 20, 21, 210, 0.1)])
    look = Series("GetStock", "calls/s", samples=[Sample(3_750, 15, 25, 30, 280, 0.7)])
    many = Series("BatchGetStock", "stocks/s", aim=50_000, samples=[Sample(60_000)])
    series = [echo, look.beside(echo, aim=0.8), many.beside(echo).beside(look)]
    return Group("reads", series, notes=["reads: of kettles"])


def growth() -> Group:
    """Return what is measured at 10,000 and at 100,000 events; the echo is slower there, too."""
    group = Group("growth", axis="events")
    for at, echoes, calls in ((10_000, 5_000, 4_000), (100_000, 2_500, 1_500)):
        echo = Series("echo", "calls/s", at=at, samples=[Sample(echoes)])
        look = Series("GetStock", "calls/s", at=at, samples=[Sample(calls, 10, 20, 30)])
        memory = Series("resident memory", "MB", most=50, at=at, samples=[Sample(at / 1_000)])
        group.series += [echo, look.beside(echo, flat=0.8), memory]
    return group


def measured(*groups: Group) -> Parts:
    return {group.name: summed(group, ANA) for group in groups}


def rows(question: str, *groups: Group) -> list[list[str]]:
    """Return the headings and rows of the only table that answers *question*."""
    _, tables = QUESTIONS[question]
    (table,) = tables(measured(*groups))
    return [list(table.headings), *(list(row) for row in table.rows)]


def test_a_case_is_shown_with_its_ratio_and_its_aim() -> None:
    assert rows("single calls", reads()) == [
        ["case", "ratio", "rate, 1/s", "p99, ms", "server CPU, µs", "aim"],
        ["echo", "", "5,000 ±0%", "20.0", "210", ""],
        ["GetStock", "0.75 ±0.00 of echo", "3,750 ±0%", "25.0", "280", "at least 0.80: missed"],
        [
            "BatchGetStock (stocks)",
            "12.0 ±0.00 of echo",
            "60,000 ±0%",
            "",
            "",
            "at least 50,000: met",
        ],
        ["", "16.0 ±0.00 of GetStock", "", "", "", ""],
    ]


def test_a_run_that_was_interrupted_is_shown_as_far_as_it_got() -> None:
    group = reads()
    group.series[0].samples.append(Sample(1_000))  # and then nothing beside it
    group.series[2].samples.clear()

    part = summed(group, ANA)

    assert [figure.name for figure in part.figures] == ["echo", "GetStock"]
    assert part.figures[1].ratios == [Ratio("echo", 0.75, 0, 0.8)]


@pytest.mark.parametrize(
    ("aim", "most", "said"),
    [
        (20, None, ["at least 20.0: met"]),
        (31, None, ["at least 31.0: missed"]),
        (None, 20, ["at most 20.0: met"]),
        (None, 19, ["at most 19.0: missed, within the spread"]),
        (None, None, []),
    ],
)
def test_an_aim_is_a_least_or_a_most(
    aim: float | None, most: float | None, said: list[str]
) -> None:
    samples = [Sample(10), Sample(30), Sample(20)]
    size = Series("with UUIDs", "bytes/event", aim, most, samples=samples)

    assert rows("growth in size", Group("disk", [size]))[1][2:] == said


@pytest.mark.parametrize(
    ("value", "half", "said"),
    [(0.8, 0, ": met"), (0.79, 0.01, ": missed, within the spread"), (0.79, 0, ": missed")],
)
def test_an_aim_that_is_missed_by_less_than_the_spread_is_said_to_be(
    value: float, half: float, said: str
) -> None:
    assert verdict(value, half, 0.8) == said


def test_growth_is_shown_beside_the_echo_of_the_same_moment() -> None:
    assert rows("growth", growth()) == [
        ["call", "10 k events, ratio", "100 k events, ratio", "aim"],
        ["GetStock", "1.00", "0.75", "at least 0.80: missed"],
    ]


def test_what_an_axis_measures_is_shown_with_its_unit_and_its_limit() -> None:
    assert rows("growth in size", growth()) == [
        ["events", "resident memory, MB, at most 50", "aim"],
        ["10,000", "10.0", "met"],
        ["100,000", "100", "missed: resident memory"],
    ]


def test_what_was_not_measured_at_a_place_is_left_open() -> None:
    group = growth()
    del group.series[3]  # the second echo

    assert rows("growth in rates", group)[1:] == [
        ["10,000", "5,000", "4,000"],
        ["100,000", "", "1,500"],
    ]


def test_places_that_are_no_numbers_have_names() -> None:
    small, large = (Series("in all", "µs", at=at, samples=[Sample(9)]) for at in (0, 1))
    group = Group("profile", [small.beside(large), large], "part", ("echo", "GetStock"))

    assert rows("what bounds it", group) == [
        ["part", "echo, µs", "GetStock, µs"],
        ["in all", "9.00", "9.00"],
        ["ratio to in all", "1.00", ""],
    ]


def test_numbers_have_three_digits_or_all_of_their_whole_part() -> None:
    assert [number(one) for one in (0.123, 12.34, 123.4, 12_345, None)] == [
        *("0.12", "12.3", "123", "12,345", "")
    ]
    assert [short(one) for one in (64, 1_000, 10_000, 100_000, 1_000_000)] == [
        *("64", "1,000", "10 k", "100 k", "1 M")
    ]


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    named = Group("profile", reads().series, axis="time", places=("echo", "GetStock"))
    written = measured(reads(), growth(), named)

    results.write(tmp_path / "bench.json", written)

    assert results.read(tmp_path / "bench.json") == written


def test_all_of_it_is_shown_on_a_screen() -> None:
    screen = Console(record=True, width=120, file=StringIO())

    report.show(screen, measured(reads(), growth()))

    text = " ".join(screen.export_text().split())
    for word in ("of Ana's", "GetStock", "0.75", ": missed", "100,000", "reads: of kettles"):
        assert word in text
    assert "the generator, one thread, was busy 70% at most (GetStock)" in text


def test_figures_are_put_in_the_place_of_the_last_ones() -> None:
    text = "before\n<!-- make bench: growth -->\nold\n<!-- end of make bench -->\nafter\n"

    once = documents.put(text, measured(growth()))

    assert once.startswith("before\n<!-- make bench: growth -->\n| call | 10 k events, ratio |")
    assert once.endswith("\n<!-- end of make bench -->\nafter\n")
    assert "old" not in once
    assert documents.put(once, measured(growth())) == once
    with pytest.raises(documents.NoFigures, match="no place"):
        documents.put("before\nafter\n", measured(growth()))
    with pytest.raises(documents.NoFigures, match="growth: 'growth' was not measured"):
        documents.put(text, measured(reads()))


def test_only_parts_that_were_measured_are_replaced_by_publishing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, document = tmp_path / "figures.json", tmp_path / "README.md"
    document.write_text("<!-- make bench: growth in rates -->\n<!-- end of make bench -->\n")
    results.write(file, measured(growth(), Group("disk", reads().series)))
    monkeypatch.setattr(documents, "KEPT", file)
    monkeypatch.setattr(documents, "DOCUMENTS", [document])
    again = growth()
    again.series[0].samples = [Sample(7_777)]

    documents.publish(measured(again, reads()))

    assert results.read(file) == measured(again, Group("disk", reads().series))
    assert "| 10,000 | 7,777 | 4,000 |" in document.read_text("utf-8")


def test_a_new_part_is_kept_once_a_document_has_a_place_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, document = tmp_path / "figures.json", tmp_path / "README.md"
    document.write_text("<!-- make bench: the lock -->\n<!-- end of make bench -->\n")
    results.write(file, measured(growth()))
    monkeypatch.setattr(documents, "KEPT", file)
    monkeypatch.setattr(documents, "DOCUMENTS", [document])
    held = Series("64 AddStock in a batch", "ms", most=6, samples=[Sample(3.8, p99_ms=5)])

    documents.publish(measured(Group("lock", [held]), reads()))

    assert results.read(file).keys() == {"growth", "lock"}
    assert "| case | time, ms | p99, ms | aim |" in document.read_text("utf-8")
    assert "| 3.80 ±0% | 5.00 | at most 6.00: met |" in document.read_text("utf-8")


def test_the_command_of_a_run_names_no_place_on_the_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = ["--only", "reads bulk", "--json", "/home/ana/bench.json", "--publish", "--repeat", "3"]
    monkeypatch.setattr("sys.argv", ["bench", *given])

    assert documents.command("bench") == {
        "command": """`make bench ARGS="--only 'reads bulk' --repeat 3"`"""
    }


def test_what_is_chosen_is_measured_and_nothing_else() -> None:
    assert chosen(list(BRIEF), []) == list(BRIEF)
    assert chosen(["bulk", "reads"], []) == ["reads", "bulk"]
    assert chosen(["reads"], ["sweep"]) == ["reads", "sweep"]
    assert chosen([], list(CASES)) == list(CASES)
    with pytest.raises(NoSuchCase, match="unknown: kettles; choose from reads"):
        chosen(["kettles"], [])


def test_plots_are_small_and_the_same_for_the_same_figures(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from scripts.bench import plots  # noqa: PLC0415  needs what may not be installed

    parts = measured(reads(), growth())
    one, other = (plots.draw(parts, tmp_path / name) for name in ("one", "other"))

    assert [path.name for path in one] == ["growth.svg"]  # the other has no axis
    assert one[0].stat().st_size < 150_000
    assert one[0].read_text("utf-8") == other[0].read_text("utf-8")
    assert "GetStock" in one[0].read_text("utf-8")
