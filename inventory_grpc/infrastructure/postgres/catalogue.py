"""The objects of the schema: those that the definitions of the tables name, and those that exist.

Definitions are those of `log.sql`, of the read models and of the migrations, which are written in
one way: a column is a line that begins with two spaces, its name and its type.
"""

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import psycopg

_COMMENT: Final = re.compile(r"--.*$", re.MULTILINE)
_TABLE: Final = re.compile(
    r"^ *CREATE TABLE (?:IF NOT EXISTS )?(\w+) \(\n(.*?)^ *\)", re.MULTILINE | re.DOTALL
)
_COLUMN: Final = re.compile(r"^ +(\w+) +(int8|int4|int2|text|bytea|bool)\b(.*)$", re.MULTILINE)
_KEY: Final = re.compile(r"^ +(?:PRIMARY KEY|UNIQUE) \(([^)]*)\)", re.MULTILINE)
_ADDED: Final = re.compile(r"ALTER TABLE (\w+) ADD COLUMN (?:IF NOT EXISTS )?(\w+) +(\w+)")
_TRIGGER: Final = re.compile(r"TRIGGER (\w+)\s[^;]*?\sON (\w+)")
_DROPPED: Final = re.compile(
    r"(?:ALTER TABLE (\w+) )?DROP (?:COLUMN|INDEX|TABLE) (?:IF EXISTS )?(\w+)"
)
INDEX: Final = re.compile(r"CREATE (UNIQUE )?INDEX (\w+) ON (\w+)[^;]*", re.DOTALL)
"""A statement that makes an index; the groups are whether it is unique, its name, its table."""

_FOUND: Final = """
SELECT 'table', relname::text, '', true FROM pg_class
WHERE relkind = 'r' AND relnamespace = %(schema)s
UNION ALL
SELECT 'column', relname::text, attname || ' ' || typname, true
FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid JOIN pg_type ON pg_type.oid = atttypid
WHERE relkind = 'r' AND relnamespace = %(schema)s AND attnum > 0 AND NOT attisdropped
UNION ALL
SELECT 'key', tables.relname::text, coalesce((
  SELECT string_agg(attname, ', ' ORDER BY n)
  FROM unnest(indkey::int2[]) WITH ORDINALITY AS of_index (number, n)
  JOIN pg_attribute ON attrelid = indrelid AND attnum = number WHERE n <= indnkeyatts
), ''), indisvalid
FROM pg_index JOIN pg_class AS tables ON tables.oid = indrelid
WHERE relnamespace = %(schema)s AND indisunique
UNION ALL
SELECT 'index', tables.relname::text, indexes.relname::text, indisvalid
FROM pg_index JOIN pg_class AS tables ON tables.oid = indrelid
JOIN pg_class AS indexes ON indexes.oid = indexrelid WHERE tables.relnamespace = %(schema)s
UNION ALL
SELECT 'trigger', relname::text, tgname::text, tgenabled <> 'D'
FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
WHERE relnamespace = %(schema)s AND NOT tgisinternal
"""


class Item(NamedTuple):
    """An object of the schema, such as `Item("column", "events", "hash bytea")`."""

    kind: str
    table: str
    name: str = ""

    def __str__(self) -> str:
        match self.kind:
            case "table":
                return f"table {self.table}"
            case "column":
                return f"column {self.table}.{self.name}"
            case "key":
                return f"unique key {self.table} ({self.name})"
            case _:
                return f"{self.kind} {self.name} on {self.table}"


class Found(NamedTuple):
    """The objects that exist."""

    valid: frozenset[Item]
    invalid: frozenset[Item]
    """Indexes whose making was broken off, and triggers that are turned off."""

    def lacking(self, expected: frozenset[Item]) -> list[Item]:
        """Return the *expected* objects that cannot be used, without those of a missing table."""
        missing = expected - self.valid
        tables = {item.table for item in missing if item.kind == "table"}
        kept = {item for item in missing if item.kind == "table" or item.table not in tables}
        return sorted(kept)

    def told(self, item: Item) -> str:
        return f"{item} (INVALID)" if item in self.invalid else str(item)


def found(connection: psycopg.Connection[Any]) -> Found:
    """Return the objects of the first schema in the search path."""
    schema = connection.execute("SELECT quote_ident(current_schema())::regnamespace::oid")
    row = schema.fetchone()
    rows = connection.execute(_FOUND.encode(), {"schema": row and row[0]}).fetchall()
    valid = {Item(*row[:3]) for row in rows if row[3]}
    return Found(
        frozenset(valid), frozenset({Item(*row[:3]) for row in rows if not row[3]} - valid)
    )


def defined(ddl: str) -> frozenset[Item]:
    """Return the objects that the statements of *ddl* make."""
    return frozenset(_defined(_COMMENT.sub("", ddl)))


def _defined(ddl: str) -> Iterator[Item]:
    for table, body in _TABLE.findall(ddl):
        yield Item("table", table)
        for column, kind, rest in _COLUMN.findall(body):
            yield Item("column", table, f"{column} {kind}")
            if "PRIMARY KEY" in rest or "UNIQUE" in rest:
                yield Item("key", table, column)
        for columns in _KEY.findall(body):
            yield Item("key", table, columns)
    for table, column, kind in _ADDED.findall(ddl):
        yield Item("column", table, f"{column} {kind}")
    for _, name, table in INDEX.findall(ddl):
        yield Item("index", table, name)
    for name, table in _TRIGGER.findall(ddl):
        yield Item("trigger", table, name)


def without_dropped(items: frozenset[Item], ddl: str) -> frozenset[Item]:
    """Return *items* without the columns, indexes and tables that the statements of *ddl* drop."""
    dropped = set(_DROPPED.findall(ddl))

    def is_dropped(item: Item) -> bool:
        name = item.name.partition(" ")[0]
        return not dropped.isdisjoint({(item.table, name), ("", name), ("", item.table)})

    return frozenset(item for item in items if not is_dropped(item))


def indexes(ddl: str) -> dict[str, str]:
    """Return the statements of *ddl* that make indexes, by the names of these."""
    plain = _COMMENT.sub("", ddl)
    return {statement[2]: statement[0].strip() for statement in INDEX.finditer(plain)}
