"""An inventory service for retailers with many stores, over gRPC.

The package also exports the names of the client: `from inventory_grpc import InventoryClient`.
They are imported on first use, because the server and its command line do not need them.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inventory_grpc.client import *  # noqa: F403  its `__all__` is the list
else:  # hidden from type checkers, so that they report unknown names

    def __getattr__(name: str) -> object:
        # Python asks for submodules too, before it imports them; their names are lower case.
        # `from inventory_grpc import *` asks for `__all__`.
        if name[:1].isupper() or name == "__all__":
            client = import_module("inventory_grpc.client")
            if name in {"__all__", *client.__all__}:
                return getattr(client, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *import_module("inventory_grpc.client").__all__})
