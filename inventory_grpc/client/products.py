"""The command and the queries of products of the catalogue."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from inventory_grpc.client import entry_states, messages
from inventory_grpc.client.calls import Calls
from inventory_grpc.client.entry_states import State
from inventory_grpc_protos.v1 import commands_pb2, queries_pb2


class Products:
    """Keeps what the products are.

    `StockCommands` explains the arguments and the errors that every command has, `StockQueries`
    those of every query.
    """

    _calls: Calls

    async def put_product(  # noqa: PLR0913  the fields of the request
        self,
        *,
        product_id: str,
        sku: str = "",
        name: str = "",
        attributes: Mapping[str, str] | None = None,
        expected_version: int | None = None,
        request_id: str = "",
        reason: str = "",
        reference: str = "",
        occur_time: datetime | None = None,
        dry_run: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109  sent to the server as the deadline
    ) -> commands_pb2.PutProductResponse:
        """Make a product, or replace all of its content; the same content records nothing.

        *sku* is a label and need not be unique. *attributes* are up to 50 strings by name.

        Raises:
            VersionConflict: the product is not at *expected_version*; `current` is the product.
            PermissionDenied: the caller has only some stores.
            InventoryError: one of those that every command may raise, see `StockCommands`.
        """
        request = messages.made(
            commands_pb2.PutProductRequest,
            product_id=product_id,
            sku=sku,
            name=name,
            attributes=messages.strings_by_name("attributes", attributes or {}),
            expected_version=expected_version,
            **messages.about(request_id, reason, reference, occur_time, dry_run=dry_run),
        )
        return await self._calls(lambda on: on.commands.PutProduct, request, timeout)

    async def retire_product(  # noqa: PLR0913  as above
        self,
        *,
        product_id: str,
        restore: bool = False,
        expected_version: int | None = None,
        request_id: str = "",
        reason: str = "",
        reference: str = "",
        occur_time: datetime | None = None,
        dry_run: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109  as above
    ) -> commands_pb2.RetireProductResponse:
        """Retire a product, or with *restore* make it active again.

        Nothing new comes in of what is retired, and nothing new is promised; what is there can
        leave. If the product is so already, nothing is recorded.

        Raises:
            SubjectNotFound: it was never put.
            VersionConflict: the product is not at *expected_version*; `current` is the product.
            PermissionDenied: the caller has only some stores.
            InventoryError: one of those that every command may raise, see `StockCommands`.
        """
        request = messages.made(
            commands_pb2.RetireProductRequest,
            product_id=product_id,
            restore=restore,
            expected_version=expected_version,
            **messages.about(request_id, reason, reference, occur_time, dry_run=dry_run),
        )
        return await self._calls(lambda on: on.commands.RetireProduct, request, timeout)

    async def get_product(
        self,
        *,
        product_id: str,
        min_position: int = 0,
        timeout: float | None = None,  # noqa: ASYNC109  as above
    ) -> queries_pb2.GetProductResponse:
        """Return one product.

        Raises:
            SubjectNotFound: it was never put, even if there are stocks of it.
            InventoryError: one of those that every query may raise, see `StockQueries`.
        """
        request = messages.made(
            queries_pb2.GetProductRequest, product_id=product_id, min_position=min_position
        )
        return await self._calls(lambda on: on.queries.GetProduct, request, timeout)

    async def list_products(  # noqa: PLR0913  as above
        self,
        *,
        skus: Iterable[str] = (),
        states: Iterable[State] = (),
        page_size: int = 0,
        page_token: str = "",
        min_position: int = 0,
        timeout: float | None = None,  # noqa: ASYNC109  as above
    ) -> queries_pb2.ListProductsResponse:
        """Return a page of the products by id, with one of *skus* and in one of *states*.

        An empty list matches all; each has at most 100. A state is `ACTIVE` or `RETIRED`.

        Raises:
            ValueError: a state is not one of these.
            InventoryError: one of those that every query may raise, see `StockQueries`.
        """
        request = messages.made(
            queries_pb2.ListProductsRequest,
            skus=messages.strings("skus", skus),
            states=entry_states.numbers(states),
            page_size=page_size,
            page_token=page_token,
            min_position=min_position,
        )
        return await self._calls(lambda on: on.queries.ListProducts, request, timeout)
