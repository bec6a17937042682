"""The encoding of each kind of fact, made from the fields of its class."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from operator import attrgetter
from types import UnionType
from typing import Any, Final, NamedTuple, get_args, get_origin, get_type_hints

from google.protobuf.timestamp_pb2 import Timestamp

from inventory_grpc.domain.event import Fact, Key
from inventory_grpc.domain.registry import FACTS, SUBJECTS
from inventory_grpc.domain.values import Instant
from inventory_grpc_protos.v1 import events_pb2 as pb

FIELDS: Final = {
    field.message_type.name: field
    for field in pb.Event.DESCRIPTOR.oneofs_by_name["fact"].fields
    if field.message_type
}


def set_time(timestamp: Timestamp, time: Instant) -> None:
    timestamp.seconds, micros = divmod(time, 1_000_000)
    timestamp.nanos = micros * 1_000


def instant(timestamp: Timestamp) -> Instant:
    return Instant(timestamp.seconds * 1_000_000 + timestamp.nanos // 1_000)


class FactCodec(NamedTuple):
    """The encoding of one kind of fact."""

    make: Callable[..., Fact]
    field: str
    """The field of `Event` that has the message of the fact."""
    names: tuple[str, ...]
    """The field names of the fact and of its message, the quantity first."""
    values: Callable[[Fact], tuple[Any, ...]]
    unset: tuple[object, ...]
    """The values that a new message has already."""
    read: tuple[Callable[[Any], Any], ...]
    """Readers of the fields, in the order of the fact."""
    serialize: Callable[[pb.Event], bytes]
    subject: Callable[[Any], Key] | None
    """Reads the subject, if the fact is about one that has a state."""
    may_reverse: bool
    """Whether the fact has the field `reverses`, which is stored in the event."""
    may_follow: bool
    """Whether the fact has the field `subject`, which is stored in the event."""
    has_quantity: bool
    """Whether it has a quantity, in which alone the lines of a cart differ often."""


_QUANTITY: Final = "quantity"


def _codec_of(fact: type[Fact]) -> FactCodec:
    types = {name: _choices(hint) for name, hint in get_type_hints(fact).items()}
    may_reverse = types.pop("reverses", None) is not None
    may_follow = types.pop("subject", None) is not None
    names = sorted(types, key=_QUANTITY.__ne__)
    get = attrgetter(*names)
    has_map = any(get_origin(kind) is Mapping for kind, *_ in types.values())
    return FactCodec(
        fact,
        FIELDS[fact.__name__].name,
        tuple(names),
        get if len(types) > 1 else lambda one: (get(one),),
        tuple(_unset(*types[name]) for name in names),
        tuple(_reader(name, kind, *none) for name, (kind, *none) in types.items()),
        _SERIALIZE_MAP if has_map else pb.Event.SerializeToString,
        next((_reader(name, kind) for name, (kind, *_) in types.items() if kind in SUBJECTS), None),
        may_reverse,
        may_follow,
        _QUANTITY in types,
    )


_SERIALIZE_MAP: Final = partial(pb.Event.SerializeToString, deterministic=True)
"""Sorts the entries of a map, which takes as long again as the rest."""


def _choices(hint: Any) -> Sequence[Any]:  # noqa: ANN401  a type hint
    """Return the type of a field, and also that of None if it may be absent."""
    return get_args(hint) if isinstance(hint, UnionType) else (hint,)


def _unset(kind: Any, none: type | None = None) -> object:  # noqa: ANN401  a type hint
    """Return the value of a field that need not be set; no value equals another placeholder."""
    if none is not None:
        return None
    return 0 if kind is int else object()


def _reader(name: str, kind: Any, none: type | None = None) -> Callable[[Any], Any]:  # noqa: ANN401  a type hint
    """Return a function that reads the field *name*; None for an absent optional field."""
    value_of = attrgetter(name)
    if get_origin(kind) is tuple:
        return lambda message: tuple(value_of(message))
    if get_origin(kind) is Mapping:
        return lambda message: dict(sorted(value_of(message).items()))
    if hasattr(kind, "_fields"):
        return _part_reader(name, kind)
    convert = instant if kind is Instant else kind
    if none is None:
        return value_of if kind is int else lambda message: convert(value_of(message))
    if issubclass(kind, str):
        return lambda message: convert(value) if (value := value_of(message)) else None
    return lambda message: convert(value_of(message)) if message.HasField(name) else None


def _part_reader(name: str, kind: Any) -> Callable[[Any], Any]:  # noqa: ANN401  a type hint
    """Return a function that reads a group of values, which is the message in the field *name*."""
    readers = [_reader(part, *_choices(hint)) for part, hint in get_type_hints(kind).items()]
    value_of = attrgetter(name)
    return lambda message: kind(*(read(value_of(message)) for read in readers))


CODECS: Final = {fact: _codec_of(fact) for fact in FACTS}
CODEC_BY_FIELD: Final = {codec.field: codec for codec in CODECS.values()}
