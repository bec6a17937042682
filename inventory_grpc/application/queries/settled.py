"""Entries whose changes walk to stocks, with how far they are."""

from typing import Generic, NamedTuple, TypeVar

E = TypeVar("E")


class Shown(NamedTuple, Generic[E]):
    """A policy, product or store, and whether all of its stocks show its last change."""

    entry: E
    settled: bool
