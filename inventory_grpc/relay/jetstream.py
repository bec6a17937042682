"""A stream of NATS JetStream as the target: `nats://host:4222/STREAM`.

Each message is stored only if the one of the event before is the last in the stream. So nothing is
stored twice, however long ago the first time was, and the place is the header of the last message.
"""

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import StorageType, StreamConfig, StreamInfo
from nats.js.client import JetStreamContext
from nats.js.errors import NotFoundError, ServiceUnavailableError

from inventory_grpc.relay.messages import EVENT_ID, POSITION, PREFIX, Message
from inventory_grpc.relay.target import Overtaken, Place, Unfit, Unreachable, reason, shown

STREAM: Final = "inventory"
"""The stream, if the URL names none. It is made if it does not exist."""

SECONDS: Final = 10.0
"""The longest time for an answer, and for storing a batch."""

_ID: Final = "Nats-Msg-Id"
_STREAM: Final = "Nats-Expected-Stream"
_LAST_ID: Final = "Nats-Expected-Last-Msg-Id"
_LAST_SEQUENCE: Final = "Nats-Expected-Last-Sequence"
_WRONG_LAST: Final = frozenset({10070, 10071})
"""The codes of JetStream for another last message, by id and by sequence."""

_SERVER_ERROR: Final = 500
"""Codes from here on are those of a stream that cannot store for now."""

_REFUSED: Final = "authorization violation"
_RESERVED: Final = frozenset(".*>/\\ \t\r\n")
"""Characters that no name of a stream has."""

_FAULTS: Final = (nats.errors.Error, OSError, TimeoutError)


class JetStream:
    """A `Target`."""

    def __init__(self, url: str, stream: str = STREAM) -> None:
        if not stream or _RESERVED & {*stream}:
            raise Unfit(
                f"{stream} is no name of a stream: it has no dot, slash, space, * or >, as in "
                f"nats://HOST:4222/{STREAM}"
            )
        self._url = url
        self._shown = shown(url)
        self._stream = stream
        self._client: Client | None = None
        self._batch: _Batch | None = None
        self._batches = 0
        self._inbox = ""
        self._trouble: Exception | None = None

    async def start(self) -> Place:
        await self.close()
        self._trouble = None
        try:
            async with asyncio.timeout(SECONDS):
                # Messages that a client keeps and sends once it has reconnected are out of order.
                is_over_tls = self._url.startswith("tls:")
                self._client = client = _OverTls() if is_over_tls else Client()
                await client.connect(
                    self._url,
                    allow_reconnect=False,
                    max_reconnect_attempts=1,
                    reconnect_time_wait=0,
                    connect_timeout=int(SECONDS),
                    closed_cb=self._lost,
                    error_cb=self._failed,
                    name="inventory-grpc relay",
                )
                self._trouble = None  # one of two addresses may have failed
                self._inbox = client.new_inbox()
                await client.subscribe(f"{self._inbox}.*.*", cb=self._answered)
                return await self._place(client.jetstream())
        except _FAULTS as error:
            await self.close()
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> Exception:
        if isinstance(error, ServiceUnavailableError):
            return Unreachable(
                f"{self._shown}: JetStream does not answer: start NATS with -js, or wait until its "
                "cluster has a leader"
            )
        why = reason(self._trouble or error).removeprefix("nats: ")
        if _REFUSED in why.lower():
            return Unfit(
                f"{self._shown} refuses the user and the password: give those that it knows, "
                "nats://USER:PASSWORD@HOST:4222"
            )
        return Unreachable(f"{self._shown}: {why}")

    async def _place(self, context: JetStreamContext) -> Place:
        info = await self._found_or_made(context)
        if not info.state.last_seq:
            return Place()
        try:
            last = await context.get_msg(self._stream, info.state.last_seq)
        except NotFoundError:
            what = (
                f"the last message of the stream {self._stream} was deleted, which told the place"
                if info.state.messages
                else f"the stream {self._stream} had messages, and none is left to tell the place"
            )
            raise Unfit(
                f"{what}: publish to a new stream, with --after and the position to go on from"
            ) from None
        headers = last.headers or {}
        try:
            return Place(int(headers[POSITION]), headers[EVENT_ID])
        except (KeyError, ValueError):
            raise Unfit(
                f"the last message of the stream {self._stream} is not from a relay: publish to a "
                "stream that nothing else publishes to"
            ) from None

    async def _found_or_made(self, context: JetStreamContext) -> StreamInfo:
        try:
            return await context.stream_info(self._stream)
        except NotFoundError:
            config = StreamConfig(self._stream, subjects=[f"{PREFIX}.>"], storage=StorageType.FILE)
            return await context.add_stream(config)

    async def publish(self, after: Place, messages: Sequence[Message]) -> None:
        client = self._client
        if client is None or client.is_closed:
            raise Unreachable(f"{self._shown}: the connection was lost")
        self._batches += 1
        # Each message is stored only behind the one before: if the last one is, all are. The first
        # one tells whether another relay was faster.
        answered = {0, len(messages) - 1}
        self._batch = batch = _Batch(self._batches, len(answered))
        last_id = after.event_id
        try:
            async with asyncio.timeout(SECONDS):
                for number, message in enumerate(messages):
                    condition = {_LAST_ID: last_id} if last_id else {_LAST_SEQUENCE: "0"}
                    last_id = message.event_id
                    headers = {**message.headers, _STREAM: self._stream, _ID: last_id, **condition}
                    answer = f"{self._inbox}.{batch.number}.{number}" if number in answered else ""
                    await client.publish(message.subject, message.body, answer, headers)
                await batch.stored
        except _FAULTS as error:
            raise self._failure(error) from error
        finally:
            batch.stored.cancel()

    async def _answered(self, answer: Msg) -> None:
        """Note the answer to a message of the batch; one to an earlier batch is not waited for."""
        batch = self._batch
        if batch is None or answer.subject.split(".")[-2] != str(batch.number):
            return
        # without data nothing answers for the stream, as while it has no leader
        told = json.loads(answer.data) if answer.data else {"error": {}}
        if "error" in told:
            batch.fail(self._refusal(told["error"]))
        elif told.get("duplicate"):
            batch.fail(Overtaken(f"the stream {self._stream} has the event already"))
        else:
            batch.store_one()

    def _refusal(self, error: dict[str, object]) -> Exception:
        what = f"the stream {self._stream}: {error.get('description', 'nothing answers')}"
        if error.get("err_code") in _WRONG_LAST:
            return Overtaken(what)
        code = error.get("code", _SERVER_ERROR)
        if isinstance(code, int) and code < _SERVER_ERROR:
            return Unfit(what)
        return Unreachable(what)

    async def _lost(self) -> None:
        if self._batch is not None:
            self._batch.fail(Unreachable(f"{self._shown}: the connection was lost"))

    async def _failed(self, error: Exception) -> None:
        """Note an error that the client tells of, such as a permission that is missing."""
        self._trouble = error
        if self._batch is not None:
            self._batch.fail(self._failure(error))

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with suppress(*_FAULTS):
                await client.close()
            # After a failed write the client leaves the socket open.
            if client._transport is not None:  # noqa: SLF001  it has no other way
                client._transport.close()  # type: ignore[no-untyped-call]  # noqa: SLF001  as above


class _OverTls(Client):
    """A client that sends nothing, not even its password, to a server without TLS.

    The client of the library takes TLS only where the server asks for it.
    """

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:  # noqa: FBT001, FBT002  as in the library
        if not info.get("tls_required"):
            raise nats.errors.Error(
                "it does not ask for TLS: configure its tls with a certificate, or name nats:// "
                "where the network is trusted"
            )
        await super()._process_info(info, initial_connection)


class _Batch:
    """Messages that are being stored, and how many answers are to come."""

    def __init__(self, number: int, answers: int) -> None:
        self.number = number
        self.stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._missing = answers

    def store_one(self) -> None:
        self._missing -= 1
        if not self._missing and not self.stored.done():
            self.stored.set_result(None)

    def fail(self, why: Exception) -> None:
        if not self.stored.done():
            self.stored.set_exception(why)
