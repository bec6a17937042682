"""Refuses requests that other sites make in a person's browser, and what a page must not do."""

import re
from collections.abc import Iterable
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
        " img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}

_HOST: Final = re.compile(
    r"(?:(?P<name>[A-Za-z0-9.-]+)|\[(?P<ip>[0-9A-Fa-f:.]+)\])(?::[0-9]{1,5})?", re.ASCII
)

MAX_BODY: Final = 16_384
"""The most bytes of a request."""


class Guard:
    """The outermost part of the console, so that its headers are on every answer."""

    def __init__(self, app: ASGIApp, hosts: Iterable[str]) -> None:
        self._app = app
        self._hosts = frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        headers = Headers(scope=scope)
        if why := self._foreign(scope, headers):
            status, text = why
            answer = PlainTextResponse(text, status)
            await answer(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)

    def _foreign(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        """Return the status and the text of a refusal; None for a request of our own page."""
        host = headers.get("host", "")
        if len(headers.getlist("host")) != 1 or _name_in(host) not in self._hosts:
            return 400, "This host is not the console's; see --name."
        site = headers.get("sec-fetch-site")
        if scope["method"] in {"GET", "HEAD"}:
            is_page = scope["path"] == "/"
            if site in {None, "same-origin", "none"} or is_page:
                return None
            return 403, "Only the console's own page may ask for this."
        if scope["method"] != "POST":
            return 405, "The console takes GET and POST."
        if headers.getlist("origin") != [f"{scope['scheme']}://{host}"] or site != "same-origin":
            return 403, "Only the console's own page may send this."
        if headers.get("content-type") != "application/json":
            return 415, "Send it as application/json."
        length = headers.get("content-length", "")
        if not (length.isascii() and length.isdigit()):
            return 411, "Send it with its length."
        if len(length) > len(str(MAX_BODY)) or int(length) > MAX_BODY:
            return 413, f"Send at most {MAX_BODY:,} bytes."
        return None


def _name_in(host: str) -> str:
    """Return the name in a `Host` header, without its port; an empty one where it is malformed."""
    found = _HOST.fullmatch(host)
    return (found["name"] or found["ip"]).lower() if found else ""
