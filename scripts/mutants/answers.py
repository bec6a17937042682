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
        "            shard[request] = _NOTHING\n",
        "            pass\n",
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
        "M83",
        "answer from the shared cache what is older than the caller asks for",
        "presentation/shared_answers.py",
        "        if at_least > self._head.position:\n",
        "        if False:\n",
        "tests/integration/test_shared_cache.py",
    ),
    Mutant(
        "M84",
        "let an older value take the place of a newer one in the shared cache",
        "infrastructure/valkey_cache.py",
        "tonumber(was) < tonumber(is) and ",
        "",
        "tests/integration/test_valkey_cache.py",
    ),
    Mutant(
        "M85",
        "answer with an event of a stock that a later one has followed",
        _FILE,
        "self._fills.pop(request, None), self._renewed.pop(request, None)",
        "self._fills.pop(request, None), self._renewed.get(request)",
        "tests/unit/presentation/test_stock_answers.py",
    ),
)
