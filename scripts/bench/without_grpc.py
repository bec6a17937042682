"""The service in one process, called through a stand-in for the gRPC server.

It runs in the interpreter of the measured checkout, so it imports nothing from `scripts`, and
from the service only names that every version has. Each line of standard input names a method
and files of requests and answers; the calls are made, and a line reports their times.
"""

import asyncio
import gc
import importlib
import json
import os
import struct
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

import grpc
import grpc.aio

_LENGTH: Final = struct.Struct(">I")


class _Details(NamedTuple):
    """The details of a call, as gRPC passes them to interceptors."""

    method: str
    invocation_metadata: Sequence[tuple[str, str]] = ()


class _Context:
    """The context of a call without deadline, metadata or certificate."""

    def time_remaining(self) -> None:
        return None

    def peer(self) -> str:
        return "ipv4:127.0.0.1:1"

    def code(self) -> None:
        return None

    def invocation_metadata(self) -> Sequence[tuple[str, str]]:
        return ()

    def auth_context(self) -> Mapping[str, Sequence[bytes]]:
        return {}

    async def abort(self, code: grpc.StatusCode, details: str = "", *_: object) -> None:
        raise RuntimeError(f"{code}: {details}")


class _Server:
    """A registry of methods with the interface of a gRPC server, without a socket."""

    def __init__(
        self, interceptors: Sequence[grpc.aio.ServerInterceptor] = (), **_: object
    ) -> None:
        self._interceptors = interceptors
        self._handlers: list[Any] = []

    def add_generic_rpc_handlers(self, handlers: Sequence[Any]) -> None:
        self._handlers += handlers

    def add_registered_method_handlers(self, *_: object) -> None:
        pass

    def add_insecure_port(self, _address: str) -> int:
        return 1

    async def start(self) -> None:
        pass

    async def stop(self, _grace: float | None) -> None:
        pass

    async def method(self, name: str) -> Callable[[bytes], Awaitable[bytes]]:
        """Return a function that calls the method through all interceptors."""
        find: Callable[[Any], Awaitable[Any]] = self._find
        for interceptor in reversed(self._interceptors):
            find = _around(interceptor, find)
        handler = await find(_Details(name))
        behaviour, decode = handler.unary_unary, handler.request_deserializer
        encode: Callable[[Any], bytes] = handler.response_serializer or bytes
        context = _Context()

        async def call(request: bytes) -> bytes:
            return encode(await behaviour(decode(request) if decode else request, context))

        return call

    async def _find(self, details: Any) -> Any:  # noqa: ANN401  as gRPC has it
        return next(
            found for handlers in self._handlers if (found := handlers.service(details)) is not None
        )


def _around(interceptor: Any, find: Any) -> Callable[[Any], Awaitable[Any]]:  # noqa: ANN401
    return lambda details: interceptor.intercept_service(find, details)


async def _done(task: Mapping[str, Any], server: _Server) -> Mapping[str, float]:
    """Make the calls of *task* with its number of callers; return their seconds."""
    requests = list(unframed(Path(task["requests"]).read_bytes()))  # noqa: ASYNC240  nothing runs
    call = await server.method(task["method"])
    answers = [b""] * len(requests)
    waiting = enumerate(requests)

    async def caller() -> None:
        for place, request in waiting:
            answers[place] = await call(request)

    gc.collect()
    process, thread, wall = time.process_time(), time.thread_time(), time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(task["callers"])))
    seconds = {
        "process": time.process_time() - process,
        "thread": time.thread_time() - thread,
        "wall": time.perf_counter() - wall,
    }
    Path(task["answers"]).write_bytes(framed(answers))  # noqa: ASYNC240
    return seconds


def framed(messages: Sequence[bytes]) -> bytes:
    """Return *messages* joined, each after its length."""
    return b"".join(_LENGTH.pack(len(message)) + message for message in messages)


def unframed(data: bytes) -> Iterator[bytes]:
    """Yield the messages that `framed` joined."""
    begin = 0
    while begin < len(data):
        (length,) = _LENGTH.unpack_from(data, begin)
        begin += _LENGTH.size
        yield data[begin : begin + length]
        begin += length


def _found(name: str, *modules: str) -> Any:  # noqa: ANN401  whatever it is
    """Return *name* from the first of *modules* that has it; versions differ in its place."""
    for module in modules:
        with suppress(ImportError, AttributeError):
            return getattr(importlib.import_module(f"inventory_grpc.{module}"), name)
    raise ImportError(f"none of {modules} has {name}")


def _set_up_logging() -> None:
    formats = _found("LogFormat", "server.logs", "logs")
    _found("set_up_logging", "server.logs", "logs")(formats("json"))


async def _serve(database: Path, said: int) -> None:
    """Serve *database* until standard input ends; write results to the descriptor *said*."""
    servers: list[_Server] = []

    def stand_in(**options: Any) -> _Server:  # noqa: ANN401  those of gRPC
        servers.append(_Server(**options))
        return servers[-1]

    grpc.aio.server = stand_in  # type: ignore[assignment]
    serving = _found("serving", "server.serve", "bootstrap")
    settings = _found("Settings", "settings")
    async with serving(settings(listen="127.0.0.1:0", database=database)):
        while line := await asyncio.to_thread(sys.stdin.readline):
            seconds = await _done(json.loads(line), servers[0])
            os.write(said, json.dumps(seconds).encode() + b"\n")


if __name__ == "__main__":
    _said = os.dup(1)
    os.dup2(2, 1)  # printed text goes to the log
    _set_up_logging()
    # the settings of a serving process
    sys.setswitchinterval(_found("SWITCH_SECONDS", "server.lifetime", "lifetime"))
    gc.set_threshold(*_found("GC_THRESHOLDS", "server.lifetime", "lifetime"))
    asyncio.run(_serve(Path(sys.argv[1]), _said))
