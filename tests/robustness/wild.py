"""Random requests, generated from the descriptors and a seed.

Half of the values make sense, so that code behind the first check is reached as well;
half of the messages are spoilt as bytes, after they were made.
"""

import random
from collections.abc import Callable
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from tests.robustness.bad_values import is_map

_INT64: Final = 2**63
_NUMBERS: Final = (0, 1, 2, 3, 5, -1, 10**9, 10**9 + 1, _INT64 - 1, -_INT64, 2**31, 2**32)
_WORDS: Final = (
    *("kettle", "toaster", "lisbon", "porto", "cart-1", "cart-2", "ana", "order-1", "request-1"),
    *("StockAdded", "inventory.v1.InventoryCommands", "grpc.health.v1.Health"),
    *("", " ", "a b", "x" * 128, "x" * 129, "ü" * 600, "\0", "q\r\n2026", "\x1b[31m", "\u202e", "﻿"),
    *("../../etc/passwd", "'; DROP TABLE events;--", "%", "_", "*", "$all", "null", "kettle "),
)
_BYTES: Final = (b"", b"\0", b"\xff" * 64)

_MAX_REPEATED: Final = 4
_MAX_DEPTH: Final = 4
MAX_BYTES: Final = 900_000
"""Of a message: a longer one is refused before anybody here sees it."""


class Wild:
    """Makes requests; the same ones for the same seed."""

    def __init__(self, seed: object) -> None:
        self._chance = random.Random(str(seed))
        self._is_tame = True

    def request(self, kind: Callable[[], Message]) -> bytes:
        """Return a request of this kind, or what is left of one."""
        message = kind()
        self._is_tame = self._chance.random() < 0.5
        self._fill(message, 0)
        data = message.SerializeToString()
        if not self._is_tame:
            for _ in range(self._chance.randint(1, 3)):
                data = self._spoil(data)
        return data[:MAX_BYTES]

    def _fill(self, message: Any, depth: int) -> None:  # noqa: ANN401  of any kind
        chance = self._chance
        for field in message.DESCRIPTOR.fields:
            if chance.random() < 0.25:
                continue
            if field.is_repeated:
                values = getattr(message, field.name)
                for _ in range(self._length()):
                    self._add(values, field, depth)
            elif field.message_type is None:
                setattr(message, field.name, self._value(field))
            elif depth < _MAX_DEPTH:
                inner = getattr(message, field.name)
                inner.SetInParent()
                if self._is_tame and field.message_type.name == "Timestamp":
                    inner.seconds = 1_795_521_600 + chance.randint(-86_400, 86_400)
                elif self._is_tame and field.message_type.name == "Duration":
                    inner.seconds = chance.randint(1, 60)
                else:
                    self._fill(inner, depth + 1)

    def _add(self, values: Any, field: FieldDescriptor, depth: int) -> None:  # noqa: ANN401  as above
        """Add one value to a list or a map."""
        if field.message_type is None:
            values.append(self._value(field))
        elif is_map(field):
            entry = field.message_type.fields_by_name
            values[self._value(entry["key"])] = self._value(entry["value"])
        else:
            self._fill(values.add(), depth + 1)

    def _length(self) -> int:
        if not self._is_tame and self._chance.random() < 0.02:
            return self._chance.choice([101, 501, 1_001])
        return self._chance.randint(0, _MAX_REPEATED)

    def _value(self, field: Any) -> Any:  # noqa: ANN401  any descriptor, and of the field's type
        chance = self._chance
        match field.cpp_type:
            case FieldDescriptor.CPPTYPE_STRING:
                if field.type == FieldDescriptor.TYPE_BYTES:
                    return chance.choice(_BYTES)
                few = _WORDS[:9] if self._is_tame or chance.random() < 0.7 else _WORDS
                return chance.choice(few)
            case FieldDescriptor.CPPTYPE_BOOL:
                return chance.random() < 0.5
            case FieldDescriptor.CPPTYPE_ENUM:
                return chance.choice([1, 2] if self._is_tame else [0, 1, 2, 3, 99])
            case FieldDescriptor.CPPTYPE_INT64:
                return chance.randint(1, 5) if self._is_tame else self._number(64)
            case _:
                return chance.randint(0, 5) if self._is_tame else self._number(31)

    def _number(self, bits: int) -> int:
        limit = 2 ** (bits - 1) if bits == 64 else 2**bits
        return self._chance.choice([n for n in _NUMBERS if -limit <= n < limit])

    def _spoil(self, data: bytes) -> bytes:
        """Return *data* with a flipped bit, a piece cut out, put in, doubled, or moved."""
        chance = self._chance
        at = chance.randint(0, len(data))
        end = min(len(data), at + chance.randint(1, 12))
        match chance.randrange(7):
            case 0 if data:
                spoilt = bytearray(data)
                spoilt[at % len(data)] ^= 1 << chance.randrange(8)
                return bytes(spoilt)
            case 1:
                return data[:at]
            case 2:
                return data[:at] + data[end:]
            case 3:
                return data[:at] + chance.randbytes(chance.randint(1, 12)) + data[at:]
            case 4:
                return data + data[at:end]
            case 5:  # a field that nobody knows, or a number without an end
                return data + chance.choice(
                    [b"\xf8\x3f\x01", b"\x80" * 11, b"\x08" + b"\xff" * 9 + b"\x01"]
                )
            case _:
                return data + data
