"""Authentication and roles, both checked before a request is decoded.

A bearer token identifies the caller; without one, the client certificate does, by its subject
alternative names and never by its common name. Other metadata about the caller is ignored.
"""

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple, cast

from inventory_grpc.application.access import Caller, Callers, Role, token_in
from inventory_grpc.application.failures import PermissionDenied, Unauthenticated
from inventory_grpc.presentation.call import Call
from inventory_grpc.presentation.grpc_types import Behaviour, Context
from inventory_grpc.presentation.interceptors.around import Around

HEADER: Final = "authorization"

MAX_ACTORS: Final = 100
"""The most callers whose calls are counted one by one."""

_NAMES: Final = "x509_subject_alternative_name"


class Credentials(NamedTuple):
    """The credentials of a call: a token, or the names of a certificate."""

    token: str | None
    names: Sequence[str]


class _Stream(NamedTuple):
    """A running stream, which ends when its credentials become invalid."""

    credentials: Credentials
    caller: Caller


class Authenticate(Around):
    """Refuses unknown callers, and callers with an insufficient role.

    Without *callers*, and for a method in *open_methods*, a call is not authenticated and its
    caller is `ANYBODY`.
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
        self.calls: dict[str, int] = {}
        """Calls by caller; all beyond `MAX_ACTORS` together under an empty name."""
        self._streams: dict[asyncio.Task[Any], _Stream] = {}
        self._ended: set[asyncio.Task[Any]] = set()

    def around(self, method: str, inner: Behaviour, *, streams: bool) -> Behaviour:
        callers, needed = self._callers, self._permissions.get(method)
        if callers is None or method in self._open_methods:
            return inner

        async def authenticated(request: object, call: Call) -> object:
            credentials = _credentials_of(call.context)
            caller = _caller_of(callers, credentials)
            call.note(actor=caller.actor)
            self._count(caller.actor)
            if needed is None or caller.role < needed:
                raise PermissionDenied(method=method)
            call.caller = caller
            if not streams:
                return await inner(request, call)
            with self._while_valid(_Stream(credentials, caller)):
                return await inner(request, call)

        return authenticated

    def is_trusted(self, call: Call) -> bool:
        """Return whether the caller is known, or this server does not authenticate callers."""
        if self._callers is None:
            return True
        try:
            _caller_of(self._callers, _credentials_of(call.context))
        except Unauthenticated:
            return False
        return True

    def _count(self, actor: str) -> None:
        if actor not in self.calls and len(self.calls) >= MAX_ACTORS:
            actor = ""
        self.calls[actor] = self.calls.get(actor, 0) + 1

    def end_revoked(self) -> None:
        """End the streams of callers who were removed, or whose rights have changed."""
        for task, stream in self._streams.items():
            if task not in self._ended and not self._is_valid(stream):
                self._ended.add(task)
                task.cancel()

    def _is_valid(self, stream: _Stream) -> bool:
        assert self._callers is not None
        try:
            return _caller_of(self._callers, stream.credentials) == stream.caller
        except Unauthenticated:
            return False

    @contextmanager
    def _while_valid(self, stream: _Stream) -> Iterator[None]:
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


def _caller_of(callers: Callers, credentials: Credentials) -> Caller:
    """Return the caller; with a wrong token, the certificate is not tried."""
    if credentials.token is not None:
        caller = callers.by_token(credentials.token)
    else:
        caller = callers.by_certificate(credentials.names)
    if caller is None:
        raise Unauthenticated
    return caller


def _credentials_of(context: Context) -> Credentials:
    """Return the credentials of a call.

    Raises:
        Unauthenticated: they are malformed.
    """
    headers = [value for key, value in context.invocation_metadata() or () if key == HEADER]
    if not headers:
        names = cast("Mapping[str, Sequence[bytes]]", context.auth_context()).get(_NAMES, ())
        return Credentials(None, [name.decode("utf-8", "replace") for name in names])
    token = token_in(headers[0])
    if len(headers) > 1 or token is None:
        raise Unauthenticated
    return Credentials(token, ())
