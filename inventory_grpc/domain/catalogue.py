"""The rules on stocks of unknown and of retired products and stores."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from inventory_grpc.domain.book import Book
from inventory_grpc.domain.levels import Levels
from inventory_grpc.domain.product import ProductKey
from inventory_grpc.domain.refusals import Refusal
from inventory_grpc.domain.store import StoreKey
from inventory_grpc.domain.values import StockId


@dataclass(eq=False)
class NotInCatalogue(Refusal):
    """A stock would get a history, and its product or store was never put."""

    key: ProductKey | StoreKey

    def __str__(self) -> str:
        return f"{self.key.subject} is not in the catalogue"

    def facts(self) -> Mapping[str, str]:
        return {f"{self.key.kind}_id": self.key.id}


@dataclass(eq=False)
class Retired(Refusal):
    """The product or store is retired: nothing new comes in, and nothing new is promised."""

    key: ProductKey | StoreKey

    def __str__(self) -> str:
        return f"{self.key.subject} is retired"

    def facts(self) -> Mapping[str, str]:
        return {f"{self.key.kind}_id": self.key.id}


def check_not_retired(stock_id: StockId, levels: Levels) -> None:
    if levels.retired:
        product_id, store_id = stock_id
        is_product = levels.terms.product_retired
        raise Retired(ProductKey(product_id) if is_product else StoreKey(store_id))


def check_catalogue(book: Book, stock_ids: Iterable[StockId]) -> None:
    """Refuse stocks without history whose product or store is unknown, if the rule applies.

    The products and stores of all of them are read together.

    Raises:
        NotInCatalogue: for the first of them.
    """
    if not book.needs_catalogue:
        return
    keys: dict[ProductKey | StoreKey, None] = {}
    for stock_id in stock_ids:
        if not book.get(stock_id).version:
            keys |= {ProductKey(stock_id.product_id): None, StoreKey(stock_id.store_id): None}
    book.require(keys)
    for key in keys:
        if not book.get(key).version:
            raise NotInCatalogue(key)
