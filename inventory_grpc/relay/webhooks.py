"""A receiver over HTTP as the target: `https://host/path`, by the rules of Standard Webhooks.

A batch is one `POST`, and the next one follows only after an answer of 2xx. The place is in the
header `Inventory-Position` where the receiver answers `GET` with it, else it is kept in a file. A
relay that is killed before it has the answer, or the file, sends the batch again: at least once.
"""

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import httpx

from inventory_grpc.relay.messages import EVENT_ID, POSITION, Message, batch_of
from inventory_grpc.relay.place_file import read_place, write_place
from inventory_grpc.relay.signatures import read_secrets, signature
from inventory_grpc.relay.target import Overtaken, Parked, Place, Unfit, Unreachable, reason, shown

SECONDS: Final = 30.0
"""The longest time for an answer."""

AFTER: Final = "Inventory-After"
"""The header with the position of the event before the first one of a batch."""

_AGAIN: Final = frozenset({408, 425, 429})
"""The codes below 500 after which the same request may succeed."""

_CONFLICT: Final = 409
"""The receiver has another last event than the one before the batch."""


class Webhook:
    """A `Target`."""

    def __init__(self, url: str, secrets: Path, place_file: Path | None = None) -> None:
        self._url = url
        self._shown = shown(url)
        self._secrets = secrets
        self._place_file = place_file
        self._client = httpx.AsyncClient(timeout=SECONDS, follow_redirects=False)

    async def start(self) -> Place:
        read_secrets(self._secrets)
        if self._place_file is not None:
            folder = self._place_file.absolute().parent
            if not os.access(folder, os.W_OK):
                raise Unfit(
                    f"the place cannot be kept in {self._place_file}: there is no folder {folder} "
                    "that can be written to; make it, or name another --place-file"
                )
            return read_place(self._place_file)
        try:
            answer = await self._client.get(self._url)
        except httpx.HTTPError as error:
            raise Unreachable(f"{self._shown}: {reason(error)}") from error
        if answer.is_server_error or answer.status_code in _AGAIN:
            raise Unreachable(f"{self._shown}: {answer.status_code} {answer.reason_phrase}")
        try:
            position = int(answer.headers[POSITION])
            event_id = answer.headers[EVENT_ID] if position else ""
        except (KeyError, ValueError):
            raise Unfit(
                f"{self._shown} answers GET with {answer.status_code} and without the headers "
                f"{POSITION} and {EVENT_ID} of the last event that it has (0 for none): name a "
                "--place-file to keep the place in"
            ) from None
        return Place(position, event_id)

    async def publish(self, after: Place, messages: Sequence[Message]) -> None:
        last, seconds = messages[-1], int(time.time())
        content_type, body = batch_of(messages)
        headers = {
            "content-type": content_type,
            "webhook-id": last.event_id,
            "webhook-timestamp": str(seconds),
            "webhook-signature": signature(
                read_secrets(self._secrets), last.event_id, seconds, body
            ),
            AFTER: str(after.position),
            POSITION: str(last.position),
        }
        try:
            answer = await self._client.post(self._url, content=body, headers=headers)
        except httpx.HTTPError as error:
            raise Unreachable(f"{self._shown}: {reason(error)}") from error
        what = f"{self._shown}: {answer.status_code} {answer.reason_phrase}".rstrip()
        if answer.status_code == _CONFLICT:
            raise Overtaken(what)
        if answer.is_server_error or answer.status_code in _AGAIN:
            raise Unreachable(what)
        if not answer.is_success:
            first = messages[0].position
            raise Parked(f"{what}: the events {first} to {last.position} are parked")
        if self._place_file is not None:
            try:
                write_place(self._place_file, Place(last.position, last.event_id))
            except OSError as error:
                raise Unreachable(f"the place cannot be kept: {error}") from error

    async def close(self) -> None:
        with suppress(httpx.HTTPError):
            await self._client.aclose()
