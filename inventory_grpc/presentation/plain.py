"""A short way to read the commonest requests: known units of a known stock, and nothing odd.

`read_command` defines the submission; here the same one is made at once, and every other request
is left to `read_command`, which alone knows the words of a refusal.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

from inventory_grpc.application.access import EVERYWHERE, Caller
from inventory_grpc.application.ledger.submission import Submission
from inventory_grpc.application.outcomes import RequestKey
from inventory_grpc.domain.book import Command
from inventory_grpc.domain.event import Cause
from inventory_grpc.domain.values import Malformed, is_name, new
from inventory_grpc.presentation.rows import CommandRow
from inventory_grpc.presentation.submissions import BEGUN
from inventory_grpc.presentation.validation import known_quantity, known_stock
from inventory_grpc_protos.v1 import commands_pb2 as pb

ReadPlain = Callable[[Any, Caller], Submission | None]
"""Reads the request of a caller; returns None for one that is not plain."""

KNOWN_COMMANDS: Final = 50_000
"""Cached commands of each kind, by the encoding of their requests without the ids of these."""

_FRAME: Final = 2
"""The tag of an id and its length: a byte each."""

_TAG: Final = 1
"""The tag of a quantity, whose bytes have seven bits of it each."""

_METHODS: Final = pb.DESCRIPTOR.services_by_name["InventoryCommands"].methods_by_name


def plain_reader(row: CommandRow) -> ReadPlain:
    """Return the short way to read the requests of *row*."""
    make, begun = row.plain, BEGUN[row.name].copy
    if make is None:
        return lambda _request, _caller: None
    kind: Any = GetMessageClass(_METHODS[row.name].input_type)

    @lru_cache(KNOWN_COMMANDS)
    def command_of(units: bytes) -> Command:
        """Return the command about *units*, the encoding of a stock and a quantity alone."""
        request = kind.FromString(units)
        product_id, store_id, quantity = request.product_id, request.store_id, request.quantity
        fewest = _FRAME + len(product_id) + _FRAME + len(store_id)
        fewest += _TAG + (quantity.bit_length() + 6) // 7
        if len(units) != fewest:  # then these fields leave no room for another one
            raise Malformed("there is another field")
        return make(known_stock(product_id, store_id), known_quantity(quantity))

    def read(request: Any, caller: Caller) -> Submission | None:  # noqa: ANN401  of that row
        request_id = request.request_id
        if caller.scope is not EVERYWHERE or not is_name(request_id):
            return None
        content = request.SerializeToString()
        try:
            # The id is the last of the fields of a plain request. If the bytes before an id of
            # this length are a stock and a quantity, then the others are the id, and there is no
            # other field, known or unknown: to ask for each of them takes longer.
            command = command_of(content[: -_FRAME - len(request_id)])
        except (Malformed, DecodeError):
            return None
        digest = begun()
        digest.update(content)
        actor = caller.actor
        cause = new(Cause, (request_id, actor, "", "", None, 0))
        key = new(RequestKey, (actor, request_id))
        return new(Submission, (command, cause, key, digest.digest(), EVERYWHERE, False))

    return read
