"""Every rpc of the server, from the descriptors, so that a new one is included."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import grpc.aio
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from tests.support.caller import with_its_status
from tests.support.keyring import Metadata
from tests.support.samples import METHODS


class Rpc(NamedTuple):
    """One of them, as bytes in and out."""

    method: str
    input: Any
    """The class of its request."""
    takes_stream: bool
    sends_stream: bool

    @property
    def name(self) -> str:
        return self.method.rpartition("/")[2]

    async def answer(
        self,
        channel: grpc.aio.Channel,
        request: bytes,
        metadata: Metadata = (),
        seconds: float = 20.0,
    ) -> bytes:
        """Return the first answer, or raise the error; end the call."""
        make: Any = channel
        limits = {"metadata": metadata, "timeout": seconds}
        if self.takes_stream:
            method = make.stream_stream(self.method)
            return await with_its_status(lambda: _first(method([request], **limits)))
        if self.sends_stream:
            return await _first(make.unary_stream(self.method)(request, **limits))
        unary: bytes = await make.unary_unary(self.method)(request, **limits)
        return unary


async def _first(call: Any) -> bytes:  # noqa: ANN401  a call of either kind
    first: bytes = await call.read()
    call.cancel()
    return first


def _rpc(method: Any, service: str) -> Rpc:  # noqa: ANN401  two kinds of descriptors
    return Rpc(
        f"/{service}/{method.name}",
        GetMessageClass(method.input_type),
        bool(method.client_streaming),
        bool(method.server_streaming),
    )


def _of(service: Any, name: str = "") -> Iterator[Rpc]:  # noqa: ANN401  as above
    return (_rpc(method, name or service.full_name) for method in service.methods)


OURS: Final = [_rpc(method, method.containing_service.full_name) for method in METHODS.values()]
"""Methods of the inventory's own services."""

BULK: Final = [rpc for rpc in OURS if "commands" in rpc.input.DESCRIPTOR.fields_by_name]
"""Bulk methods, whose answer reports the violations of each command."""

_REFLECTION: Final = reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"]
BESIDE: Final = [
    *_of(health_pb2.DESCRIPTOR.services_by_name["Health"]),
    *_of(_REFLECTION),
    *_of(_REFLECTION, "grpc.reflection.v1.ServerReflection"),
]
"""Health and reflection."""
