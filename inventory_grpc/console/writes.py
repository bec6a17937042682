"""The corrections of the pages: `POST /api/<name>`, each tried first with `dry_run`.

A form makes its `request_id` when it opens, so a second click sends the same command, which is
recorded once. A correction of a stock names the version that the person has seen.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple

from google.protobuf.message import Message

from inventory_grpc.client import InventoryClient
from inventory_grpc.client.plain import plain

MAX_REASON: Final = 500
"""The most characters of a reason; the server has the last word."""


class BadForm(ValueError):
    """A field of a form is unknown, missing or of the wrong type."""


class Correction(NamedTuple):
    call: Callable[..., Awaitable[Message]]
    fields: Mapping[str, type]
    """Those that it must have, beside the ones of every form."""
    optional: Mapping[str, type]

    async def answer(self, client: InventoryClient, form: object) -> dict[str, Any]:
        """Record the *form*, or try it; return the answer of the server.

        Raises:
            BadForm: a field is wrong.
            ValueError: as above.
            InventoryError: the server has refused it, or cannot be reached.
        """
        if not isinstance(form, dict):
            raise BadForm("a form is a JSON object")
        required = {**self.fields, **_EVERY}
        for name, value in form.items():
            kind = required.get(name) or self.optional.get(name)
            if kind is None:
                raise BadForm(f"{name!r:.40} is no field of this form")
            if type(value) is not kind:
                raise BadForm(f"{name} must be of type {kind.__name__}")
        if missing := [name for name in required if form.get(name) in {None, ""}]:
            raise BadForm(f"{', '.join(missing)} must be given")
        if not form["reason"].strip() or len(form["reason"]) > MAX_REASON:
            raise BadForm(f"reason: say why, in at most {MAX_REASON} characters")
        return plain(await self.call(client, **form))


_EVERY: Final[Mapping[str, type]] = {"reason": str, "request_id": str, "dry_run": bool}
_STOCK: Final[Mapping[str, type]] = {"product_id": str, "store_id": str, "expected_version": int}
_STATE: Final[Mapping[str, type]] = {"state": str}

CORRECTIONS: Final[Mapping[str, Correction]] = {
    "add": Correction(InventoryClient.add_stock, {**_STOCK, "quantity": int}, _STATE),
    "remove": Correction(InventoryClient.remove_stock, {**_STOCK, "quantity": int}, _STATE),
    "adjust": Correction(
        InventoryClient.adjust_stock, _STOCK, {**_STATE, "on_hand": int, "delta": int}
    ),
    "release": Correction(InventoryClient.release_reservation, {"reservation_id": str}, {}),
}
