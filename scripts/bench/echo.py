"""The ceilings: a gRPC server that does nothing, as fast as any in Python can be.

`Echo` answers each request with its own bytes; `Pour` streams a number of messages of a given
size. Nothing is decoded, intercepted, stored or logged.
"""

import asyncio
import struct
import sys
from collections.abc import AsyncIterator
from typing import Any, Final

import grpc
import grpc.aio

ECHO: Final = "/bench.Ceiling/Echo"
POUR: Final = "/bench.Ceiling/Pour"

_COUNT_AND_SIZE: Final = struct.Struct(">II")


def pour_request(count: int, size: int) -> bytes:
    """Return the request for *count* messages of *size* bytes."""
    return _COUNT_AND_SIZE.pack(count, size)


async def _echo(request: bytes, _context: object) -> bytes:
    return request


async def _pour(request: bytes, _context: object) -> AsyncIterator[bytes]:
    count, size = _COUNT_AND_SIZE.unpack(request)
    message = bytes(size)
    for _ in range(count):
        yield message


async def serve(port: int) -> None:
    """Serve on a local port and print its number; 0 takes a free one."""
    server = grpc.aio.server()
    handlers: dict[str, Any] = {
        "Echo": grpc.unary_unary_rpc_method_handler(_echo),
        "Pour": grpc.unary_stream_rpc_method_handler(_pour),
    }
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("bench.Ceiling", handlers)]
    )
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    print(f"serving on 127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
