"""Tells an invalid value by its option, in place of the field of the request."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import typer

from inventory_grpc.cli.calls.session import REFUSED
from inventory_grpc.cli.common import show
from inventory_grpc.client import InvalidValue

_NAME: Final = re.compile(r"[a-z]+(?:_[a-z]+)*")
_FIELDS: Final = frozenset(("delta", "unconditional"))
"""Names of one word that mean the field wherever they stand; others may be words of a sentence."""


@contextmanager
def written_as_options(written: Mapping[str, str]) -> Iterator[None]:
    """Tell an invalid value by its option, as *written* for each field; exit as refused."""
    try:
        yield
    except InvalidValue as error:
        told = [
            f"{_NAME.sub(lambda name: written.get(name[0], name[0]), one.field)}: "
            f"{_NAME.sub(lambda name: _in_a_sentence(name[0], written), one.problem)}"
            for one in error.violations
        ]
        show(f"INVALID_VALUE: {'; '.join(told)}" if told else str(error))
        raise typer.Exit(REFUSED) from error


def _in_a_sentence(name: str, written: Mapping[str, str]) -> str:
    return written.get(name, name) if "_" in name or name in _FIELDS else name
