"""Puts stored events into a response without decoding them.

Messages are merged by putting their bytes one after the other. So the bytes of a response
are those of the events, each behind the tag of `events`, and then those of the other fields.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from google.protobuf.message import Message

EVENTS: Final = 1
"""The number of the field `events`, in every message that has it."""

_TAG: Final = bytes([EVENTS << 3 | 2])
_MORE: Final = 0x80
"""The bit of a byte that says that the number goes on; the other seven are the number."""


def response(events: Iterable[bytes], rest: Message) -> bytes:
    """Return the bytes of *rest* with *events* in it."""
    parts: list[bytes] = []
    for event in events:
        parts += (_before(len(event)), event)
    parts.append(rest.SerializeToString())
    return b"".join(parts)


@lru_cache(maxsize=4_096)
def _before(length: int) -> bytes:
    """Return the tag and the length that come before an event."""
    varint = bytearray()
    while length >= _MORE:
        varint.append(length % _MORE | _MORE)
        length //= _MORE
    varint.append(length)
    return _TAG + bytes(varint)
