"""Converts Python values to fields of a request, and refuses values of the wrong type."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, ParamSpec, TypedDict, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from inventory_grpc.uuid7 import uuid7
from inventory_grpc_protos.v1 import stock_pb2

Item = TypeVar("Item")
Made = TypeVar("Made", bound=Message)
Fields = ParamSpec("Fields")

_EXPECTED: Final = {
    FieldDescriptor.CPPTYPE_STRING: "a string",
    FieldDescriptor.CPPTYPE_INT32: "an integer",
    FieldDescriptor.CPPTYPE_INT64: "an integer",
    FieldDescriptor.CPPTYPE_BOOL: "True or False",
}

SHOWN: Final = 80
"""The most characters of a wrong value in an error."""


def made(kind: Callable[Fields, Made], /, *none: Fields.args, **fields: Fields.kwargs) -> Made:
    """Return a message with *fields*.

    Raises:
        TypeError: a value has the wrong type; the error names the field, which protobuf's does not.
        ValueError: a number is out of range, or a string is not valid Unicode.
    """
    try:
        return kind(*none, **fields)
    except (TypeError, ValueError):
        for name, value in fields.items():
            _check(kind, name, value)
        raise


def _check(kind: Any, name: str, value: object) -> None:  # noqa: ANN401  the class of a message
    try:
        kind(**{name: value})
    except TypeError:
        expected = _EXPECTED[kind.DESCRIPTOR.fields_by_name[name].cpp_type]
        raise TypeError(f"{name} must be {expected}, not {shown(value)}") from None
    except ValueError as error:
        raise ValueError(f"{name} cannot be {shown(value)}: {error}") from None


class Line(NamedTuple):
    """A number of units of one stock."""

    product_id: str
    store_id: str
    quantity: int


class Key(NamedTuple):
    """The key of one stock."""

    product_id: str
    store_id: str


class About(TypedDict):
    request_id: str
    reason: str
    reference: str
    occur_time: Timestamp | None
    dry_run: bool


class Expiration(TypedDict, total=False):
    """The end of a hold: one of the three, or none for the server's default."""

    ttl: Duration
    expire_time: Timestamp
    never_expires: bool


def about(
    request_id: str, reason: str, reference: str, occur_time: datetime | None, *, dry_run: bool
) -> About:
    flag("dry_run", dry_run)
    return {
        "request_id": request_id or str(uuid7()),
        "reason": reason,
        "reference": reference,
        "occur_time": maybe_timestamp("occur_time", occur_time),
        "dry_run": dry_run,
    }


def expiration(
    ttl: timedelta | None, expire_time: datetime | None, *, never_expires: bool
) -> Expiration:
    flag("never_expires", never_expires)
    at_most_one(ttl=ttl, expire_time=expire_time, never_expires=never_expires or None)
    if ttl is not None:
        return {"ttl": duration("ttl", ttl)}
    if expire_time is not None:
        return {"expire_time": timestamp("expire_time", expire_time)}
    return {"never_expires": True} if never_expires else {}


def at_most_one(**choices: object) -> None:
    """Refuse two values for one field of the request, of which the last would win silently."""
    given = [name for name, value in choices.items() if value is not None]
    if len(given) > 1:
        raise ValueError(f"{' and '.join(given)} exclude each other")


def listed(name: str, given: Iterable[Item], items: str) -> Iterable[Item]:
    """Return *given* if it is a list; a string would be read letter by letter."""
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise TypeError(f"{name} must be a list of {items}, not {shown(given)}")
    return given


def strings(name: str, given: Iterable[str]) -> Sequence[str]:
    found = list(listed(name, given, "strings"))
    for item in found:
        text(f"each of {name}", item)
    return found


def strings_by_name(name: str, given: Mapping[str, str]) -> Mapping[str, str]:
    if not isinstance(given, Mapping):
        raise TypeError(f"{name} must be a mapping of strings, not {shown(given)}")
    for key, value in given.items():
        text(f"each name of {name}", key)
        text(f"each of {name}", value)
    return given


def text(name: str, given: object) -> None:
    """Refuse anything but a string; protobuf treats None as unset, which would filter nothing."""
    if not isinstance(given, str):
        raise TypeError(f"{name} must be a string, not {shown(given)}")


def flag(name: str, given: object) -> None:
    """Refuse anything but True and False; the string "no" would count as True."""
    if not isinstance(given, bool):
        raise TypeError(f"{name} must be True or False, not {shown(given)}")


def lines(given: Iterable[tuple[str, str, int]]) -> Sequence[stock_pb2.Line]:
    return [
        made(stock_pb2.Line, product_id=product_id, store_id=store_id, quantity=quantity)
        for product_id, store_id, quantity in _rows("lines", given, Line._fields)
    ]


def keys(given: Iterable[tuple[str, str]]) -> Sequence[stock_pb2.StockKey]:
    return [
        made(stock_pb2.StockKey, product_id=product_id, store_id=store_id)
        for product_id, store_id in _rows("keys", given, Key._fields)
    ]


def timestamp(name: str, moment: datetime) -> Timestamp:
    if not isinstance(moment, datetime):
        raise TypeError(f"{name} must be a datetime, not {shown(moment)}")
    if moment.tzinfo is None:
        raise ValueError(f"{name} needs a time zone, which {moment} does not have")
    message = Timestamp()
    message.FromDatetime(moment)
    return message


def maybe_timestamp(name: str, moment: datetime | None) -> Timestamp | None:
    return None if moment is None else timestamp(name, moment)


def duration(name: str, span: timedelta) -> Duration:
    if not isinstance(span, timedelta):
        raise TypeError(f"{name} must be a timedelta, not {shown(span)}")
    message = Duration()
    message.FromTimedelta(span)
    return message


def shown(value: object) -> str:
    """Return *value* for an error, cut to `SHOWN` characters."""
    whole = repr(value) or type(value).__name__  # an empty message has an empty repr
    return whole if len(whole) <= SHOWN else f"{whole[:SHOWN]}…"


def _rows(name: str, given: Iterable[Any], fields: Sequence[str]) -> Iterable[Sequence[Any]]:
    """Yield each row of *given*, which has one value for each of *fields*, in that order."""
    items = f"({', '.join(fields)})"
    for row in listed(name, given, items):
        # A string would be read letter by letter, a mapping or a set in arbitrary order.
        unordered = isinstance(row, str | bytes | Mapping | set | frozenset) or not isinstance(
            row, Iterable
        )
        values = () if unordered else tuple(row)
        if len(values) != len(fields):
            raise TypeError(f"each of {name} must be {items}, not {shown(row)}")
        yield values
