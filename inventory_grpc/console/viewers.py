"""The people who look: one caller for all of this machine, or each with a token of their own."""

import asyncio
import hashlib
import logging
import secrets
import time
from collections.abc import Callable
from typing import Final

from starlette.requests import HTTPConnection

from inventory_grpc.client import Unauthenticated
from inventory_grpc.console.feed import Feed
from inventory_grpc.console.options import Options

_log = logging.getLogger(__name__)

COOKIE: Final = "__Host-inventory"
"""Browsers take a cookie of such a name over HTTPS only, from this host, for this host alone."""

SESSION_SECONDS: Final = 8 * 3_600
MAX_SESSIONS: Final = 100
"""The most sessions; one more ends the oldest."""

MAX_SIGNING_IN: Final = 10
"""The most sign-ins at a time; more wait."""


class SignInFirst(Exception):
    """Nobody has signed in, or the session is over."""


class OpenServer(Exception):
    """The server answers anybody, so that a sign-in would keep nobody out."""


class Viewer:
    """A caller of the server, whose calls and events all of its pages share."""

    def __init__(self, options: Options, token: str | None) -> None:
        self.client = options.client(token)
        self.feed = Feed(self.client)
        self.signed_in_at = time.monotonic()

    async def close(self) -> None:
        self.feed.stop()
        await self.client.close()


class Viewers:
    """Sessions are kept in memory, by the hash of their cookie, and end with the process."""

    def __init__(self, options: Options, clock: Callable[[], float] = time.monotonic) -> None:
        self._options = options
        self._clock = clock
        self._of_this_machine = None if options.signs_in else Viewer(options, options.token)
        self._sessions: dict[str, Viewer] = {}
        self._signing_in = asyncio.Semaphore(MAX_SIGNING_IN)

    async def of(self, request: HTTPConnection) -> Viewer:
        """Return who has sent *request*.

        Raises:
            SignInFirst: there is no session with its cookie.
        """
        if self._of_this_machine:
            return self._of_this_machine
        await self._end_overdue()
        found = self._sessions.get(_hash(request.cookies.get(COOKIE, "")))
        if found is None:
            raise SignInFirst
        return found

    def is_here(self, viewer: Viewer) -> bool:
        """Return whether *viewer* may still look."""
        if viewer is self._of_this_machine:
            return True
        return viewer in self._sessions.values() and not self._is_overdue(viewer)

    async def sign_in(self, token: str) -> str:
        """Begin a session of the caller with *token*; return the value of its cookie.

        Raises:
            OpenServer: the server does not ask for a token.
            ValueError: it is no token.
            InventoryError: the server does not know it, or cannot be asked.
        """
        async with self._signing_in:
            await self._check_that_it_asks()
            viewer = Viewer(self._options, token)
            viewer.signed_in_at = self._clock()
            try:
                await viewer.client.list_stock(page_size=1)
            except BaseException:
                await viewer.close()
                raise
        await self._end_overdue()
        while len(self._sessions) >= MAX_SESSIONS:
            await self._end(next(iter(self._sessions)))
        cookie = secrets.token_urlsafe(32)
        self._sessions[_hash(cookie)] = viewer
        return cookie

    async def sign_out(self, request: HTTPConnection) -> None:
        await self._end(_hash(request.cookies.get(COOKIE, "")))

    async def close(self) -> None:
        for key in [*self._sessions]:
            await self._end(key)
        if self._of_this_machine:
            await self._of_this_machine.close()

    async def _check_that_it_asks(self) -> None:
        async with self._options.client(None) as nobody:
            try:
                await nobody.list_stock(page_size=1)
            except Unauthenticated:
                return
        raise OpenServer

    def _is_overdue(self, viewer: Viewer) -> bool:
        return self._clock() - viewer.signed_in_at >= SESSION_SECONDS

    async def _end_overdue(self) -> None:
        for key in [key for key, viewer in self._sessions.items() if self._is_overdue(viewer)]:
            await self._end(key)

    async def _end(self, key: str) -> None:
        if viewer := self._sessions.pop(key, None):
            await viewer.close()


def _hash(cookie: str) -> str:
    return hashlib.sha256(cookie.encode()).hexdigest()
