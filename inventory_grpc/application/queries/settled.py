"""Entries whose changes walk to stocks, with how far they are."""

from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from inventory_grpc.application.ports import Query

E = TypeVar("E")


class Shown(NamedTuple, Generic[E]):
    """A policy, product or store, and whether all of its stocks show its last change."""

    entry: E
    settled: bool


@dataclass(frozen=True, slots=True)
class UnsettledChanges(Query[int]):
    """The number of changes that not all of their stocks show, counted up to the limit."""

    limit: int = 10_000
