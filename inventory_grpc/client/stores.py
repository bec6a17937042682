"""The command and the queries of stores of the catalogue."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final, Literal

from inventory_grpc.client import entry_states, messages
from inventory_grpc.client.calls import Calls
from inventory_grpc.client.entry_states import State
from inventory_grpc_protos.v1 import commands_pb2, queries_pb2
from inventory_grpc_protos.v1.catalogue_pb2 import StoreKind

Kind = Literal["STORE", "WAREHOUSE", "VIRTUAL"]

_PREFIX: Final = "STORE_KIND_"
_KINDS: Final = {name.removeprefix(_PREFIX): value for name, value in StoreKind.items() if value}


class Stores:
    """Keeps what the stores are.

    `StockCommands` explains the arguments and the errors that every command has, `StockQueries`
    those of every query. A kind is `STORE`, `WAREHOUSE` or `VIRTUAL`.
    """

    _calls: Calls

    async def put_store(  # noqa: PLR0913  the fields of the request
        self,
        *,
        store_id: str,
        kind: Kind,
        name: str = "",
        groups: Iterable[str] = (),
        expected_version: int | None = None,
        request_id: str = "",
        reason: str = "",
        reference: str = "",
        occur_time: datetime | None = None,
        dry_run: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109  sent to the server as the deadline
    ) -> commands_pb2.PutStoreResponse:
        """Make a store, or replace all of its content; the same content records nothing.

        *groups* are up to 20 names, of which a store may have any.

        Raises:
            VersionConflict: the store is not at *expected_version*; `current` is the store.
            ValueError: *kind* is not one of those above.
            InventoryError: one of those that every command may raise, see `StockCommands`.
        """
        request = messages.made(
            commands_pb2.PutStoreRequest,
            store_id=store_id,
            name=name,
            kind=_kind(kind),
            groups=messages.strings("groups", groups),
            expected_version=expected_version,
            **messages.about(request_id, reason, reference, occur_time, dry_run=dry_run),
        )
        return await self._calls(lambda on: on.commands.PutStore, request, timeout)

    async def retire_store(  # noqa: PLR0913  as above
        self,
        *,
        store_id: str,
        restore: bool = False,
        expected_version: int | None = None,
        request_id: str = "",
        reason: str = "",
        reference: str = "",
        occur_time: datetime | None = None,
        dry_run: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109  as above
    ) -> commands_pb2.RetireStoreResponse:
        """Retire a store, or with *restore* make it active again.

        Nothing new comes in of what is retired, and nothing new is promised; what is there can
        leave. If the store is so already, nothing is recorded.

        Raises:
            SubjectNotFound: it was never put.
            VersionConflict: the store is not at *expected_version*; `current` is the store.
            InventoryError: one of those that every command may raise, see `StockCommands`.
        """
        request = messages.made(
            commands_pb2.RetireStoreRequest,
            store_id=store_id,
            restore=restore,
            expected_version=expected_version,
            **messages.about(request_id, reason, reference, occur_time, dry_run=dry_run),
        )
        return await self._calls(lambda on: on.commands.RetireStore, request, timeout)

    async def get_store(
        self,
        *,
        store_id: str,
        min_position: int = 0,
        timeout: float | None = None,  # noqa: ASYNC109  as above
    ) -> queries_pb2.GetStoreResponse:
        """Return one store.

        Raises:
            SubjectNotFound: it was never put, even if there are stocks in it.
            InventoryError: one of those that every query may raise, see `StockQueries`.
        """
        request = messages.made(
            queries_pb2.GetStoreRequest, store_id=store_id, min_position=min_position
        )
        return await self._calls(lambda on: on.queries.GetStore, request, timeout)

    async def list_stores(  # noqa: PLR0913  as above
        self,
        *,
        groups: Iterable[str] = (),
        kinds: Iterable[Kind] = (),
        states: Iterable[State] = (),
        page_size: int = 0,
        page_token: str = "",
        min_position: int = 0,
        timeout: float | None = None,  # noqa: ASYNC109  as above
    ) -> queries_pb2.ListStoresResponse:
        """Return a page of the stores by id, in one of *groups* and *states*, of one of *kinds*.

        An empty list matches all; each has at most 100. A state is `ACTIVE` or `RETIRED`.

        Raises:
            ValueError: a kind or state is not one of those above.
            InventoryError: one of those that every query may raise, see `StockQueries`.
        """
        request = messages.made(
            queries_pb2.ListStoresRequest,
            groups=messages.strings("groups", groups),
            kinds=[_kind(kind) for kind in messages.strings("kinds", kinds)],
            states=entry_states.numbers(states),
            page_size=page_size,
            page_token=page_token,
            min_position=min_position,
        )
        return await self._calls(lambda on: on.queries.ListStores, request, timeout)


def _kind(name: str) -> StoreKind.ValueType:
    messages.text("kind", name)
    if name not in _KINDS:
        raise ValueError(f"{messages.shown(name)} is not a kind: {', '.join(_KINDS)}")
    return _KINDS[name]
