"""A product of the catalogue: its key, its fact, its state and its command."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final, NamedTuple, Self

from inventory_grpc.domain.book import Audience, Book, Noun
from inventory_grpc.domain.event import Change, Fact, SubjectKey
from inventory_grpc.domain.refusals import SubjectNotFound, VersionConflict
from inventory_grpc.domain.values import EntryState, Instant, ProductId, immutable

NO_ATTRIBUTES: Final[Mapping[str, str]] = {}


@immutable
class ProductKey(SubjectKey):
    kind: ClassVar[str] = "product"

    @property
    def covers(self) -> tuple[str, str]:
        return self.id, ""


@immutable
class ProductChanged(Fact):
    """All of the content of a product, as from now on."""

    product_id: ProductId
    sku: str
    name: str
    attributes: Mapping[str, str]
    state: EntryState = EntryState.ACTIVE


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
    state: EntryState = EntryState.ACTIVE

    @property
    def levels(self) -> None:
        """Return None: a product has no levels."""

    @property
    def imposes(self) -> EntryState:
        return self.state

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
            fact.state,
        )


NOUN: Final = Noun(
    3,
    ProductKey.kind,
    ProductKey,
    FACTS,
    stream=Product,
    audience=Audience.EVERYBODY,
    is_whole=True,
)


@immutable
class PutProduct:
    """Replace the content of a product, or make the product; the same content records nothing.

    It leaves the state alone: a nightly import must not bring back what was retired.
    """

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
        return [(self.key, ProductChanged(self.product_id, *content, product.state))]


@immutable
class RetireProduct:
    """Retire a product, or restore it; if it is so already, nothing is recorded."""

    product_id: ProductId
    restore: bool
    expected_version: int | None = None

    @property
    def key(self) -> ProductKey:
        return ProductKey(self.product_id)

    @property
    def touches(self) -> Sequence[ProductKey]:
        return (self.key,)

    @property
    def about(self) -> None:
        """Return None: only who may change the product can ask."""

    def decide(self, book: Book) -> Sequence[Change]:
        product: Product = book.get(self.key)
        if not product.version:
            raise SubjectNotFound(self.key)
        expected = self.expected_version
        if expected is not None and expected != product.version:
            raise VersionConflict(expected, product)
        state = EntryState.ACTIVE if self.restore else EntryState.RETIRED
        if state is product.state:
            return []
        content = product.sku, product.name, product.attributes
        return [(self.key, ProductChanged(self.product_id, *content, state))]
