"""Events as other systems get them: a name, headers and a body."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

import orjson
from google.protobuf.json_format import MessageToJson

from inventory_grpc.choices import EventFormat
from inventory_grpc_protos.v1.events_pb2 import Event, SubscribeResponse

PREFIX: Final = "inventory.v1"

EVENT_ID: Final = "Inventory-Event-Id"
POSITION: Final = "Inventory-Position"

MAX_SUBJECTS: Final = 10_000
"""Subjects that are kept, because the same stocks come again and again."""

_JSON: Final = "application/json"

_RESERVED: Final = {ord(char): f"%{ord(char):02X}" for char in "%.*> \t\r\n"}
"""Characters with a meaning in the subjects of NATS."""

_FACTS: Final = {
    field.name: field.message_type.name
    for field in Event.DESCRIPTOR.oneofs_by_name["fact"].fields
    if field.message_type is not None
}


class Message(NamedTuple):
    """An event to publish."""

    position: int
    event_id: str
    key: str
    """The stream of the event, `<product>@<store>` or `<kind>/<id>`, whose events are in order."""
    subject: str
    """`inventory.v1.<fact>.<store>.<product>`, or `inventory.v1.<fact>.<kind>.<id>`."""
    headers: Mapping[str, str]
    body: bytes

    @property
    def log_id(self) -> str:
        return log_of(self.event_id)


def log_of(event_id: str) -> str:
    """Return the log that recorded the event with this id."""
    return event_id.rpartition("-")[0]


def message_of(event: Event, form: EventFormat) -> Message:
    """Return the message that *event* is published as."""
    fact = fact_of(event)
    if event.product_id or event.store_id:
        key = f"{event.product_id}@{event.store_id}"
        subject = _subject(fact, event.store_id, event.product_id)
    else:
        key = event.subject
        kind, _, name = key.partition("/")
        subject = _subject(fact, kind, name)
    headers = {EVENT_ID: event.event_id, POSITION: str(event.position)}
    if form is EventFormat.JSON:
        body = MessageToJson(event, preserving_proto_field_name=True, indent=None).encode()
        headers |= {
            "content-type": _JSON,
            "ce-specversion": "1.0",
            "ce-id": event.event_id,
            "ce-source": f"//inventory/{log_of(event.event_id)}",
            "ce-type": f"{PREFIX}.{fact}",
            "ce-time": event.record_time.ToJsonString(),
        }
    else:
        body = event.SerializeToString()
        headers["content-type"] = f"application/protobuf; type={PREFIX}.Event"
    return Message(event.position, event.event_id, key, subject, headers, body)


@lru_cache(MAX_SUBJECTS)
def _subject(fact: str, kind: str, name: str) -> str:
    return ".".join([PREFIX, fact, kind.translate(_RESERVED), name.translate(_RESERVED)])


def batch_of(messages: Sequence[Message]) -> tuple[str, bytes]:
    """Return the type and the body of one message with all of *messages*, which are alike.

    In JSON, it is a list of CloudEvents. In protobuf, it is a `SubscribeResponse`.
    """
    if messages[0].headers["content-type"] == _JSON:
        events = [
            {
                **{
                    name.removeprefix("ce-"): value
                    for name, value in message.headers.items()
                    if name.startswith("ce-")
                },
                "subject": message.subject,
                "datacontenttype": _JSON,
                "data": orjson.Fragment(message.body),
            }
            for message in messages
        ]
        return "application/cloudevents-batch+json", orjson.dumps(events)
    found = [Event.FromString(message.body) for message in messages]
    batch = SubscribeResponse(events=found, position=messages[-1].position)
    return f"application/protobuf; type={PREFIX}.SubscribeResponse", batch.SerializeToString()


def fact_of(event: Event) -> str:
    """Return the name of the fact, such as `StockReserved`; `Unknown` for one of a newer server."""
    field = event.WhichOneof("fact")
    return _FACTS[field] if field else "Unknown"
