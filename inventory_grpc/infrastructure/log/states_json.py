"""Encodes folded states as JSON, for snapshots and for stored answers without events.

A state is an array of its kind and an object of its fields, so a new noun needs no change here.
Tuples are arrays, and mappings are arrays of pairs. An empty tuple or None at the end of a
tuple is left out, so stocks without particulars have the text that they always had.
"""

import json
from collections.abc import Callable, Mapping
from enum import Enum
from functools import cache
from types import NoneType
from typing import Any, Final, get_args, get_origin, get_type_hints

from inventory_grpc.application.outcomes import Outcome, PartOutcome, State
from inventory_grpc.domain.registry import STREAMS, SUBJECTS
from inventory_grpc.infrastructure.log.ids import KIND_OF_KEY, kind_and_name

_CLASS_OF_KIND: Final[Mapping[int, Any]] = {
    KIND_OF_KEY[key]: state for key, state in (*STREAMS.items(), *SUBJECTS.items())
}
_KEY_OF_KIND: Final = {kind: key for key, kind in KIND_OF_KEY.items()}
_KIND_OF_CLASS: Final = {state: kind for kind, state in _CLASS_OF_KIND.items()}


def dump_state(state: State) -> str:
    """Return *state* as text; equal states have equal texts."""
    return _text(_dumped(state))


def load_state(text: str) -> State:
    return _loaded(json.loads(text))


def dump_outcome(outcome: Outcome) -> str:
    return _text(_dumped_outcome(outcome))


def load_outcome(text: str) -> Outcome:
    return _loaded_outcome(json.loads(text))


def _dumped_outcome(outcome: Outcome) -> dict[str, Any]:
    parts = [_dumped_part(part) for part in outcome.parts]
    return {
        "position": outcome.position,
        "streams": [_dumped(state) for state in outcome.streams],
        "subjects": [_dumped(state) for state in outcome.subjects],
        **({"parts": parts} if parts else {}),
    }


def _loaded_outcome(content: dict[str, Any]) -> Outcome:
    return Outcome(
        content["position"],
        [_loaded(state) for state in content["streams"]],
        [_loaded(state) for state in content["subjects"]],
        parts=tuple(_loaded_part(*part) for part in content.get("parts", ())),
    )


def _dumped_part(part: PartOutcome) -> tuple[int | str, ...]:
    return part.version, *(kind_and_name(part.subject) if part.subject else ())


def _loaded_part(version: int, kind: int = 0, name: str = "") -> PartOutcome:
    return PartOutcome(version, _KEY_OF_KIND[kind](name) if kind else None)


def _text(content: object) -> str:
    return json.dumps(content, separators=(",", ":"))


def _dumped(state: State) -> list[Any]:
    kind: Any = type(state)
    names = _readers(kind)
    return [_KIND_OF_CLASS[kind], {name: _plain(getattr(state, name)) for name in names}]


def _loaded(stored: list[Any]) -> State:
    kind, fields = stored
    readers = _readers(_CLASS_OF_KIND[kind])
    return _CLASS_OF_KIND[kind](**{name: readers[name](value) for name, value in fields.items()})


_LEFT_OUT: Final = (((),), (None,))


def _plain(value: Any) -> Any:  # noqa: ANN401  the value of any field
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return [_plain(part) for part in (value[:-1] if value[-1:] in _LEFT_OUT else value)]
    if isinstance(value, Mapping):
        return [[_plain(key), _plain(part)] for key, part in value.items()]
    return str(value) if type(value) in KIND_OF_KEY else value


@cache
def _readers(kind: Any) -> Mapping[str, Callable[[Any], Any]]:  # noqa: ANN401  a class
    return {name: _reader(hint) for name, hint in get_type_hints(kind).items()}


@cache
def _reader(hint: Any) -> Callable[[Any], Any]:  # noqa: ANN401  the type of a field
    """Return a function that converts the plain form to a value of the type *hint*."""
    parts = get_args(hint)
    if NoneType in parts:
        read = _reader(next(part for part in parts if part is not NoneType))
        return lambda value: None if value is None else read(value)
    if isinstance(get_origin(hint), type) and issubclass(get_origin(hint), Mapping):
        key, part = map(_reader, parts)
        return lambda pairs: {key(name): part(value) for name, value in pairs}
    if get_origin(hint) is tuple:  # of any length
        part = _reader(parts[0])
        return lambda values: tuple(map(part, values))
    if issubclass(hint, tuple):
        each = tuple(_readers(hint).values())
        return lambda values: hint(*(read(one) for read, one in zip(each, values, strict=False)))
    converted: Callable[[Any], Any] = hint
    return converted
