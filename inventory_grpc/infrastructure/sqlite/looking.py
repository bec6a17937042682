"""Rows of several sources in one order, as far as all of the sources were looked through.

A source is an index that leads to its rows in the order of their keys: the events of a stock,
for example. Each is looked through for a bounded number of rows, also where few of them match.
"""

from collections.abc import Iterable, Sequence
from typing import Generic, NamedTuple, TypeVar

V = TypeVar("V")
K = TypeVar("K", int, tuple[str, str])
"""A key: a position, or the two ids of a stock."""


class Looked(NamedTuple, Generic[K, V]):
    """The rows of a source that match, by key, and the key of the last row looked at.

    No edge: the source was looked through to its end.
    """

    rows: Sequence[tuple[K, V]]
    edge: K | None


def share(rows: int, sources: int) -> int:
    """Return how many rows each source may be looked through for, *rows* in all."""
    return max(1, rows // max(1, sources))


def merged(looked: Iterable[Looked[K, V]], limit: int, *, downwards: bool) -> Looked[K, V]:
    """Return the first *limit* rows of all sources together, no further than all were looked at.

    A row that several sources have is returned once.
    """
    rows: dict[K, V] = {}
    edges: list[K] = []
    for source in looked:
        rows.update(source.rows)
        if source.edge is not None:
            edges.append(source.edge)
    edge = None
    if edges:
        edge = max(edges) if downwards else min(edges)
    kept: list[tuple[K, V]] = []
    for key in sorted(rows, reverse=downwards):
        if edge is not None and (key < edge if downwards else key > edge):
            break
        kept.append((key, rows[key]))
        if len(kept) == limit:
            return Looked(kept, key)
    return Looked(kept, edge)
