"""The command and the queries of policies."""

from datetime import datetime

from inventory_grpc.client import messages
from inventory_grpc.client.calls import Calls
from inventory_grpc_protos.v1 import commands_pb2, queries_pb2
from inventory_grpc_protos.v1.policies_pb2 import Policy


class Policies:
    """Sets what may be promised of stocks, and when they are low.

    `StockCommands` explains the arguments and the errors that every command has, `StockQueries`
    those of every query. The scope of a policy is the stock of a product in a store; without a
    product all stocks of the store, without a store all of the product, without both all stocks.
    """

    _calls: Calls

    async def set_policy(  # noqa: PLR0913  the fields of the request
        self,
        *,
        product_id: str = "",
        store_id: str = "",
        safety_stock: int | None = None,
        backorder_limit: int | None = None,
        low_stock_at: int | None = None,
        alert_hysteresis: int | None = None,
        expected_version: int | None = None,
        request_id: str = "",
        reason: str = "",
        reference: str = "",
        occur_time: datetime | None = None,
        dry_run: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109  sent to the server as the deadline
    ) -> commands_pb2.SetPolicyResponse:
        """Replace all values that a scope sets; None leaves a value to the next scope.

        A stock takes each value from the first of these that sets it: its own policy, that of
        its store, that of its product, that of all stocks. The same values record nothing.

        Raises:
            VersionConflict: the policy is not at *expected_version*; `current` is the policy.
            InventoryError: one of those that every command may raise, see `StockCommands`.
        """
        request = messages.made(
            commands_pb2.SetPolicyRequest,
            product_id=product_id,
            store_id=store_id,
            policy=messages.made(
                Policy,
                safety_stock=safety_stock,
                backorder_limit=backorder_limit,
                low_stock_at=low_stock_at,
                alert_hysteresis=alert_hysteresis,
            ),
            expected_version=expected_version,
            **messages.about(request_id, reason, reference, occur_time, dry_run=dry_run),
        )
        return await self._calls(lambda on: on.commands.SetPolicy, request, timeout)

    async def get_policy(
        self,
        *,
        product_id: str = "",
        store_id: str = "",
        min_position: int = 0,
        timeout: float | None = None,  # noqa: ASYNC109  as above
    ) -> queries_pb2.GetPolicyResponse:
        """Return the policy of a scope; for that of one stock also the values in force there.

        `policy.settled` says whether all stocks of the scope show its last change.

        Raises:
            InventoryError: one of those that every query may raise, see `StockQueries`.
        """
        request = messages.made(
            queries_pb2.GetPolicyRequest,
            product_id=product_id,
            store_id=store_id,
            min_position=min_position,
        )
        return await self._calls(lambda on: on.queries.GetPolicy, request, timeout)

    async def list_policies(  # noqa: PLR0913  as above
        self,
        *,
        product_id: str = "",
        store_id: str = "",
        page_size: int = 0,
        page_token: str = "",
        min_position: int = 0,
        timeout: float | None = None,  # noqa: ASYNC109  as above
    ) -> queries_pb2.ListPoliciesResponse:
        """Return a page of the policies that set something, by product, then by store.

        With a *product_id* or a *store_id*, only those of scopes that name it.

        Raises:
            InventoryError: one of those that every query may raise, see `StockQueries`.
        """
        request = messages.made(
            queries_pb2.ListPoliciesRequest,
            product_id=product_id,
            store_id=store_id,
            page_size=page_size,
            page_token=page_token,
            min_position=min_position,
        )
        return await self._calls(lambda on: on.queries.ListPolicies, request, timeout)
