"""Adds to an answer what takes another call: totals of a product, sources of a policy."""

from collections.abc import Mapping
from typing import Any, Final

from inventory_grpc.client import SyncInventoryClient
from inventory_grpc_protos.v1.policies_pb2 import Policy

Columns = Mapping[str, Mapping[str, object]]
"""Values by the name of their row, by the name of their column."""

_LEVELS: Final = ("available", "on_hand", "reserved")


def total_of_product(client: SyncInventoryClient, answer: Any) -> Columns:  # noqa: ANN401  GetProductResponse
    """Return the levels of the product, summed over all stores."""
    listed = client.get_product_inventory(product_id=answer.product.product_id, page_size=1)
    return {"total": {level: getattr(listed.total, level) for level in _LEVELS}}


def policy_in_force(client: SyncInventoryClient, answer: Any) -> Columns:  # noqa: ANN401  GetPolicyResponse
    """Return the values in force for a stock, and the scope that each comes from.

    A policy that is set between these calls shows in all of it the next time.
    """
    if not answer.HasField("effective"):  # the scope is not one stock
        return {}
    product, store = answer.policy.product_id, answer.policy.store_id
    scopes = {f"{product} in {store}": answer.policy.policy}
    for name, ids in (
        (f"store {store}", {"store_id": store}),
        (f"product {product}", {"product_id": product}),
        ("all stocks", {}),
    ):
        scopes[name] = client.get_policy(**ids, min_position=answer.as_of_position).policy.policy
    names = [field.name for field in Policy.DESCRIPTOR.fields]
    in_force = {name: _value(answer.effective, name) for name in names}
    return {
        "effective": in_force,
        "source": {name: _source(scopes, name) for name in names},
    }


def _value(policy: Policy, name: str) -> int | None:
    return getattr(policy, name) if policy.HasField(name) else None  # type: ignore[arg-type]


def _source(scopes: Mapping[str, Policy], name: str) -> str:
    """Return the first scope that sets the value."""
    setting = (scope for scope, policy in scopes.items() if _value(policy, name) is not None)
    return next(setting, "default")
