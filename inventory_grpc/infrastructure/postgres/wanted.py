"""The keys that a statement looks up: rows to which tables are joined by kind and name."""

from collections.abc import Collection, Mapping
from typing import Final

from inventory_grpc.domain.event import Key
from inventory_grpc.infrastructure.log.ids import kind_and_name

WANTED: Final = (
    "unnest($kinds::int2[], $names::text[]) WITH ORDINALITY AS wanted (kind, name, place)"
)
"""The kind is a column, also where all keys have the same. With a constant one, PostgreSQL took the
kind alone for selective, and read all keys of that kind for each batch until it was told better by
ANALYZE."""


def wanted(keys: Collection[Key]) -> Mapping[str, object]:
    """Return the parameters for *keys*; the place of the first is 1."""
    kinds, names = zip(*map(kind_and_name, keys), strict=True) if keys else ((), ())
    return {"kinds": kinds, "names": names}
