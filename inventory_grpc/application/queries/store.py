"""Queries of stores."""

from dataclasses import dataclass

from inventory_grpc.application.access import EVERYWHERE, Scope
from inventory_grpc.application.ports import PAGE_LIMIT, Listing, Query, Reading
from inventory_grpc.application.queries.snapshot import Latest
from inventory_grpc.domain.refusals import SubjectNotFound
from inventory_grpc.domain.store import Store, StoreKey, StoreKind


@dataclass(frozen=True, slots=True)
class StoreQuery(Query[Listing[Store, str]]):
    """A list of stores after a store id, in order of ids; an empty field matches all."""

    groups: frozenset[str] = frozenset()
    """Only stores in one of these."""
    kinds: frozenset[StoreKind] = frozenset()
    after: str = ""
    scope: Scope = EVERYWHERE
    limit: int = PAGE_LIMIT


async def find_store(snapshot: Latest, key: StoreKey) -> Reading[Store]:
    """Return one store.

    Raises:
        SubjectNotFound: it was never put.
    """
    reading = await snapshot.get(key)
    if reading.value is None:
        raise SubjectNotFound(key)
    return reading
