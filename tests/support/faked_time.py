"""The wall clock of a process, moved by libfaketime as a file says: `+0`, `-1h`, `+8d`."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

_LIBRARIES: Final = (
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
)
LIBRARY: Final = next((path for path in _LIBRARIES if os.path.exists(path)), None)  # noqa: PTH110

MISSING: Final = "libfaketime is not installed"


def environment(clock: Path) -> Mapping[str, str]:
    """Return the environment of a process with the wall clock of *clock*, a file that is made.

    The test is skipped where there is no libfaketime.
    """
    if LIBRARY is None:
        pytest.skip(MISSING)
    clock.write_text("+0", "ascii")
    return {
        "LD_PRELOAD": LIBRARY,
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
