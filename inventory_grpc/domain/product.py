"""A product of the catalogue: its key, its fact, its state and its command."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final, NamedTuple, Self

from inventory_grpc.domain.book import Audience, Book, Noun
from inventory_grpc.domain.event import Change, Fact, SubjectKey
from inventory_grpc.domain.refusals import VersionConflict
from inventory_grpc.domain.values import Instant, ProductId, immutable

NO_ATTRIBUTES: Final[Mapping[str, str]] = {}


@immutable
class ProductKey(SubjectKey):
    kind: ClassVar[str] = "product"


@immutable
class ProductChanged(Fact):
    """All of the content of a product, as from now on."""

    product_id: ProductId
    sku: str
    name: str
    attributes: Mapping[str, str]


FACTS: Final = (ProductChanged,)


class Product(NamedTuple):
    """The state of a product after its last event; version 0 does not exist."""

    key: ProductKey
    sku: str = ""
    name: str = ""
    attributes: Mapping[str, str] = NO_ATTRIBUTES
    version: int = 0
    create_time: Instant | None = None
    update_time: Instant | None = None

    @property
    def levels(self) -> None:
        """Return None: a product has no levels."""

    def then(self, fact: Fact, time: Instant) -> Self:
        assert isinstance(fact, ProductChanged)
        return type(self)(
            self.key,
            fact.sku,
            fact.name,
            fact.attributes,
            self.version + 1,
            self.create_time or time,
            time,
        )


NOUN: Final = Noun(
    3, ProductKey.kind, ProductKey, FACTS, stream=Product, audience=Audience.EVERYBODY
)


@immutable
class PutProduct:
    """Replace the content of a product, or make the product; the same content records nothing."""

    product_id: ProductId
    sku: str
    name: str
    attributes: Mapping[str, str]
    expected_version: int | None = None

    @property
    def key(self) -> ProductKey:
        return ProductKey(self.product_id)

    @property
    def touches(self) -> Sequence[ProductKey]:
        return (self.key,)

    @property
    def about(self) -> None:
        """Return None: the command makes the product."""

    def decide(self, book: Book) -> Sequence[Change]:
        product: Product = book.get(self.key)
        expected = self.expected_version
        if expected is not None and expected != product.version:
            raise VersionConflict(expected, product)
        content = self.sku, self.name, self.attributes
        if product.version and content == (product.sku, product.name, product.attributes):
            return []
        return [(self.key, ProductChanged(self.product_id, *content))]
