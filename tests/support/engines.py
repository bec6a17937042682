"""The mark of tests that run on each storage engine."""

from typing import Final

import pytest

on_each_engine: Final = pytest.mark.parametrize("on_engine", ["postgres", "sqlite"], indirect=True)
"""Has the fixtures `database` and `new_database` make a log of each engine."""
