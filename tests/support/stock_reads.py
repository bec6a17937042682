"""`GetStock` as a server answers it, from the bytes of a request to those of the answer."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

import grpc

from inventory_grpc.application.access import ANYBODY, Caller
from inventory_grpc.application.queries.snapshot import Queries
from inventory_grpc.domain.values import StockId
from inventory_grpc.presentation.call import Call
from inventory_grpc.presentation.interceptors.around import Nested, Wrapping, behaviour_of
from inventory_grpc.presentation.interceptors.decoding import Decode
from inventory_grpc.presentation.interceptors.stocks import GET_STOCK, AnswerStocks
from inventory_grpc.presentation.shared_answers import SharedAnswers
from inventory_grpc.presentation.stock import get_stock
from inventory_grpc.presentation.stock_answers import StockAnswers
from inventory_grpc_protos.v1.queries_pb2 import GetStockRequest, GetStockResponse

Ask = Callable[[bytes, Call], Awaitable[bytes]]

_NO_CONTEXT: Final[Any] = None


class StockReads:
    """Asks for stocks, with the cache and without it."""

    def __init__(
        self, queries: Queries, answers: StockAnswers, shared: SharedAnswers | None = None
    ) -> None:
        self._cached = _asking(queries, AnswerStocks(answers, queries, shared))
        self._uncached = _asking(queries)

    async def answer(self, request: bytes, caller: Caller = ANYBODY) -> bytes:
        return await self._cached(request, Call(_NO_CONTEXT, caller))

    async def without_cache(self, request: bytes, caller: Caller = ANYBODY) -> bytes:
        return await self._uncached(request, Call(_NO_CONTEXT, caller))

    async def get(self, stock_id: StockId, min_position: int = 0) -> GetStockResponse:
        product_id, store_id = stock_id
        request = GetStockRequest(
            product_id=product_id, store_id=store_id, min_position=min_position
        )
        return GetStockResponse.FromString(await self.answer(request.SerializeToString()))


def _asking(queries: Queries, *cache: Wrapping) -> Ask:
    """Return the method behind the interceptors that read requests; *cache* is one of them."""
    method = grpc.unary_unary_rpc_method_handler(
        partial(get_stock, queries),
        GetStockRequest.FromString,
        GetStockResponse.SerializeToString,
    )
    handler = Nested(*cache, Decode()).wrap(GET_STOCK, method)
    behaviour, encode = behaviour_of(handler), handler.response_serializer or bytes

    async def ask(request: bytes, call: Call) -> bytes:
        return encode(await behaviour(request, call))

    return ask
