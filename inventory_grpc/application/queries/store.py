"""Queries of stores."""

from dataclasses import dataclass

from inventory_grpc.application.access import EVERYWHERE, Scope
from inventory_grpc.application.ports import PAGE_LIMIT, Listing, Query, Reading
from inventory_grpc.application.queries.settled import Shown
from inventory_grpc.application.queries.snapshot import Latest
from inventory_grpc.domain.refusals import SubjectNotFound
from inventory_grpc.domain.store import Store, StoreKey, StoreKind
from inventory_grpc.domain.values import EntryState


@dataclass(frozen=True, slots=True)
class StoreQuery(Query[Listing[Shown[Store], str]]):
    """A list of stores after a store id, in order of ids; an empty field matches all."""

    groups: frozenset[str] = frozenset()
    """Only stores in one of these."""
    kinds: frozenset[StoreKind] = frozenset()
    states: frozenset[EntryState] = frozenset()
    after: str = ""
    scope: Scope = EVERYWHERE
    limit: int = PAGE_LIMIT


@dataclass(frozen=True, slots=True)
class StoreByKey(Query[Shown[Store] | None]):
    """One store; None if it was never put."""

    key: StoreKey


async def find_store(snapshot: Latest, key: StoreKey) -> Reading[Shown[Store]]:
    """Return one store.

    Raises:
        SubjectNotFound: it was never put.
    """
    shown, as_of = await snapshot.read(StoreByKey(key))
    if shown is None:
        raise SubjectNotFound(key)
    return Reading(shown, as_of)
