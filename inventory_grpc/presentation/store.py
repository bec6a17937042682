"""Stores over gRPC: the command reader, the queries, and their rows."""

from collections.abc import Sequence
from typing import Final

from inventory_grpc.application.outcomes import Outcome
from inventory_grpc.application.queries.settled import Shown
from inventory_grpc.application.queries.snapshot import Queries
from inventory_grpc.application.queries.store import StoreQuery, find_store
from inventory_grpc.domain.store import PutStore, RetireStore, Store, StoreKey, StoreKind
from inventory_grpc.domain.values import MISSING, Name, StoreId
from inventory_grpc.presentation import page_tokens
from inventory_grpc.presentation.call import Call
from inventory_grpc.presentation.entry_states import STATES, STATES_BY_NUMBER
from inventory_grpc.presentation.rows import CommandRow, QueryRow
from inventory_grpc.presentation.to_proto import fill_time
from inventory_grpc.presentation.validation import Validator, counted
from inventory_grpc_protos.v1 import catalogue_pb2, commands_pb2, queries_pb2

MAX_GROUPS: Final = 20

_KINDS: Final = {kind.value: kind for kind in StoreKind}


def put_store(check: Validator, request: commands_pb2.PutStoreRequest) -> PutStore:
    kind = _KINDS.get(request.kind)
    if kind is None:
        check.violation("kind", "must be a kind of store" if request.kind else MISSING)
    return PutStore(
        check.value(StoreId, "store_id", request.store_id),
        check.text("name", request.name),
        kind or StoreKind.STORE,
        _groups(check, request.groups),
        check.expected_version(request),
    )


def retire_store(check: Validator, request: commands_pb2.RetireStoreRequest) -> RetireStore:
    return RetireStore(
        check.value(StoreId, "store_id", request.store_id),
        request.restore,
        check.expected_version(request),
    )


def _groups(check: Validator, given: Sequence[str]) -> tuple[str, ...]:
    """Return the groups in order, each of them once."""
    if len(given) > MAX_GROUPS:
        check.violation("groups", f"{counted(len(given))}; must be at most {MAX_GROUPS} groups")
        return ()
    for index, group in enumerate(given):
        check.name(f"groups[{index}]", group)
    return tuple(sorted(set(given)))


def store_message(store: Store) -> catalogue_pb2.Store:
    message = catalogue_pb2.Store()
    fill_store(message, store)
    return message


def fill_store(message: catalogue_pb2.Store, store: Store) -> None:
    message.store_id = store.key.id
    message.name = store.name
    message.groups[:] = store.groups
    message.version = store.version
    message.state = STATES[store.state]
    if store.create_time is not None and store.update_time is not None:
        message.kind = catalogue_pb2.StoreKind.ValueType(store.kind)
        fill_time(message.create_time, store.create_time)
        fill_time(message.update_time, store.update_time)


def _fill_shown(message: catalogue_pb2.Store, shown: Shown[Store]) -> None:
    fill_store(message, shown.entry)
    message.settled = shown.settled


def _fill_outcome(
    response: commands_pb2.PutStoreResponse | commands_pb2.RetireStoreResponse, outcome: Outcome
) -> None:
    fill_store(response.store, outcome.streams[0])
    response.position = outcome.position
    response.replayed = outcome.replayed


async def get_store(
    queries: Queries, request: queries_pb2.GetStoreRequest, call: Call
) -> queries_pb2.GetStoreResponse:
    with Validator(call.caller) as check:
        store_id = check.value(StoreId, "store_id", request.store_id)
        at_least = check.number("min_position", request.min_position, 0)
    reading = await find_store(queries.latest(at_least), StoreKey(store_id))
    response = queries_pb2.GetStoreResponse(as_of_position=reading.as_of)
    _fill_shown(response.store, reading.value)
    return response


async def list_stores(
    queries: Queries, request: queries_pb2.ListStoresRequest, call: Call
) -> queries_pb2.ListStoresResponse:
    with Validator(call.caller) as check:
        after = page_tokens.last_key(check, request, request.page_token, Name)
        query = StoreQuery(
            check.values(Name, "groups", request.groups),
            check.choices("kinds", request.kinds, _KINDS, "must be a kind of store"),
            check.choices("states", request.states, STATES_BY_NUMBER, "must be a state"),
            after[0] if after else "",
            call.caller.scope,
            limit=page_tokens.size(check, request.page_size),
        )
        at_least = check.number("min_position", request.min_position, 0)
    reading = await queries.latest(at_least).read(query)
    response = queries_pb2.ListStoresResponse(as_of_position=reading.as_of)
    for store in reading.value.rows:
        _fill_shown(response.stores.add(), store)
    if reading.value.after is not None:
        response.next_page_token = page_tokens.token(request, reading.value.after)
    return response


COMMANDS: Final = (
    CommandRow("PutStore", put_store, _fill_outcome),
    CommandRow("RetireStore", retire_store, _fill_outcome),
)

QUERIES: Final = (
    QueryRow("GetStore", get_store),
    QueryRow("ListStores", list_stores),
)
