"""The check of docstrings refuses questions, and lets statements pass."""

from pathlib import Path

import pytest

from scripts.docstrings import main, questions


@pytest.mark.parametrize(
    "summary",
    [
        "Is the log whole?",
        "Nothing has changed, has it?",
        "What a caller may do.",
        "how the file is opened.",
        "Whoever asks is answered.",
        "When\nthe disk is full.",
    ],
)
def test_a_question_is_refused(summary: str) -> None:
    docstring = f'"""{summary}\n\nAnd more."""\n'
    assert list(questions(docstring)) == [(1, " ".join(summary.split()))]


@pytest.mark.parametrize("line", ["class Stock:", "def stock():", "async def stock():"])
def test_a_question_inside_of_a_module_is_refused(line: str) -> None:
    source = f'LIMIT = 5\n"""How many there are."""\n{line}\n    """What there is."""\n'
    assert list(questions(source)) == [(2, "How many there are."), (4, "What there is.")]


@pytest.mark.parametrize(
    "source",
    [
        '"""The levels of one stock."""',
        '"""Whatsoever begins like a question is none."""',
        '"""Opens the file.\n\nWhat follows the summary may say when and why."""',
        "",
    ],
)
def test_a_statement_passes(source: str) -> None:
    assert not list(questions(source))


def test_the_check_names_each_file_that_it_refuses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "stated.py").write_text('"""The levels of one stock."""\n')
    assert main([str(tmp_path)]) == 0
    (tmp_path / "asked.py").write_text('"""How many are there?"""\n')
    assert main([str(tmp_path)]) == 1
    assert f"{tmp_path}/asked.py:1:" in capsys.readouterr().err
