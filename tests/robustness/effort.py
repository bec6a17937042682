"""How hard do we try, and from which seed? A minute in CI, hours when `ROBUSTNESS=deep`."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

DEEP: Final = os.environ.get("ROBUSTNESS") == "deep"

SEED: Final = int(os.environ.get("ROBUSTNESS_SEED", "20261124"))
"""What every random choice of this run comes from; the same seed is the same run."""

SHARE: Final = float(os.environ.get("ROBUSTNESS_SHARE", "1"))
"""Of the deep numbers, to split a long run."""

_RECORD: Final = os.environ.get("ROBUSTNESS_RECORD")
"""A file that gets one JSON line for each campaign that was seen through."""


def runs(ci: int, deep: int) -> int:
    """Return how often to try: *ci* times within a minute or so, *deep* times for the record."""
    return max(1, round(deep * SHARE)) if DEEP else ci


@contextmanager
def campaign(name: str, **counts: int) -> Iterator[dict[str, Any]]:
    """Note what was tried, how often, from which seed, and for how long; what fails is not noted.

    More may be put into what is yielded.
    """
    noted: dict[str, Any] = {"campaign": name, "seed": SEED, "deep": DEEP, **counts}
    begun = time.monotonic()
    yield noted
    noted["seconds"] = round(time.monotonic() - begun, 1)
    line = json.dumps(noted)
    print(line)  # noqa: T201  pytest shows it with -s, and when something fails
    if _RECORD:
        with Path(_RECORD).open("a", encoding="utf-8") as file:
            file.write(line + "\n")
