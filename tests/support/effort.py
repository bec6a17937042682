"""Size and seed of the campaigns.

`ROBUSTNESS=quick` is the size of `make test`, `deep` that of `make robustness`; CI sets neither.
"""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

DEEP: Final = os.environ.get("ROBUSTNESS") == "deep"

SEED: Final = int(os.environ.get("ROBUSTNESS_SEED", "20261124"))
"""The seed of every random choice; the same seed makes the same choices."""

SHARE: Final = float(os.environ.get("ROBUSTNESS_SHARE", "1"))
"""The part of the deep size that is run, to split a long run."""

_RECORD: Final = os.environ.get("ROBUSTNESS_RECORD")
"""A file to which each finished campaign adds a line of JSON."""


def runs(*, least: int, ci: int, deep: int) -> int:
    """Return how often to try.

    With *least* runs the campaign's own checks still hold, for example that enough was killed.
    """
    if DEEP:
        return max(least, round(deep * SHARE))
    # read late: `--quick` sets it
    return least if os.environ.get("ROBUSTNESS") == "quick" else ci


@contextmanager
def campaign(name: str, **counts: int) -> Iterator[dict[str, Any]]:
    """Record size, seed and duration of a campaign that passes; the caller may add more."""
    noted: dict[str, Any] = {"campaign": name, "seed": SEED, "deep": DEEP, **counts}
    begun = time.monotonic()
    yield noted
    noted["seconds"] = round(time.monotonic() - begun, 1)
    line = json.dumps(noted)
    print(line)  # noqa: T201  pytest shows it with -s, and when something fails
    if _RECORD:
        with Path(_RECORD).open("a", encoding="utf-8") as file:
            file.write(line + "\n")
