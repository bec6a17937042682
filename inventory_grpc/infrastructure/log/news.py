"""Finds among the events of other processes those that concern this one.

With N servers on one log, each reads what the others record, and most of it is of stocks and carts
that it does not know. To decode an event takes 5 to 10 times as long as to find that nobody here
needs it.
"""

from collections.abc import Callable, Iterable
from typing import Any

from inventory_grpc.application.ports import News
from inventory_grpc.domain.event import Event, Key
from inventory_grpc.domain.values import StockId, new
from inventory_grpc.infrastructure.codec import decoded
from inventory_grpc.infrastructure.fact_codecs import CODEC_BY_FIELD
from inventory_grpc.infrastructure.log import ids
from inventory_grpc_protos.v1 import events_pb2 as pb


def news_of(encoded: Iterable[bytes], is_known: Callable[[Key], bool]) -> News:
    """Return the streams of events, and the events of streams and subjects that are known."""
    streams: list[Key] = []
    events: list[Event] = []
    for data in encoded:
        message = pb.Event.FromString(data)
        if message.product_id:
            stream: Any = new(StockId, (message.product_id, message.store_id))
        else:
            stream = ids.key_of(message.subject)
        streams.append(stream)
        if is_known(stream) or ((subject := _subject(message)) and is_known(subject)):
            events.append(decoded(message))
    return News(streams, events)


def _subject(message: pb.Event) -> Key | None:
    """Return the subject with a state that the event is about."""
    codec = CODEC_BY_FIELD[message.WhichOneof("fact") or ""]
    return codec.subject(getattr(message, codec.field)) if codec.subject else None
