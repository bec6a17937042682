"""Programs that `make tools` and `.ci/run` install for `tests/operations`."""

import os
import shutil
from typing import Final

import pytest

from tests.support.server_process import ROOT

_PLACES: Final = os.pathsep.join(
    (
        str(ROOT / ".venv/bin"),
        # where .ci/run unpacks packages of Debian that need no installing
        str(ROOT / ".venv/debian/usr/bin"),
        os.environ["PATH"],
    )
)


def find_tool(name: str) -> str:
    """Return the path of a program; skip the test where it is missing."""
    if (path := shutil.which(name, path=_PLACES)) is None:
        pytest.skip(f"{name} is not installed: tests/README.md says how to get it")
    return path
