"""The examples of a property are the same whatever ran before it."""

import importlib.util
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st


def drawn() -> list[tuple[int, str]]:
    """Return the examples of a property."""
    found: list[tuple[int, str]] = []

    @settings(derandomize=True, max_examples=100, database=None)
    @given(st.integers(), st.text())
    def law(number: int, text: str) -> None:
        found.append((number, text))

    law()
    return found


def test_loading_a_module_changes_no_example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = drawn()
    path = tmp_path / "prices.py"
    path.write_text("".join(f"PRICE_{n} = ({n}, 'price {n}')\n" for n in range(70_001, 70_200)))
    spec = importlib.util.spec_from_file_location("prices", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "prices", module)
    spec.loader.exec_module(module)
    assert drawn() == before
