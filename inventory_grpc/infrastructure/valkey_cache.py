"""A shared cache in Valkey or Redis."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit

from valkey.asyncio import Valkey
from valkey.asyncio.retry import Retry
from valkey.backoff import NoBackoff
from valkey.exceptions import ValkeyError

from inventory_grpc.application.shared_cache import Kept, Unanswered

_log = logging.getLogger(__name__)

ANSWER_SECONDS: Final = 0.02
"""The longest time that a caller waits."""

CALL_SECONDS: Final = 1.0
"""The longest time that a call to the server takes, or connecting to it."""

REST_SECONDS: Final = 5.0
"""After a failure one caller tries again, and not before this time."""

TTL_SECONDS: Final = 30.0
"""The server deletes a value after this time."""

MAX_NAMES: Final = 256
"""Names that are asked for in one call, and values that it keeps; more are not asked for."""

MAX_BYTES: Final = 4_096
"""Larger values are not kept. A stock mostly has less than 100 bytes."""

MAX_DIGITS: Final = 19
"""Of a position, which has 64 bits."""

# KEYS: names of values to keep, then of values to find. ARGV: the time to live in milliseconds,
# then the values to keep, each as position:bytes.
_EXCHANGE: Final = """
local kept = #ARGV - 1
for i = 1, kept do
  local old, new = redis.call('GET', KEYS[i]), ARGV[i + 1]
  local was, bytes = string.match(old or '', '^(%d+):(.*)$')
  local is, others = string.match(new, '^(%d+):(.*)$')
  if not was or (tonumber(was) < tonumber(is) and bytes ~= others) then
    redis.call('SET', KEYS[i], new, 'PX', ARGV[1])
  end
end
local found = {}
for i = kept + 1, #KEYS do found[i - kept] = redis.call('GET', KEYS[i]) end
return found
"""


class ValkeyCache:
    """A `SharedCache`, with one call at a time: what is asked for meanwhile makes the next call.

    A value with the same bytes is not replaced by one of a later position: servers that have not
    heard of that position yet can use the earlier one.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._shown = parts.hostname  # without a password
        is_encrypted = parts.scheme in {"valkeys", "rediss"}
        self._client = Valkey.from_url(
            url,
            socket_timeout=CALL_SECONDS,
            socket_connect_timeout=CALL_SECONDS,
            retry=Retry(NoBackoff(), 0),
            **({"ssl_check_hostname": True} if is_encrypted else {}),
        )
        self._exchange = self._client.register_script(_EXCHANGE)
        self._asked: dict[bytes, asyncio.Future[bytes | None]] = {}
        self._kept: dict[bytes, Kept] = {}
        self._turns: asyncio.Task[None] | None = None
        self._works = True
        self._not_before = 0.0

    async def start(self) -> None:
        """Connect, unless that fails, which is logged."""
        await self._call({}, {})

    async def find(self, name: bytes) -> Kept | None:
        loop = asyncio.get_running_loop()
        answer = self._asked.get(name)
        if answer is None or not self._works:
            if not self._may_ask(len(self._asked)):
                raise Unanswered
            answer = self._asked[name] = loop.create_future()
            self._take_turns()
        done, _ = await asyncio.wait([answer], timeout=ANSWER_SECONDS)
        if not done:
            self._note(TimeoutError(f"no answer for {ANSWER_SECONDS:g} s"))
        if not done or answer.cancelled():
            raise Unanswered
        return _read(answer.result())

    def keep(self, name: bytes, kept: Kept) -> None:
        if len(kept.value) > MAX_BYTES or not self._may_ask(len(self._kept)):
            return
        waiting = self._kept.get(name)
        if waiting is None or waiting.position < kept.position:
            self._kept[name] = kept
            self._take_turns()

    def _may_ask(self, waiting: int) -> bool:
        """Return whether the server works and is not too busy, or this caller is to try it."""
        if self._works:
            return waiting < MAX_NAMES
        return self._turns is None and asyncio.get_running_loop().time() >= self._not_before

    def _take_turns(self) -> None:
        if self._turns is None:
            self._turns = asyncio.get_running_loop().create_task(self._call_in_turns())

    async def _call_in_turns(self) -> None:
        try:
            while self._asked or self._kept:
                asked, self._asked = self._asked, {}
                kept, self._kept = self._kept, {}
                await self._call(asked, kept)
        finally:
            self._turns = None

    async def _call(
        self, asked: Mapping[bytes, "asyncio.Future[bytes | None]"], kept: Mapping[bytes, Kept]
    ) -> None:
        """Keep and find with one call; the answers are cancelled if it fails."""
        values = [b"%d:%b" % one for one in kept.values()]
        try:
            found: Sequence[Any] = await self._exchange(
                keys=[*kept, *asked], args=[round(TTL_SECONDS * 1_000), *values]
            )
            for answer, value in zip(asked.values(), found, strict=True):
                answer.set_result(value)
        except Exception as error:  # noqa: BLE001  no error of a cache may fail a call
            self._note(error)
        else:
            self._note(None)
        finally:
            for answer in asked.values():
                answer.cancel()

    def _note(self, error: Exception | None) -> None:
        """Note whether the server has answered, and log when that changes."""
        now = asyncio.get_running_loop().time()
        if error is not None:
            self._not_before = now + REST_SECONDS
            if self._works:
                _log.warning("the shared cache %s is not asked for a while: %r", self._shown, error)
            self._works = False
        elif not self._works and now >= self._not_before:
            self._works = True
            _log.info("the shared cache %s answers again", self._shown)

    async def close(self) -> None:
        if (turns := self._turns) is not None:
            turns.cancel()
            await asyncio.wait([turns])
        with suppress(ValkeyError, OSError):
            await self._client.aclose()


def _read(value: bytes | None) -> Kept | None:
    """Return a value with its position; None for one that is not of this program."""
    position, _, rest = (value or b"").partition(b":")
    is_one = position.isdigit() and len(position) <= MAX_DIGITS
    return Kept(int(position), rest) if is_one else None
