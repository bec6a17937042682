"""What does gRPC hand to a method, and take from it?"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import grpc
import grpc.aio

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
"""A method, and how its messages become bytes."""

Behaviour = Callable[[Any, Context], Awaitable[Any]]
"""A method. One that streams sends its responses by itself, and returns nothing."""

MaybeHandler: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"
"""What there is under a name; nothing if there is no such method."""
