"""Type aliases for the arguments and results of gRPC methods."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import grpc
import grpc.aio

if TYPE_CHECKING:
    from inventory_grpc.presentation.call import Call

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
"""A method, and the serializers of its messages."""

Behaviour: TypeAlias = "Callable[[Any, Call], Awaitable[Any]]"
"""A method of a request and its call; a streaming one sends its responses and returns None."""

MaybeHandler: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"
"""The handler of a method; None if there is no such method."""
