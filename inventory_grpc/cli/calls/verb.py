"""One command of the command line that calls a server."""

from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from typing import Any, NamedTuple

from inventory_grpc.cli.calls.beside import Columns
from inventory_grpc.client import SyncInventoryClient as Client


class Verb(NamedTuple):
    command: str
    """The noun and the name, such as `stock add`."""
    says: str
    call: Callable[..., Any]
    shows: str
    """The field of the response with the row, or the rows, to show; empty for the response."""
    example: str = ""
    """The arguments in an example."""
    places: Sequence[str] = ()
    """The keywords that are given by place."""
    fixed: Mapping[str, object] = {}
    """The keywords that it sets."""
    required: Sequence[str] = ()
    """The keywords that the server requires, though the method has a default."""
    beside: Callable[[Client, Any], Columns] | None = None
    """Asks for more than the row of the response, to show beside it."""

    @property
    def noun(self) -> str:
        return self.command.partition(" ")[0]

    @property
    def changes_all(self) -> bool:
        """Whether it changes something without an argument that says which."""
        return "request_id" in signature(self.call).parameters and not self.places

    @property
    def name(self) -> str:
        return self.command.rpartition(" ")[2]
