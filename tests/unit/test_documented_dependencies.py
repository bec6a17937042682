"""The document on how the service is built explains each package that it needs, and no other."""

import re
import tomllib
from itertools import chain
from typing import Final

from tests.support.documents import ROOT, text_of

PROJECT: Final = tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]
EXTRAS: Final = PROJECT["optional-dependencies"].values()


def test_each_package_has_its_purpose_in_the_document() -> None:
    _, _, tables = text_of(ROOT / "inventory_grpc" / "README.md").partition("## Dependencies")
    first_columns = [row.split("|")[1] for row in tables.splitlines() if row.startswith("| `")]
    explained = re.findall(r"`([\w-]+)`", " ".join(first_columns))
    required = chain(PROJECT["dependencies"], *EXTRAS)
    assert set(explained) == {re.split(r"[^\w-]", package)[0] for package in required}
