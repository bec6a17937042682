"""Policies over gRPC: the command reader, the queries, and their rows."""

from typing import Any, Final

from inventory_grpc.application.outcomes import Outcome
from inventory_grpc.application.queries.policy import PolicyByScope, PolicyQuery
from inventory_grpc.application.queries.snapshot import Queries
from inventory_grpc.domain.policy import (
    MAX_SAFETY_STOCK,
    Policy,
    PolicyScope,
    ScopedPolicy,
    SetPolicy,
)
from inventory_grpc.domain.values import MAX_LEVEL, MISSING, Name, ProductId, StoreId
from inventory_grpc.presentation import page_tokens
from inventory_grpc.presentation.call import Call
from inventory_grpc.presentation.rows import CommandRow, QueryRow
from inventory_grpc.presentation.to_proto import fill_time
from inventory_grpc.presentation.validation import Validator
from inventory_grpc_protos.v1 import commands_pb2, policies_pb2, queries_pb2

_LIMITS: Final = dict.fromkeys(Policy._fields, MAX_LEVEL) | {"safety_stock": MAX_SAFETY_STOCK}


def set_policy(check: Validator, request: commands_pb2.SetPolicyRequest) -> SetPolicy:
    scope = _scope(check, request)
    if not request.store_id:
        check.all_stores("SetPolicy")
    if not request.HasField("policy"):
        check.violation("policy", MISSING)
    values = {
        field.name: check.number(f"policy.{field.name}", value, 0, _LIMITS[field.name])
        for field, value in request.policy.ListFields()
    }
    return SetPolicy(scope, Policy(**values), check.expected_version(request))


def _scope(check: Validator, request: Any) -> PolicyScope:  # noqa: ANN401  with both ids
    return PolicyScope.of(
        check.optional_value(ProductId, "product_id", request.product_id),
        check.optional_value(StoreId, "store_id", request.store_id),
    )


def _part(text: str) -> None:
    """Check a part of a scope, which may be empty."""
    if text:
        Name(text)


def fill_policy(message: policies_pb2.ScopedPolicy, scoped: ScopedPolicy) -> None:
    message.product_id, message.store_id = scoped.key.covers
    _fill_values(message.policy, scoped.policy)
    message.version = scoped.version
    if scoped.update_time is not None:
        fill_time(message.update_time, scoped.update_time)


def _fill_values(message: policies_pb2.Policy, policy: Policy) -> None:
    message.SetInParent()
    for name, value in policy._asdict().items():
        if value is not None:
            setattr(message, name, value)


def policy_message(scoped: ScopedPolicy) -> policies_pb2.ScopedPolicy:
    message = policies_pb2.ScopedPolicy()
    fill_policy(message, scoped)
    return message


def _fill_outcome(response: commands_pb2.SetPolicyResponse, outcome: Outcome) -> None:
    fill_policy(response.policy, outcome.streams[0])
    response.position = outcome.position
    response.replayed = outcome.replayed


async def get_policy(
    queries: Queries, request: queries_pb2.GetPolicyRequest, call: Call
) -> queries_pb2.GetPolicyResponse:
    with Validator(call.caller) as check:
        query = PolicyByScope(_scope(check, request))
        at_least = check.number("min_position", request.min_position, 0)
    reading = await queries.latest(at_least).read(query)
    response = queries_pb2.GetPolicyResponse(as_of_position=reading.as_of)
    scoped, settled = reading.value.shown
    fill_policy(response.policy, scoped)
    response.policy.settled = settled
    if reading.value.effective is not None:
        _fill_values(response.effective, reading.value.effective)
    return response


async def list_policies(
    queries: Queries, request: queries_pb2.ListPoliciesRequest, call: Call
) -> queries_pb2.ListPoliciesResponse:
    with Validator(call.caller) as check:
        after = page_tokens.last_key(check, request, request.page_token, _part, _part)
        query = PolicyQuery(
            check.optional_value(ProductId, "product_id", request.product_id) or "",
            check.optional_value(StoreId, "store_id", request.store_id) or "",
            (after[0], after[1]) if after else None,
            call.caller.scope,
            limit=page_tokens.size(check, request.page_size),
        )
        at_least = check.number("min_position", request.min_position, 0)
    reading = await queries.latest(at_least).read(query)
    response = queries_pb2.ListPoliciesResponse(as_of_position=reading.as_of)
    for scoped, settled in reading.value.rows:
        message = response.policies.add()
        fill_policy(message, scoped)
        message.settled = settled
    if reading.value.after is not None:
        response.next_page_token = page_tokens.token(request, *reading.value.after)
    return response


COMMANDS: Final = (CommandRow("SetPolicy", set_policy, _fill_outcome),)

QUERIES: Final = (
    QueryRow("GetPolicy", get_policy),
    QueryRow("ListPolicies", list_policies),
)
