"""Policies, which set terms for the stocks of a scope: key, fact, state, command and resolution."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import ClassVar, Final, NamedTuple, Self

from inventory_grpc.domain.book import Audience, Book, Noun
from inventory_grpc.domain.event import Change, Fact, SubjectKey
from inventory_grpc.domain.levels import Terms
from inventory_grpc.domain.product import Product, ProductKey, PutProduct, RetireProduct
from inventory_grpc.domain.refusals import VersionConflict
from inventory_grpc.domain.store import PutStore, RetireStore, Store, StoreKey
from inventory_grpc.domain.values import EntryState, Instant, ProductId, StockId, StoreId, immutable

KNOWN_SCOPES: Final = 10_000
"""Scopes of many stocks that are kept made."""

MAX_SAFETY_STOCK: Final = 1_000_000_000


@immutable
class PolicyScope(SubjectKey):
    """The key of a policy, named `<product>@<store>`; an empty part has all of them."""

    kind: ClassVar[str] = "policy"

    @classmethod
    def of(cls, product_id: str | None, store_id: str | None) -> Self:
        return cls(f"{product_id or ''}@{store_id or ''}")

    @classmethod
    def named(cls, text: str) -> Self:
        product_id, _, store_id = text.partition("@")
        return cls.of(product_id and ProductId(product_id), store_id and StoreId(store_id))

    @property
    def covers(self) -> tuple[str, str]:
        product_id, _, store_id = self.id.partition("@")
        return product_id, store_id

    @property
    def product_id(self) -> ProductId | None:
        return ProductId(self.covers[0]) if self.covers[0] else None

    @property
    def store_id(self) -> StoreId | None:
        return StoreId(self.covers[1]) if self.covers[1] else None


class Policy(NamedTuple):
    """Values for stocks; None leaves a value to the next scope."""

    safety_stock: int | None = None
    backorder_limit: int | None = None
    low_stock_at: int | None = None
    alert_hysteresis: int | None = None


NOTHING: Final = Policy()


@immutable
class PolicyChanged(Fact):
    """All of the policy of a scope, as from now on."""

    product_id: ProductId | None
    store_id: StoreId | None
    policy: Policy


FACTS: Final = (PolicyChanged,)


class ScopedPolicy(NamedTuple):
    """The policy of a scope after its last event; version 0 was never set."""

    key: PolicyScope
    policy: Policy = NOTHING
    version: int = 0
    update_time: Instant | None = None

    @property
    def levels(self) -> None:
        """Return None: a policy has no levels."""

    @property
    def imposes(self) -> Policy:
        return self.policy

    def then(self, fact: Fact, time: Instant) -> Self:
        assert isinstance(fact, PolicyChanged)
        return type(self)(self.key, fact.policy, self.version + 1, time)


NOUN: Final = Noun(
    5,
    PolicyScope.kind,
    PolicyScope,
    FACTS,
    stream=ScopedPolicy,
    audience=Audience.NO_OTHER_STORE,
    is_whole=True,
)


@immutable
class SetPolicy:
    """Replace the values that a scope sets; the same values record nothing."""

    key: PolicyScope
    policy: Policy
    expected_version: int | None = None

    @property
    def touches(self) -> Sequence[PolicyScope]:
        return (self.key,)

    @property
    def about(self) -> None:
        """Return None: every scope exists, most of them without a policy."""

    def decide(self, book: Book) -> Sequence[Change]:
        scoped: ScopedPolicy = book.get(self.key)
        expected = self.expected_version
        if expected is not None and expected != scoped.version:
            raise VersionConflict(expected, scoped)
        if self.policy == scoped.policy:
            return []
        return [(self.key, PolicyChanged(self.key.product_id, self.key.store_id, self.policy))]


CHANGES_TERMS: Final = (SetPolicy, RetireProduct, RetireStore)
"""The commands that may change the terms of stocks."""

OF_THE_CATALOGUE: Final = (*CHANGES_TERMS, PutProduct, PutStore)
"""The commands that are on no stock."""


def scopes_of(stock_id: StockId) -> Sequence[PolicyScope]:
    """Return the scopes that a stock is in; the first one that sets a value wins."""
    product_id, store_id = stock_id
    return (
        PolicyScope.of(product_id, store_id),
        _all_of(None, store_id),
        _all_of(product_id, None),
        _all_of(None, None),
    )


@lru_cache(maxsize=KNOWN_SCOPES)
def _all_of(product_id: str | None, store_id: str | None) -> PolicyScope:
    """Return the scope of many stocks, which would take as long to make again for each of them."""
    return PolicyScope.of(product_id, store_id)


def sources_of(stock_id: StockId) -> Sequence[SubjectKey]:
    """Return the scopes of a stock, and then the keys of its product and store."""
    product_id, store_id = stock_id
    return *scopes_of(stock_id), ProductKey(product_id), StoreKey(store_id)


def terms_in_force(policies: Sequence[ScopedPolicy], product: Product, store: Store) -> Terms:
    """Return the terms of a stock, whose scopes have the *policies* in the order of `scopes_of`."""
    safety_stock, backorder_limit, low_stock_at, hysteresis = effective(
        [scoped.policy for scoped in policies]
    )
    return Terms(
        safety_stock or 0,
        backorder_limit or 0,
        low_stock_at,
        hysteresis or 0,
        product_retired=product.state is EntryState.RETIRED,
        store_retired=store.state is EntryState.RETIRED,
    )


def effective(policies: Sequence[Policy]) -> Policy:
    """Return each value from the first of *policies* that sets it."""
    return Policy(*map(_first, zip(*policies, strict=True)))


def _first(values: Iterable[int | None]) -> int | None:
    return next((value for value in values if value is not None), None)
