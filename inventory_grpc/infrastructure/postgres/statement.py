"""Statements, whose parameters carry their types: `$limit::int8`, `$names::text[]`.

The types choose how values are encoded, in the binary format of the protocol. Columns of many
rows are arrays, from which `unnest` makes rows again: so a statement is the same for any number.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from struct import Struct
from typing import Any, Final

Encoded = bytes | None
"""A parameter as it is sent."""

_PARAMETER: Final = re.compile(r"\$([a-z_]\w*)::(\w+(?:\[\])?)")
_NULL: Final = b"\xff\xff\xff\xff"
_HEADER: Final = Struct("!iiIii").pack
"""The header of an array: its dimensions, whether it has nulls, the type, length, first index."""
_LENGTH: Final = Struct("!i").pack
_INT8: Final = Struct("!q").pack
_INT2: Final = Struct("!h").pack
_SIZED_INT8: Final = Struct("!iq").pack
_SIZED_INT2: Final = Struct("!ih").pack

_CACHED: Final = 500
"""Texts of statements that are put together for a query, and cached."""


class Statement:
    """A statement that each connection prepares once."""

    _count = 0

    def __init__(self, sql: str, *, is_prepared: bool = True) -> None:
        found = dict[str, str]()

        def numbered(parameter: re.Match[str]) -> str:
            name, kind = parameter.groups()
            found.setdefault(name, kind)
            return f"${list(found).index(name) + 1}::{kind}"

        self.sql: Final = _PARAMETER.sub(numbered, " ".join(sql.split())).encode()
        self.name: Final = self._next_name() if is_prepared else None
        self._encoders: Final = [(name, _ENCODERS[kind]) for name, kind in found.items()]

    @classmethod
    def _next_name(cls) -> bytes:
        cls._count += 1
        return b"s%d" % cls._count

    def bind(self, **values: object) -> "Bound":
        """Return the statement with values by the names of its parameters; more are ignored."""
        return Bound(self, [encode(values[name]) for name, encode in self._encoders])

    def bind_columns(self, columns: Sequence[Sequence[object]]) -> "Bound":
        """Return the statement with arrays in the order of its parameters."""
        encoders = self._encoders
        pairs = zip(encoders, columns, strict=True)
        return Bound(self, [encode(column) for (_, encode), column in pairs])

    def bind_rows(self, rows: Sequence[Sequence[object]]) -> "Bound":
        """Return the statement with at least one row, whose columns are its parameters."""
        return self.bind_columns([*zip(*rows, strict=True)])


class Bound:
    """A statement with its parameters."""

    __slots__ = ("parameters", "statement")

    def __init__(self, statement: Statement, parameters: Sequence[Encoded] = ()) -> None:
        self.statement = statement
        self.parameters = parameters


def rows_of(columns: Mapping[str, str]) -> str:
    """Return the SQL for rows from arrays, one parameter for each column of a type."""
    arrays = ", ".join(f"${name}::{kind}[]" for name, kind in columns.items())
    return f"unnest({arrays})"


def insert(table: str, columns: Mapping[str, str], more: str = "") -> Statement:
    """Return a statement that inserts rows with these *columns*, each with its type."""
    names = ", ".join(columns)
    return Statement(f"INSERT INTO {table} ({names}) SELECT * FROM {rows_of(columns)} {more}")


def upsert(
    table: str, columns: Mapping[str, str], kept: Sequence[str], constants: str = ""
) -> Statement:
    """Return a statement that inserts rows, or replaces all columns but the *kept* ones.

    The first of the kept columns is the primary key. *constants* are set in rows that exist.
    """
    replaced = ", ".join(f"{name} = excluded.{name}" for name in columns if name not in kept)
    return insert(table, columns, f"ON CONFLICT ({kept[0]}) DO UPDATE SET {replaced}{constants}")


@lru_cache(_CACHED)
def composed(sql: str) -> Statement:
    """Return the statement for a query that is put together; it is planned each time."""
    return Statement(sql, is_prepared=False)


def _optional(encode: Callable[[Any], bytes]) -> Callable[[Any], Encoded]:
    return lambda value: None if value is None else encode(value)


def _int8s(values: Sequence[int | None]) -> bytes:
    parts = [_NULL if value is None else _SIZED_INT8(8, value) for value in values]
    return _HEADER(1, 1, 20, len(values), 1) + b"".join(parts)


def _int2s(values: Sequence[int | None]) -> bytes:
    parts = [_NULL if value is None else _SIZED_INT2(2, value) for value in values]
    return _HEADER(1, 1, 21, len(values), 1) + b"".join(parts)


def _blobs(values: Sequence[bytes]) -> bytes:
    parts = chain.from_iterable([(_LENGTH(len(value)), value) for value in values])
    return _HEADER(1, 0, 17, len(values), 1) + b"".join(parts)


def _texts(values: Sequence[str | None]) -> bytes:
    parts: list[bytes] = []
    for value in values:
        if value is None:
            parts.append(_NULL)
        else:
            data = value.encode()
            parts += (_LENGTH(len(data)), data)
    return _HEADER(1, 1, 25, len(values), 1) + b"".join(parts)


_ENCODERS: Final[Mapping[str, Callable[[Any], Encoded]]] = {
    "int8": _optional(_INT8),
    "int2": _optional(_INT2),
    "text": _optional(str.encode),
    "bytea": _optional(bytes),
    "int8[]": _int8s,
    "int2[]": _int2s,
    "text[]": _texts,
    "bytea[]": _blobs,
}
