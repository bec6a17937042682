"""Node and its packages, which `make tools` installs."""

import os
import shutil
from typing import Final

import pytest

from tests.support.server_process import ROOT

MODULES: Final = ROOT / ".venv/node/node_modules"
ENVIRONMENT: Final = {**os.environ, "NODE_PATH": str(MODULES)}


def need_node(*packages: str) -> None:
    """Skip the test where Node or one of *packages* is missing."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    if missing := [package for package in packages if not (MODULES / package).is_dir()]:
        pytest.skip(f"npm packages are missing ({' '.join(missing)}): run make tools")
