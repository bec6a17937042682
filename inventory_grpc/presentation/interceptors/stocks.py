"""Answers `GetStock` from the cache of encoded stocks, before the request is decoded."""

from collections.abc import Collection
from typing import Any, Final, NamedTuple

import grpc
from google.protobuf.message import DecodeError

from inventory_grpc.application.queries.snapshot import Queries
from inventory_grpc.application.tracing import CURRENT
from inventory_grpc.presentation.call import Call
from inventory_grpc.presentation.grpc_types import Handler
from inventory_grpc.presentation.interceptors.around import Wrapping, behaviour_of
from inventory_grpc.presentation.shared_answers import SharedAnswers
from inventory_grpc.presentation.stock_answers import MAX_NAME, StockAnswers, request_for
from inventory_grpc_protos.v1.queries_pb2 import GetStockRequest, GetStockResponse

GET_STOCK: Final = "/inventory.v1.InventoryQueries/GetStock"


class _Asked(NamedTuple):
    """A request for a stock as it is now."""

    request: bytes
    """The canonical request for this stock."""
    min_position: int


class AnswerStocks(Wrapping):
    """Answers `GetStock` with bytes: those of the cache, or those that it then keeps.

    The request of a caller with all stores is looked for as it is. Any other is decoded first:
    of a caller with some stores, with a minimum position, or in another spelling.

    Before storage, the cache is asked that servers share, if there is one.
    """

    def __init__(
        self, answers: StockAnswers, queries: Queries, shared: SharedAnswers | None = None
    ) -> None:
        super().__init__()
        self._answers = answers
        self._queries = queries
        self._shared = shared

    def wrap(self, method: str, handler: Handler) -> Handler:
        if method != GET_STOCK:
            return handler
        inner, encode = behaviour_of(handler), GetStockResponse.SerializeToString
        answers, queries = self._answers, self._queries

        async def read(request: bytes, at_least: int, message: bytes, call: Call) -> bytes:
            """Read a stock, and keep the answer."""
            fill = answers.begin(request)
            try:
                response = await self._find(request, at_least)
                if response is None:
                    response = await inner(message, call)
                    self._share(request, response)
                answer = encode(response)
                answers.keep(request, response, answer, fill)
            finally:
                answers.end(request, fill)
            return answer

        async def answered(message: bytes, call: Call) -> bytes:
            stores = call.caller.scope.stores
            answer = answers.find(message, queries.shown) if stores is None else None
            if answer is None:
                asked = _read(message, stores)
                if asked is not None:
                    at_least = max(queries.shown, asked.min_position)
                    answer = answers.find(asked.request, at_least)
                if answer is None:
                    answers.misses += 1
                    if asked is None:
                        answer = encode(await inner(message, call))
                    else:
                        answer = await read(asked.request, at_least, message, call)
            if CURRENT.get() is not None:
                call.position = GetStockResponse.FromString(answer).as_of_position
            return answer

        make: Any = grpc.unary_unary_rpc_method_handler
        answering: Handler = make(answered)
        return answering

    async def _find(self, request: bytes, at_least: int) -> GetStockResponse | None:
        return await self._shared.find(request, at_least) if self._shared else None

    def _share(self, request: bytes, response: GetStockResponse) -> None:
        if self._shared:
            self._shared.keep(request, response)


def _read(message: bytes, stores: Collection[str] | None) -> _Asked | None:
    """Read a request; None if the cache has no answer: for a moment, or if it is refused.

    What is not refused here is the name of a stock if the cache has an answer under it.
    """
    try:
        request = GetStockRequest.FromString(message)
    except DecodeError:
        return None
    product_id, store_id = request.product_id, request.store_id
    if (
        request.WhichOneof("as_of") is not None
        or request.min_position < 0
        or len(product_id) > MAX_NAME
        or len(store_id) > MAX_NAME
        or (stores is not None and store_id not in stores)
    ):
        return None
    return _Asked(request_for(product_id, store_id), request.min_position)
