"""Reads the details of a status."""

from collections.abc import Iterable
from contextlib import suppress
from typing import TypeVar

from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.message import DecodeError, Message

Detail = TypeVar("Detail", bound=Message)


def first(kind: type[Detail], details: Iterable[Packed]) -> Detail | None:
    """Return the first of *details* that is a *kind* and can be decoded, if there is one."""
    found = kind()
    for packed in details:
        with suppress(DecodeError):
            if packed.Unpack(found):
                return found
    return None
