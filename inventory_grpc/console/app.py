"""The routes of the console."""

import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from importlib.resources import files
from typing import Any, Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from inventory_grpc.client import InventoryError, Unauthenticated
from inventory_grpc.console.guard import Guard
from inventory_grpc.console.options import Options
from inventory_grpc.console.reads import QUERIES
from inventory_grpc.console.streams import Streams
from inventory_grpc.console.viewers import (
    COOKIE,
    SESSION_SECONDS,
    OpenServer,
    SignInFirst,
    Viewers,
)
from inventory_grpc.console.wire import dumps, refusal, status_of
from inventory_grpc.console.writes import CORRECTIONS, BadForm

_log = logging.getLogger(__name__)

_TYPES: Final = {
    "css": "text/css",
    "html": "text/html",
    "js": "text/javascript",
    "svg": "image/svg+xml",
}
_PAGE: Final = "index.html"
_OPEN_SERVER: Final = (
    "The server answers anybody, so a sign-in would keep nobody out."
    " Give it callers, or let the console listen on 127.0.0.1."
)

Handler = Callable[[Request], Awaitable[Response]]


class Console:
    """The handlers, which share the viewers and the streams."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self.viewers = Viewers(options)
        self.streams = Streams(self.viewers)

    def app(self) -> ASGIApp:
        """Return the application, which closes its clients when it stops."""

        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            yield
            await self.viewers.close()

        routes = [
            *_static(),
            Route("/events", self.streams.open),
            Route("/api/session", self._session),
            *(
                Route(f"/api/{name}", self._answering(self._query(name)), methods=["GET"])
                for name in QUERIES
            ),
        ]
        if self._options.signs_in:
            routes += [
                Route("/api/sign-in", self._answering(self._sign_in), methods=["POST"]),
                Route("/api/sign-out", self._answering(self._sign_out), methods=["POST"]),
            ]
        if self._options.write:
            routes += [
                Route(f"/api/{name}", self._answering(self._correct(name)), methods=["POST"])
                for name in CORRECTIONS
            ]
        return Starlette(
            routes=routes,
            middleware=[Middleware(Guard, hosts=self._options.hosts)],
            lifespan=lifespan,
        )

    async def _session(self, request: Request) -> Response:
        try:
            await self.viewers.of(request)
            may_look = True
        except SignInFirst:
            may_look = False
        return _json(
            {
                "may_look": may_look,
                "signs_in": self._options.signs_in,
                "write": self._options.write,
                "server": self._options.server,
                "version": version("inventory-grpc"),
            }
        )

    def _query(self, name: str) -> Handler:
        async def query(request: Request) -> Response:
            viewer = await self.viewers.of(request)
            return _json(await QUERIES[name].answer(viewer.client, request.query_params))

        return query

    def _correct(self, name: str) -> Handler:
        async def correct(request: Request) -> Response:
            viewer = await self.viewers.of(request)
            form = await _form_of(request)
            return _json(await CORRECTIONS[name].answer(viewer.client, form))

        return correct

    async def _sign_in(self, request: Request) -> Response:
        form = await _form_of(request)
        if not (isinstance(form, dict) and isinstance(form.get("token"), str)):
            raise BadForm("token must be given")
        answer = _json({})
        answer.set_cookie(
            COOKIE,
            await self.viewers.sign_in(form["token"]),
            max_age=SESSION_SECONDS,
            secure=True,
            httponly=True,
            samesite="strict",
        )
        return answer

    async def _sign_out(self, request: Request) -> Response:
        await self.viewers.sign_out(request)
        answer = _json({})
        answer.delete_cookie(COOKIE, secure=True, httponly=True, samesite="strict")
        return answer

    def _answering(self, handler: Handler) -> Handler:
        """Return *handler* with an answer for each of its errors."""

        async def answering(request: Request) -> Response:
            try:
                return await handler(request)
            except SignInFirst:
                return _error(401, "SIGN_IN", "Sign in first.")
            except OpenServer:
                return _error(403, "OPEN_SERVER", _OPEN_SERVER)
            except InventoryError as error:
                if isinstance(error, Unauthenticated):
                    await self.viewers.sign_out(request)
                return _json(refusal(error), status_of(error))
            except ValueError as error:
                return _error(400, "INVALID_VALUE", str(error))

        return answering


async def _form_of(request: Request) -> Any:  # noqa: ANN401  any JSON
    """Return the body, which the guard has bounded."""
    try:
        return json.loads(await request.body())
    except (ValueError, RecursionError):
        raise BadForm("the body is not JSON") from None


def _json(value: object, status: int = 200) -> Response:
    return Response(dumps(value), status, media_type="application/json")


def _error(status: int, reason: str, message: str) -> Response:
    return _json({"reason": reason, "message": message, "in_doubt": False}, status)


def _static() -> list[Route]:
    """Return a route for each file of the pages. They are read once, and there are no others."""
    routes = []
    for file in files("inventory_grpc.console").joinpath("static").iterdir():
        path = "/" if file.name == _PAGE else f"/static/{file.name}"
        routes.append(Route(path, _sent(file.read_bytes(), _TYPES[file.name.rpartition(".")[2]])))
    return routes


def _sent(content: bytes, kind: str) -> Handler:
    async def send(_: Request) -> Response:
        return Response(content, media_type=kind)

    return send
