"""Bad requests of every rpc, derived from the descriptors, so that new fields are tried too."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from tests.robustness.bad_values import ADJUSTMENT, Rule, is_map, rule_of

PACKAGE: Final = "inventory.v1"

REQUEST: Final = "request"
"""The path of what cannot be decoded, so that nothing in it can be named."""

MOST_VIOLATIONS: Final = 20

_TEXT: Final = b"QQQQ"
_NO_TEXT: Final = b"Q\xc3\x28Q"

VERY_MANY: Final = 100_000


class Case(NamedTuple):
    """A request, what kind of bad input is in it, and where; nowhere if it is to be understood."""

    kind: int
    data: bytes
    paths: frozenset[str]
    named: int = 1
    """The number of violations named."""


def good(descriptor: Descriptor) -> Message:
    """Return a request that is understood."""
    message: Message = GetMessageClass(descriptor)()
    for field in descriptor.fields:
        rule = rule_of(field)
        if rule.is_needed or rule.is_usual:
            put(message, field, [_element(field, rule)] if field.is_repeated else rule.good)
    return message


def put(message: Message, field: FieldDescriptor, value: Any) -> None:  # noqa: ANN401  of the field
    """Set *field* to *value*, whatever it is."""
    message.ClearField(field.name)
    if is_map(field):
        getattr(message, field.name).update(value)
    elif field.is_repeated:
        getattr(message, field.name).extend(value)
    elif field.message_type:
        getattr(message, field.name).CopyFrom(value)
    else:
        setattr(message, field.name, value)


def missing(descriptor: Descriptor) -> Case:
    """Return the empty request; all that is needed is named."""
    names = {field.name for field in descriptor.fields if rule_of(field).is_needed}
    names |= {oneof.name for oneof in descriptor.oneofs if oneof.name == ADJUSTMENT}
    return Case(6, b"", frozenset(names), len(names))


def bad(descriptor: Descriptor) -> Iterator[Case]:
    """Yield a request for every bad value of every field, however deep."""
    for field in descriptor.fields:
        for kind, value, path in _bad_values(field, rule_of(field)):
            data = _with(descriptor, field, value).SerializeToString()
            yield Case(kind, data, frozenset({path}))
        yield from _without_text(descriptor, field)
    for oneof in descriptor.oneofs:
        yield from _two_at_once(descriptor, oneof.fields)
    yield from _too_many(descriptor)


def broken(descriptor: Descriptor) -> Iterator[Case]:
    """Yield what is no request at all."""
    whole = good(descriptor).SerializeToString()
    for kind, data in (
        (10, b"\xff" * 20),
        (10, b"\x0a\x06kett"),
        (10, whole + b"\x0a"),
        (10, whole + b"\x0a\xff\xff\xff\xff\x0f"),
        (10, whole + b"\x0c"),
        (10, whole + b"\xff" * 11),
        (23, b"\x0b" * 5_000),
        (23, whole + b"\xa3\x06" * 5_000 + b"\xa4\x06" * 5_000),
    ):
        yield Case(kind, data, frozenset({REQUEST}))


def fine(descriptor: Descriptor) -> Iterator[Case]:
    """Yield what looks bad, and is not: it is understood, whatever comes of it."""
    for field in descriptor.fields:
        rule = rule_of(field)
        for kind, values in rule.fine.items():
            for value in values:
                is_list = field.is_repeated and not is_map(field)
                told = [_element(field, rule), value, value] if is_list else value
                data = _with(descriptor, field, told).SerializeToString()
                yield Case(kind, data, frozenset())
    newer = good(descriptor).SerializeToString() + b"\xa2\x7d\x03new\xa8\x7d\x01"
    yield Case(7, newer, frozenset())
    yield Case(8, newer + newer, frozenset())


def _with(descriptor: Descriptor, field: FieldDescriptor, value: Any) -> Message:  # noqa: ANN401
    message = good(descriptor)
    put(message, field, value(message) if callable(value) else value)
    return message


def _element(field: FieldDescriptor, rule: Rule) -> Any:  # noqa: ANN401  of the field
    part = part_of(field)
    return good(part) if part else rule.good


def part_of(field: FieldDescriptor) -> Descriptor | None:
    """Return the message of ours that *field* is made of, if it is."""
    part = field.message_type
    return part if part and part.file.package == PACKAGE and not is_map(field) else None


def _bad_values(field: FieldDescriptor, rule: Rule) -> Iterator[tuple[int, Any, str]]:
    """Yield kind, value and path."""
    one, part = _element(field, rule), part_of(field)
    if part:
        elements: Iterator[tuple[int, Any, str]] = (
            (case.kind, GetMessageClass(part).FromString(case.data), f".{path}")
            for case in bad(part)
            for path in case.paths - {REQUEST}
        )
    else:
        elements = ((kind, value, "") for kind, values in rule.bad.items() for value in values)
    for kind, value, path in elements:
        if field.is_repeated and not is_map(field):
            yield kind, [one, value], f"{field.name}[1]{path}"
        else:
            yield kind, value, f"{field.name}{path}"
    if rule.most:
        kind = 20 if part else 38
        yield kind, [one] * (rule.most + 1), field.name
        yield kind, [one] * 10_000, field.name
        if rule.is_needed:
            yield kind, [], field.name


def _without_text(descriptor: Descriptor, field: FieldDescriptor) -> Iterator[Case]:
    """Yield the request in which *field* is not UTF-8."""
    value: Any = _TEXT.decode()
    if part := part_of(field):
        text = next((one for one in part.fields if one.type == one.TYPE_STRING), None)
        if not text:
            return
        value = _with(part, text, [value] if text.is_repeated else value)
    elif field.type != field.TYPE_STRING:
        return
    message = _with(descriptor, field, [value] if field.is_repeated else value)
    data = message.SerializeToString().replace(_TEXT, _NO_TEXT)
    yield Case(11, data, frozenset({REQUEST}))


def _two_at_once(descriptor: Descriptor, fields: Sequence[FieldDescriptor]) -> Iterator[Case]:
    """Yield requests that set a bad one of *fields* after another: the last one counts."""
    for field in fields:
        for other in fields:
            values = next(iter(rule_of(field).bad.values()), ())
            if other is field or not values:
                continue
            before = _with(descriptor, other, next(iter(rule_of(other).fine.values()))[0])
            after = GetMessageClass(descriptor)()
            put(after, field, values[0])
            data = before.SerializeToString() + after.SerializeToString()
            yield Case(9, data, frozenset({field.name}))


def _too_many(descriptor: Descriptor) -> Iterator[Case]:
    """Yield lists of which everything is wrong, and of which there is more than fits."""
    for field in descriptor.fields:
        part = part_of(field)
        if not (field.is_repeated and part):
            continue
        empty = GetMessageClass(part)()
        data = _with(descriptor, field, [empty] * VERY_MANY).SerializeToString()
        yield Case(20, data, frozenset({field.name}))
        names = [one.name for one in part.fields if rule_of(one).is_needed]
        paths = {f"{field.name}[{index}].{name}" for index in range(300) for name in names}
        data = _with(descriptor, field, [empty] * 300).SerializeToString()
        yield Case(20, data, frozenset(paths), MOST_VIOLATIONS)
