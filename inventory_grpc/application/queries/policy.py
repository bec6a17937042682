"""Queries of policies."""

from dataclasses import dataclass
from typing import NamedTuple

from inventory_grpc.application.access import EVERYWHERE, Scope
from inventory_grpc.application.ports import PAGE_LIMIT, Listing, Query
from inventory_grpc.application.queries.settled import Shown
from inventory_grpc.domain.policy import Policy, PolicyScope, ScopedPolicy


class FoundPolicy(NamedTuple):
    """The policy of a scope; for that of one stock also the values in force there."""

    shown: Shown[ScopedPolicy]
    effective: Policy | None


@dataclass(frozen=True, slots=True)
class PolicyByScope(Query[FoundPolicy]):
    scope: PolicyScope


@dataclass(frozen=True, slots=True)
class PolicyQuery(Query[Listing[Shown[ScopedPolicy], tuple[str, str]]]):
    """A list of policies that set something, in the order of product and store.

    An empty product or store matches all.
    """

    product_id: str = ""
    store_id: str = ""
    after: tuple[str, str] | None = None
    scope: Scope = EVERYWHERE
    """Policies that name another store are left out."""
    limit: int = PAGE_LIMIT
