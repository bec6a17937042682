"""A stream of Valkey or Redis as the target: `valkey://host:6379/0?stream=inventory`.

The id of an entry is `<position>-0`. A script adds a batch if the event before is the last in the
stream, and is atomic. So nothing is added twice, and the place is the id of the last entry.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from valkey.asyncio import Valkey
from valkey.asyncio.retry import Retry
from valkey.backoff import NoBackoff
from valkey.exceptions import (
    AuthenticationError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    ValkeyError,
)
from valkey.exceptions import (
    TimeoutError as TimedOut,
)

from inventory_grpc.relay.messages import EVENT_ID, Message
from inventory_grpc.relay.target import Overtaken, Place, Unfit, Unreachable, reason, shown

STREAM: Final = "inventory"

SECONDS: Final = 10.0
"""The longest time for an answer."""

_NEW_STREAM: Final = "publish to a new stream, with --after and the position to go on from"

_NOT_ABOVE: Final = "equal or smaller than the target stream top item"
"""The answer to an entry that is not above the last one there has been."""

_REFUSED: Final = ("authentication required", "username-password")

# KEYS: the stream. ARGV: the id of its last entry, and for each event the id, the number of its
# fields and values, and these.
_ADD: Final = """
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
local found = last[1] and last[1][1] or ''
if found ~= ARGV[1] then return found end
local at = 2
while ARGV[at] do
  local count = tonumber(ARGV[at + 1])
  redis.call('XADD', KEYS[1], ARGV[at], unpack(ARGV, at + 2, at + 1 + count))
  at = at + 2 + count
end
return false
"""


class ValkeyStream:
    """A `Target`."""

    def __init__(self, url: str, stream: str = STREAM) -> None:
        self._shown = shown(url)
        self._is_over_tls = url.startswith(("valkeys:", "rediss:"))
        self._stream = stream
        self._client = Valkey.from_url(
            url.replace("valkey", "redis", 1) if url.startswith("valkey") else url,
            socket_timeout=SECONDS,
            socket_connect_timeout=SECONDS,
            retry=Retry(NoBackoff(), 0),
            **({"ssl_check_hostname": True} if self._is_over_tls else {}),
        )
        self._add = self._client.register_script(_ADD)

    async def start(self) -> Place:
        try:
            entries: Any = await self._client.xrevrange(self._stream, count=1)
            if entries:
                [(entry, fields)] = entries
                return self._place(entry.decode(), fields)
            if await self._client.exists(self._stream):
                raise Unfit(
                    f"the stream {self._stream} had entries, and none is left to tell the place: "
                    f"{_NEW_STREAM}"
                )
        except (ValkeyError, OSError) as error:
            raise self._failure(error) from error
        return Place()

    def _place(self, entry: str, fields: dict[bytes, bytes]) -> Place:
        event_id = fields.get(EVENT_ID.encode(), b"").decode()
        position, _, part = entry.partition("-")
        if part != "0" or event_id.rpartition("-")[2] != position:
            raise Unfit(
                f"the last entry of the stream {self._stream} is not from a relay: publish to a "
                "stream that nothing else adds to"
            )
        return Place(int(position), event_id)

    async def publish(self, after: Place, messages: Sequence[Message]) -> None:
        arguments: list[str | bytes | int] = [_entry(after.position) if after.position else ""]
        for message in messages:
            fields: dict[str, str | bytes] = {
                **message.headers,
                "subject": message.subject,
                "event": message.body,
            }
            arguments += [_entry(message.position), 2 * len(fields)]
            for name, value in fields.items():
                arguments += [name, value]
        try:
            found = await self._add(keys=[self._stream], args=arguments)
        except (ValkeyError, OSError) as error:
            raise self._failure(error) from error
        if found is not None:
            raise Overtaken(f"the last entry of the stream {self._stream} is {found.decode()}")

    def _failure(self, error: Exception) -> Exception:
        if _NOT_ABOVE in str(error):
            return Unfit(
                f"the last entry of the stream {self._stream} was deleted, and with it the place: "
                f"{_NEW_STREAM}"
            )
        if any(word in str(error).lower() for word in _REFUSED):
            return Unfit(
                f"{self._shown} refuses: {error} Give those that it knows, "
                "valkey://USER:PASSWORD@HOST:6379 (without a user, valkey://:PASSWORD@HOST:6379)"
            )
        refuses = isinstance(error, ResponseError | AuthenticationError | NoPermissionError)
        if refuses and not isinstance(error, OutOfMemoryError | ReadOnlyError):
            return Unfit(f"{self._shown} refuses: {error}")
        why = reason(error)
        if isinstance(error, TimedOut) and self._is_over_tls:
            why += " (one without TLS does not answer to valkeys:// and rediss://)"
        return Unreachable(f"{self._shown}: {why}")

    async def close(self) -> None:
        with suppress(ValkeyError, OSError):
            await self._client.aclose()


def _entry(position: int) -> str:
    return f"{position}-0"
