"""Merges bounded scans of several sources into one order.

A source is an index that yields its rows in the order of their keys, such as the events of a
stock. Each scan reads a bounded number of rows, even where few of them match.
"""

from collections.abc import Iterable, Sequence
from typing import Generic, NamedTuple, TypeVar

V = TypeVar("V")
K = TypeVar("K", int, tuple[str, str])
"""A key: a position, or the two ids of a stock."""


class Scan(NamedTuple, Generic[K, V]):
    """The matching rows of a source, by key, and the key of the last row scanned (`edge`).

    The edge is None if the source was scanned to its end.
    """

    rows: Sequence[tuple[K, V]]
    edge: K | None


def share(rows: int, sources: int) -> int:
    """Return how many rows to scan in each source, so that they are *rows* in all."""
    return max(1, rows // max(1, sources))


def merged(scans: Iterable[Scan[K, V]], limit: int, *, downwards: bool) -> Scan[K, V]:
    """Return the first *limit* rows of all sources, up to the nearest edge of any of them.

    A row that several sources have is returned once.
    """
    rows: dict[K, V] = {}
    edges: list[K] = []
    for source in scans:
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
            return Scan(kept, key)
    return Scan(kept, edge)
