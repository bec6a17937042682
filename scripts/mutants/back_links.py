"""Faults of the back links of stocks."""

from typing import Final

from scripts.mutants.mutant import Mutant

_BACK_LINKS: Final = "infrastructure/sqlite/back_links.py"
_HISTORY: Final = "infrastructure/sqlite/stock_history.py"
_LONG_STREAMS: Final = "tests/contract/test_long_streams.py"

BACK_LINKS: Final = (
    Mutant(
        "M86",
        "record a version of a stock twice",
        _BACK_LINKS,
        "WHERE stream = column2 AND version = column3 - 1)",
        "WHERE stream = column2)",
        _LONG_STREAMS,
    ),
    Mutant(
        "M87",
        "walk back from before an event that is wanted",
        _HISTORY,
        "    version = indexed[number]\n",
        "    version = indexed[max(number - 1, 0)]\n",
        _LONG_STREAMS,
    ),
    Mutant(
        "M88",
        "end a search where a section of a stock ends",
        _HISTORY,
        "return Section(begin.position, edge, last, edge)",
        "return Section(begin.position, edge, last, None)",
        _LONG_STREAMS,
    ),
    Mutant(
        "M89",
        "take an event of another stock for the one before",
        _BACK_LINKS,
        "WHERE before.position = events.previous AND before.stream = events.stream ",
        "WHERE before.position = events.previous ",
        "tests/integration/test_verify.py",
    ),
)
