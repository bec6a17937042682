"""Faults in the cache of encoded stocks."""

from typing import Final

from scripts.mutants.mutant import Mutant

_FILE: Final = "presentation/stock_answers.py"
_LAW: Final = "tests/property/test_stock_answers.py"

ANSWERS: Final = (
    Mutant(
        "M59",
        "keep a cached stock when an event changes it",
        _FILE,
        "                self._shard(request).pop(request, None)\n",
        "                pass\n",
        _LAW,
    ),
    Mutant(
        "M60",
        "cache the answer to a second spelling of a request",
        "presentation/interceptors/stocks.py",
        "_Asked(request_for(product_id, store_id), ",
        "_Asked(message, ",
        _LAW,
    ),
    Mutant(
        "M61",
        "answer from the cache what is older than an earlier answer",
        _FILE,
        "if as_of >= at_least and",
        "if",
        _LAW,
    ),
    Mutant(
        "M74",
        "keep a stock as of before an event that was published during the read",
        _FILE,
        "if self._fills.get(request) is not fill or as_of < fill.begun:",
        "if as_of < fill.begun:",
        "tests/unit/presentation/test_stock_answers.py",
    ),
    Mutant(
        "M75",
        "answer a query from a read that began before it was asked",
        "infrastructure/postgres/point_reads.py",
        "            for one, answer in group:\n                if not answer.done():\n"
        "                    answer.set_result",
        "            for one, answer in [*group, *self._waiting]:\n"
        "                if not answer.done():\n                    answer.set_result",
        "tests/integration/test_point_reads.py",
    ),
)
