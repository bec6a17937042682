"""Answers `GetStock` from the cache of encoded stocks, before the request is decoded."""

from typing import Any, Final

import grpc

from inventory_grpc.application.queries.snapshot import Queries
from inventory_grpc.application.tracing import CURRENT
from inventory_grpc.presentation.call import Call
from inventory_grpc.presentation.grpc_types import Handler
from inventory_grpc.presentation.interceptors.around import Wrapping, behaviour_of
from inventory_grpc.presentation.stock_answers import StockAnswers
from inventory_grpc_protos.v1.queries_pb2 import GetStockResponse

GET_STOCK: Final = "/inventory.v1.InventoryQueries/GetStock"


class AnswerStocks(Wrapping):
    """Answers `GetStock` with bytes: those of the cache, or those that it then keeps.

    Only callers with all stores are answered from the cache, because it does not look into the
    request. For all others, and all other requests, it changes nothing.
    """

    def __init__(self, answers: StockAnswers, queries: Queries) -> None:
        super().__init__()
        self._answers = answers
        self._queries = queries

    def wrap(self, method: str, handler: Handler) -> Handler:
        if method != GET_STOCK:
            return handler
        inner, encode = behaviour_of(handler), GetStockResponse.SerializeToString
        answers, queries = self._answers, self._queries

        async def answered(request: bytes, call: Call) -> bytes:
            sees_all = call.caller.scope.stores is None
            answer = answers.find(request, queries.shown) if sees_all else None
            if answer is None:
                response = await inner(request, call)
                answer = encode(response)
                if sees_all:
                    answers.keep(request, response, answer)
            if CURRENT.get() is not None:
                call.position = GetStockResponse.FromString(answer).as_of_position
            return answer

        make: Any = grpc.unary_unary_rpc_method_handler
        answering: Handler = make(answered)
        return answering
