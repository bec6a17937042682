"""The mark of tests that run on each storage engine."""

from typing import Final

import pytest

on_each_engine: Final = pytest.mark.parametrize("database", ["postgres", "sqlite"], indirect=True)
"""Has the fixture `database` name an empty database of each engine."""
