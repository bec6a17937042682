"""A read model: its tables, how events move them, and how they are read."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import apsw

from inventory_grpc.application.access import Scope
from inventory_grpc.application.ports import Query, Reading
from inventory_grpc.infrastructure.log.chain import Recorded

StateOf = Callable[[apsw.Connection, Any], Reading[Any]]
"""Reads the newest state of a key, with the position that it reflects."""

Find = Callable[[apsw.Connection, Sequence[Any]], Iterator[tuple[Any, int, Any]]]
"""Yields those of some keys that have a history, each with its stream and its state."""


def _nothing(_connection: apsw.Connection, _recorded: Sequence[Recorded]) -> None:
    """Move nothing: no event says what is in the tables."""


@dataclass(frozen=True)
class ReadModel:
    """Tables that are made from events."""

    ddl: str
    project: Callable[[apsw.Connection, Sequence[Recorded]], None] = _nothing
    """Moves the tables by the events of some commands, all of each."""
    find: Mapping[type[Any], Find] = field(default_factory=dict)
    """How the writer finds the states of streams, by the class of their keys."""
    states: Mapping[type[Any], StateOf] = field(default_factory=dict)
    answers: Mapping[type[Query[Any]], Callable[[apsw.Connection, Any], Any]] = field(
        default_factory=dict
    )
    check: Callable[[apsw.Connection], Iterator[str]] | None = None
    """Yields what is wrong with the tables, where they are not compared with those of a replay."""

    @property
    def tables(self) -> Sequence[str]:
        """The names of the tables."""
        return re.findall(r"CREATE TABLE (\w+)", self.ddl)


def in_scope(scope: Scope) -> tuple[str, list[str]]:
    """Return the condition on `store_id` that keeps to *scope*, and what is bound in it."""
    if scope.stores is None:
        return "1", []
    return f"store_id IN ({', '.join('?' * len(scope.stores))})", sorted(scope.stores)
