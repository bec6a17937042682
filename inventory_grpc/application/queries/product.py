"""Queries of products."""

from dataclasses import dataclass

from inventory_grpc.application.ports import PAGE_LIMIT, Listing, Query, Reading
from inventory_grpc.application.queries.snapshot import Latest
from inventory_grpc.domain.product import Product, ProductKey
from inventory_grpc.domain.refusals import SubjectNotFound


@dataclass(frozen=True, slots=True)
class ProductQuery(Query[Listing[Product, str]]):
    """A list of products after a product id, in order of ids; an empty field matches all."""

    skus: frozenset[str] = frozenset()
    after: str = ""
    limit: int = PAGE_LIMIT


async def find_product(snapshot: Latest, key: ProductKey) -> Reading[Product]:
    """Return one product.

    Raises:
        SubjectNotFound: it was never put.
    """
    reading = await snapshot.get(key)
    if reading.value is None:
        raise SubjectNotFound(key)
    return reading
