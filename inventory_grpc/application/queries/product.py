"""Queries of products."""

from dataclasses import dataclass

from inventory_grpc.application.ports import PAGE_LIMIT, Listing, Query, Reading
from inventory_grpc.application.queries.settled import Shown
from inventory_grpc.application.queries.snapshot import Latest
from inventory_grpc.domain.product import Product, ProductKey
from inventory_grpc.domain.refusals import SubjectNotFound
from inventory_grpc.domain.values import EntryState


@dataclass(frozen=True, slots=True)
class ProductQuery(Query[Listing[Shown[Product], str]]):
    """A list of products after a product id, in order of ids; an empty field matches all."""

    skus: frozenset[str] = frozenset()
    states: frozenset[EntryState] = frozenset()
    after: str = ""
    limit: int = PAGE_LIMIT


@dataclass(frozen=True, slots=True)
class ProductByKey(Query[Shown[Product] | None]):
    """One product; None if it was never put."""

    key: ProductKey


async def find_product(snapshot: Latest, key: ProductKey) -> Reading[Shown[Product]]:
    """Return one product.

    Raises:
        SubjectNotFound: it was never put.
    """
    shown, as_of = await snapshot.read(ProductByKey(key))
    if shown is None:
        raise SubjectNotFound(key)
    return Reading(shown, as_of)
