"""Random commands of all kinds, on a few stocks and reservations."""

from typing import Final

from hypothesis import strategies as st

from inventory_grpc.domain.book import Command
from inventory_grpc.domain.promises import Asked, Mode
from inventory_grpc.domain.store import StoreKind
from inventory_grpc.domain.values import (
    SELLABLE,
    CustomerId,
    Expiration,
    Never,
    OrderId,
    Span,
    StockId,
    Ttl,
)
from tests.support.terms import terms
from tests.support.world import (
    DAMAGED,
    KETTLES,
    PORTO_KETTLES,
    RETURNED,
    SECOND,
    TOASTERS,
    VIP,
    WEB,
    add,
    amend,
    change_by,
    commit,
    count,
    extend,
    fence,
    move,
    policy,
    put,
    put_store,
    release,
    remove,
    reserve,
    retire_product,
    retire_store,
    reverse,
)

Commands = st.SearchStrategy[Command]

STOCKS: Final = (KETTLES, TOASTERS, PORTO_KETTLES)
PRODUCTS: Final = ("kettle", "toaster")
STORES_PUT: Final = ("lisbon", "porto")

_stocks = st.sampled_from(STOCKS)
_versions = st.sampled_from([None, None, None, 1, 2])
_few = st.integers(1, 4)
_new_names = st.sampled_from([f"r{number}" for number in range(1, 9)])
_names = st.sampled_from(["r1", "r2", "r3"])
_any_names = st.sampled_from(["r1", "r2", "r3", "waits", "waits"])
_customers = st.sampled_from([CustomerId("ana"), CustomerId("ben")])
ORDERS = st.sampled_from([None, None, None, OrderId("order-1"), OrderId("order-2")])
_carts = st.dictionaries(_stocks, _few, min_size=1, max_size=2)
_all: st.SearchStrategy[dict[StockId, int]] = st.just({})
SOME_OR_ALL = _all | _all | st.dictionaries(_stocks, st.integers(1, 2), min_size=1, max_size=2)
ENDS: st.SearchStrategy[Expiration] = st.sampled_from(
    [Ttl(Span(seconds * SECOND)) for seconds in (1, 30, 60, 90, 600, 3600)] + [Never()]
)
_products = st.sampled_from(PRODUCTS)
_stores = st.sampled_from(STORES_PUT)
_store_kinds = st.sampled_from(StoreKind)
_groups = st.sets(st.sampled_from(["coast", "north"]))
_skus = st.sampled_from(["", "K-1", "K-2"])
_attributes = st.dictionaries(st.sampled_from(["colour", "weight"]), st.sampled_from(["", "red"]))
_puts: st.SearchStrategy[Command] = st.one_of(
    st.builds(put, _products, sku=_skus, attributes=_attributes, expected=_versions),
    st.builds(put_store, _stores, kind=_store_kinds, groups=_groups, expected=_versions),
)
_modes = st.sampled_from([Mode.ALL_OR_NOTHING] * 4 + [Mode.PARTIAL_LINES, Mode.PARTIAL_QUANTITY])
_again = st.booleans()
_fenced = st.sampled_from([VIP, VIP, WEB])
_states = st.sampled_from([None, None, None, None, DAMAGED, RETURNED])
_ways = st.permutations([None, DAMAGED, RETURNED])
ENDLESS: st.SearchStrategy[Expiration] = st.just(Never())
_channels = st.sampled_from([None, None, None, VIP, VIP, WEB])
LIMITS = st.sampled_from([0, 5, 5, 10, 10])
NO_LIMIT = st.just(0)
_seldom = st.sampled_from([False] * 9 + [True])
_asked = st.builds(Asked, _channels, _seldom, _modes)


def direct_terms(limits: st.SearchStrategy[int]) -> Commands:
    """Return commands that change the terms of a stock at once, whatever policies say."""
    return st.builds(
        terms,
        _stocks,
        safety=st.sampled_from([0, 0, 2]),
        limit=limits,
        low_at=st.sampled_from([None, None, 0, 3]),
        hysteresis=st.sampled_from([0, 2]),
        product_retired=_seldom,
        store_retired=_seldom,
    )


def policies(limits: st.SearchStrategy[int]) -> Commands:
    """Return commands that set the policy of a scope, or seldom retire what is in it."""
    set_policy: Commands = st.builds(
        lambda product, store, values: policy(product, store, **values),
        st.none() | _products,
        st.none() | _stores,
        st.fixed_dictionaries(
            {},
            optional={
                "safety_stock": st.sampled_from([0, 2]),
                "backorder_limit": limits,
                "low_stock_at": st.sampled_from([0, 3]),
                "alert_hysteresis": st.sampled_from([0, 2]),
            },
        ),
    )
    retire: Commands = st.one_of(
        st.builds(retire_product, _products, restore=st.booleans()),
        st.builds(retire_store, _stores, restore=st.booleans()),
    )
    return st.one_of(*[set_policy] * 3, retire.map(lambda command: command))


def commands(ends: st.SearchStrategy[Expiration], changes_of_terms: Commands) -> Commands:
    """Return commands of all kinds; reservations have one of *ends*."""
    return st.one_of(
        st.builds(add, st.integers(1, 8), _stocks, state=_states),
        st.builds(remove, _few, _stocks, state=_states),
        st.builds(remove, _few, _stocks, channel=_channels),
        st.builds(change_by, st.sampled_from([-6, -1, 1, 6]), _stocks, state=_states),
        st.builds(
            count,
            st.integers(0, 12),
            _stocks,
            expected=st.sampled_from([None, None, 1, 2, 3]),
            state=_states | st.just(SELLABLE),
        ),
        st.builds(
            lambda units, stock_id, ways: move(units, stock_id, out_of=ways[0], into=ways[1]),
            _few,
            _stocks,
            _ways,
        ),
        *[st.builds(reverse, st.sampled_from([1, 2, 5, 6, 7]))] * 2,
        *[
            st.builds(
                reserve,
                _carts,
                names,
                customer=_customers,
                order=ORDERS,
                expiration=ends,
                asked=_asked,
            )
            for names in (_names, _new_names, _new_names)
        ],
        *[
            st.builds(commit, SOME_OR_ALL, _any_names, order=ORDERS, reacquire=_again)
            for _ in range(3)
        ],
        *[st.builds(amend, _carts, _any_names, in_stock_only=_seldom)] * 2,
        *[st.builds(fence, st.sampled_from([-2, -1, 1, 2, 4]), _stocks, channel=_fenced)] * 2,
        *[changes_of_terms] * 2,
        *[st.builds(release, SOME_OR_ALL, _any_names)] * 2,
        st.builds(extend, ends, _any_names),
        _puts.map(lambda command: command),  # as rare as one other kind of command
    )
