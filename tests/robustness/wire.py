"""One request in different encodings, as other languages or versions may write it."""

import random
from collections.abc import Iterator
from typing import Any, Final

from google.protobuf.message import Message

_BYTES: Final = 2
"""The wire type of what has a length: text, and messages within messages."""

UNKNOWN: Final = b"\xa2\x06\x05later"
"""A field, of number 100, that a later version of the contract may have."""


def reencoded(message: Message, chance: random.Random) -> bytes:
    """Return *message* with its fields in any order, also within its parts, and one more."""
    data = _shuffled(message.SerializeToString(), message.DESCRIPTOR, chance)
    return data + UNKNOWN if chance.random() < 0.3 else data


def _shuffled(data: bytes, descriptor: Any, chance: random.Random) -> bytes:  # noqa: ANN401  has no type
    """Return the fields of a message in another order; lines of a cart stay in theirs."""
    by_number: dict[int, list[bytes]] = {}
    for number, kind, tag, value in _fields(data):
        inner = descriptor.fields_by_number[number].message_type
        content = value
        if kind == _BYTES:
            content = _shuffled(value, inner, chance) if inner else value
            content = _varint(len(content)) + content
        by_number.setdefault(number, []).append(tag + content)
    numbers = list(by_number)
    chance.shuffle(numbers)
    return b"".join(field for number in numbers for field in by_number[number])


def _fields(data: bytes) -> Iterator[tuple[int, int, bytes, bytes]]:
    """Yield number, wire type, tag and content of each field; of bytes, without their length."""
    at = 0
    while at < len(data):
        begun = at
        key, at = _read_varint(data, at)
        tag = data[begun:at]
        match key & 7:
            case 0:
                _, end = _read_varint(data, at)
            case 1:
                end = at + 8
            case 2:
                length, at = _read_varint(data, at)
                end = at + length
            case _:
                end = at + 4
        yield key >> 3, key & 7, tag, data[at:end]
        at = end


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if data[at - 1] < 0x80:
            return value, at


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
