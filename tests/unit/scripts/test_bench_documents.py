"""The documents and the plots show the figures that are kept, and nothing else."""

import re
from pathlib import Path

import pytest

from inventory_grpc.settings import Settings
from scripts.bench import catch_up, documents, followers, imports, measuring, relays, results
from scripts.bench.results import Parts
from scripts.bench.tables import QUESTIONS

README = Path(documents.__file__).with_name("README.md")
COLUMNS = 6


@pytest.fixture
def kept() -> Parts:
    return results.read(results.KEPT)


@pytest.mark.parametrize("document", documents.DOCUMENTS, ids=lambda path: path.parent.name)
def test_every_figure_of_a_document_is_one_that_is_kept(document: Path, kept: Parts) -> None:
    text = document.read_text("utf-8")
    assert documents.put(text, kept) == text


def test_the_document_of_benchmarks_has_every_table_of_what_is_kept(kept: Parts) -> None:
    shown = set(re.findall(r"<!-- make bench: ([\w -]+) -->", README.read_text("utf-8")))
    answered = {name for name, (parts, _) in QUESTIONS.items() if set(parts) <= set(kept)}
    assert shown == answered | {"conditions", "bounds", "replay"}


def test_a_table_has_at_most_six_columns_and_a_unit_in_each_head_of_figures(kept: Parts) -> None:
    tables = [table for _, make in QUESTIONS.values() for table in make(kept)]
    assert len(tables) > len(QUESTIONS) / 2
    for headings, rows in tables:
        assert len(headings) <= COLUMNS
        assert all(len(row) == len(headings) for row in rows)
        first_figure = 2 if headings[1] == "ratio" else 1
        figures = [one for one in headings[first_figure:] if one != "aim"]
        assert all("," in one or "ratio" in one or "/" in one for one in figures), figures


def test_numbers_outside_the_figures_are_those_of_the_code() -> None:
    text = README.read_text("utf-8")
    prose = re.sub(
        r"<!-- make bench.*?<!-- end of make bench -->|```.*?```|`.*?`|HTTP/2",
        "",
        text,
        flags=re.DOTALL,
    )
    options = measuring.Options(0, 0, 64, 0, 0)
    known = {
        options.callers,
        catch_up.MOST,
        followers.COMMANDS,
        imports.ROWS,
        relays.EVENTS,
        relays.COUNT,
        Settings().cached_stocks,
        5,  # per cent sent twice, as in scripts/replay_retail.py
    }
    assert {int(one.replace(",", "")) for one in re.findall(r"\d[\d,]*\d|\d", prose)} <= known


def test_every_picture_is_there() -> None:
    pictures = re.findall(r"\]\((plots/\w+\.svg)\)", README.read_text("utf-8"))
    assert len(pictures) > 3
    assert all((README.parent / one).is_file() for one in pictures)


def test_the_plots_are_drawn_from_the_figures_that_are_kept(kept: Parts, tmp_path: Path) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    from scripts.bench import plots  # noqa: PLC0415  needs what may not be installed

    for path in plots.draw(kept, tmp_path):
        shown = (plots.FOLDER / path.name).read_text("utf-8")
        if f"Matplotlib v{matplotlib.__version__}," in shown:  # others place points otherwise
            assert path.read_text("utf-8") == shown
