"""Authentication and roles, both checked before anything of a request is read.

A bearer token names the caller, or else the certificate of the connection: its subject
alternative names, never its common name. Other metadata about the caller is not looked at.
"""

import asyncio
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple, cast

from inventory_grpc.application.access import Caller, Callers, Role
from inventory_grpc.application.failures import PermissionDenied, Unauthenticated
from inventory_grpc.presentation.call import Call
from inventory_grpc.presentation.grpc_types import Behaviour, Context
from inventory_grpc.presentation.interceptors.around import Around

HEADER: Final = "authorization"

_BEARER: Final = re.compile(r"Bearer +([A-Za-z0-9._~+/=-]{16,512})", re.IGNORECASE)
_NAMES: Final = "x509_subject_alternative_name"


class Shown(NamedTuple):
    """What a caller shows to say who they are."""

    token: str | None
    names: Sequence[str]


class _Stream(NamedTuple):
    """A stream that goes on while what was shown for it is good."""

    shown: Shown
    caller: Caller
    needed: Role


class Authenticate(Around):
    """Lets nobody pass who is not known, or whose role is not enough.

    Without *callers* it asks nobody: then every caller is `ANYBODY`. So is every caller of a
    method in *open_methods*.
    """

    def __init__(
        self,
        callers: Callers | None,
        permissions: Mapping[str, Role],
        open_methods: Collection[str] = (),
    ) -> None:
        super().__init__()
        self._callers = callers
        self._permissions = permissions
        self._open_methods = open_methods
        self._streams: dict[asyncio.Task[Any], _Stream] = {}
        self._ended: set[asyncio.Task[Any]] = set()

    def around(self, method: str, inner: Behaviour, *, streams: bool) -> Behaviour:
        callers, needed = self._callers, self._permissions.get(method)
        if callers is None or method in self._open_methods:
            return inner

        async def known(request: object, call: Call) -> object:
            shown = _shown(call.context)
            caller = _identified(callers, shown)
            call.note(actor=caller.actor)
            if needed is None or caller.role < needed:
                raise PermissionDenied(method=method)
            call.caller = caller
            if not streams:
                return await inner(request, call)
            with self._while_it_is_good(_Stream(shown, caller, needed)):
                return await inner(request, call)

        return known

    def end_revoked(self) -> None:
        """End the streams of callers who are no longer, or no longer may what they might."""
        for task, stream in self._streams.items():
            if task not in self._ended and not self._is_good(stream):
                self._ended.add(task)
                task.cancel()

    def _is_good(self, stream: _Stream) -> bool:
        assert self._callers is not None
        try:
            return _identified(self._callers, stream.shown) == stream.caller
        except Unauthenticated:
            return False

    @contextmanager
    def _while_it_is_good(self, stream: _Stream) -> Iterator[None]:
        task = asyncio.current_task()
        assert task is not None
        self._streams[task] = stream
        try:
            yield
        except asyncio.CancelledError:
            if task not in self._ended or task.uncancel() > 0:
                raise
            raise Unauthenticated from None
        finally:
            del self._streams[task]
            self._ended.discard(task)


def _identified(callers: Callers, shown: Shown) -> Caller:
    """Return who shows this. A token that is wrong is not made good by a certificate."""
    if shown.token is not None:
        caller = callers.by_token(shown.token)
    else:
        caller = callers.by_certificate(shown.names)
    if caller is None:
        raise Unauthenticated
    return caller


def _shown(context: Context) -> Shown:
    """Return what the caller of *context* shows.

    Raises:
        Unauthenticated: it is not what anybody would show.
    """
    headers = [value for key, value in context.invocation_metadata() or () if key == HEADER]
    if not headers:
        names = cast("Mapping[str, Sequence[bytes]]", context.auth_context()).get(_NAMES, ())
        return Shown(None, [name.decode("utf-8", "replace") for name in names])
    bearer = _BEARER.fullmatch(headers[0]) if isinstance(headers[0], str) else None
    if len(headers) > 1 or bearer is None:
        raise Unauthenticated
    return Shown(bearer[1], ())
