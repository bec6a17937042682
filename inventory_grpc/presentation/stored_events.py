"""Puts stored events into a response without decoding them.

Serialized messages are merged by concatenation. So the bytes of a response are those of the
events, each after the tag of the field `events`, followed by those of the other fields.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from google.protobuf.message import Message

EVENTS: Final = 1
"""The number of the field `events`, in every message that has it."""

_TAG: Final = bytes([EVENTS << 3 | 2])
_MORE: Final = 0x80
"""The continuation bit of a varint byte; the other seven bits are the number."""


def response(events: Iterable[bytes], rest: Message) -> bytes:
    """Return the serialized message *rest* with *events* in its field `events`."""
    parts: list[bytes] = []
    for event in events:
        parts += (_before(len(event)), event)
    parts.append(rest.SerializeToString())
    return b"".join(parts)


@lru_cache(maxsize=4_096)
def _before(length: int) -> bytes:
    """Return the tag and the length that precede an event."""
    varint = bytearray()
    while length >= _MORE:
        varint.append(length % _MORE | _MORE)
        length //= _MORE
    varint.append(length)
    return _TAG + bytes(varint)
