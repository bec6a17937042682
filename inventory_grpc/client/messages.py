"""How do plain Python values become fields of a request?"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, TypedDict

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from inventory_grpc_protos.v1 import stock_pb2


class Line(NamedTuple):
    """So many units of one stock."""

    product_id: str
    store_id: str
    quantity: int


class Key(NamedTuple):
    """The name of one stock."""

    product_id: str
    store_id: str


class Expiration(TypedDict, total=False):
    """When a promise ends; one of the three or, for the server's default, none."""

    ttl: Duration
    expire_time: Timestamp
    never_expires: bool


def expiration(
    ttl: timedelta | None, expire_time: datetime | None, *, never_expires: bool
) -> Expiration:
    at_most_one(ttl=ttl, expire_time=expire_time, never_expires=never_expires or None)
    if ttl is not None:
        return {"ttl": duration(ttl)}
    if expire_time is not None:
        return {"expire_time": timestamp(expire_time)}
    return {"never_expires": True} if never_expires else {}


def at_most_one(**choices: object) -> None:
    """Refuse two answers to one question: the wire would silently keep the last."""
    given = [name for name, value in choices.items() if value is not None]
    if len(given) > 1:
        raise ValueError(f"{' and '.join(given)} exclude each other")


def lines(given: Iterable[tuple[str, str, int]]) -> Sequence[stock_pb2.Line]:
    return [
        stock_pb2.Line(product_id=product_id, store_id=store_id, quantity=quantity)
        for product_id, store_id, quantity in given
    ]


def keys(given: Iterable[tuple[str, str]]) -> Sequence[stock_pb2.StockKey]:
    return [
        stock_pb2.StockKey(product_id=product_id, store_id=store_id)
        for product_id, store_id in given
    ]


def timestamp(moment: datetime) -> Timestamp:
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone, so it names no moment")
    message = Timestamp()
    message.FromDatetime(moment)
    return message


def maybe_timestamp(moment: datetime | None) -> Timestamp | None:
    return None if moment is None else timestamp(moment)


def duration(span: timedelta) -> Duration:
    message = Duration()
    message.FromTimedelta(span)
    return message
