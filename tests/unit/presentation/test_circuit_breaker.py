"""While writes are refused, commands are refused before they are validated."""

from grpc import StatusCode

from inventory_grpc.application.failures import WritesRefused
from inventory_grpc.domain.refusals import Refusal
from inventory_grpc.presentation.interceptors.circuit_breaker import GuardCommands
from inventory_grpc.presentation.interceptors.decoding import Decode
from inventory_grpc.presentation.interceptors.errors import TranslateErrors
from tests.unit.presentation.tiny import ADD_STOCK, SUBSCRIBE, Nobody, echo, failing, served, unary

GET_STOCK = "/inventory.v1.InventoryQueries/GetStock"


class Gate:
    def __init__(self) -> None:
        self.refusals: list[Refusal] = []

    def check(self) -> None:
        if self.refusals:
            raise self.refusals.pop()


def decoded(message: bytes) -> bytes:
    assert message != b"never decoded"
    return message


HANDLERS = {path: unary(echo, decoded) for path in (ADD_STOCK, GET_STOCK, SUBSCRIBE)}


async def test_commands_pass_while_all_is_well() -> None:
    async with served(
        HANDLERS, TranslateErrors(Nobody()), GuardCommands(Gate()), Decode()
    ) as caller:
        assert await caller.ask(ADD_STOCK, b"hello") == b"hello"


async def test_commands_are_refused_unread_while_storage_is_in_trouble() -> None:
    gate = Gate()
    async with served(HANDLERS, TranslateErrors(Nobody()), GuardCommands(gate), Decode()) as caller:
        gate.refusals = [WritesRefused(1.5, "storage failed")]
        async with failing(StatusCode.UNAVAILABLE) as failure:
            await caller.ask(ADD_STOCK, b"never decoded")
        assert failure.reason == "WRITES_REFUSED"
        assert failure.pushback_ms == "1500"
        assert await caller.ask(ADD_STOCK, b"again") == b"again"


async def test_reads_go_on_meanwhile() -> None:
    gate = Gate()
    async with served(HANDLERS, TranslateErrors(Nobody()), GuardCommands(gate), Decode()) as caller:
        gate.refusals = [WritesRefused(1.5, "storage failed")] * 9
        assert await caller.ask(GET_STOCK, b"hello") == b"hello"
        assert await caller.ask(SUBSCRIBE, b"hello") == b"hello"
