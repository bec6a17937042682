"""Encodes events as the message bytes that are stored and sent to followers, and decodes them.

A fact is stored in the message of `Event.fact` with the same name, and each field in the field
with the same name, so a new fact needs no change here. Only `reverses`, which several facts have,
is a field of the event. Stored bytes never change. Fields are only
ever added, and a field that is absent from old bytes means "as before the field existed".
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from google.protobuf.message import DecodeError, Message

from inventory_grpc.domain.alerts import NO_ALERTS, Alert
from inventory_grpc.domain.event import Cause, Event, Fact, Key
from inventory_grpc.domain.levels import FenceUnits, Levels, Particulars, ShownLevels, StateUnits
from inventory_grpc.domain.registry import FACTS
from inventory_grpc.domain.values import (
    Channel,
    Instant,
    Malformed,
    ProductId,
    StockId,
    StoreId,
    UnitState,
)
from inventory_grpc.infrastructure.fact_codecs import (
    CODEC_BY_FIELD,
    CODECS,
    FIELDS,
    FactCodec,
    instant,
    set_time,
)
from inventory_grpc.infrastructure.log import ids
from inventory_grpc_protos.v1 import events_pb2 as pb
from inventory_grpc_protos.v1 import stock_pb2

KIND: Final = {fact: FIELDS[fact.__name__].number for fact in FACTS}
"""The stored number of each kind of fact, which is its field number in the message."""

KIND_BY_NAME: Final = {fact.__name__: number for fact, number in KIND.items()}
"""The same by the names that followers use in filters."""


def encoded(  # noqa: C901, PLR0912, PLR0915  one step for each field; functions would take longer
    log_id: str, events: Iterable[Event]
) -> Iterator[bytes]:
    """Yield the bytes of *events* of one log, as they are stored and sent.

    All events reuse one message, and only fields that differ from the last event are set; the
    bytes equal those of a new message. A new message for each event takes half as long again.
    """
    message = pb.Event()
    levels: Any = message.after
    fact_message: Any = None
    cause_before, time_before = Cause(), None
    rest_before = cause_before[1:]
    seldom_before = 0, 0
    reverses_before = 0
    particulars_before: Particulars | None = None
    alerts_before: tuple[Alert, ...] = ()
    subject_before = ""
    fact_before: Fact | None = None
    kind_before: type[Fact] | None = None
    values_before: tuple[Any, ...] = ()
    for position, command, key, version, record_time, cause, fact, after, alerts in events:
        message.position, message.command_position = position, command
        message.event_id = f"{log_id}-{position}"
        message.version = version
        if record_time != time_before:
            set_time(message.record_time, record_time)
            time_before = record_time
        if cause is not cause_before:
            message.request_id, rest = cause[0], cause[1:]
            if rest != rest_before:
                _set_fields(message, Cause._fields[1:], rest, rest_before)
                rest_before = rest
            cause_before = cause
        if after is None:
            _set_subject(message, key)
            levels = None
            subject_before = ""
        else:
            if levels is None:
                message.ClearField("subject")
                levels, seldom_before, particulars_before = message.after, (0, 0), None
            message.product_id, message.store_id = key
            on_hand, reserved, particulars = after
            if particulars is not None or particulars_before is not None:
                _set_shown(levels, after.shown)
                seldom_before, particulars_before = (reserved, after.shortfall), particulars
            else:
                spare = on_hand - reserved
                levels.on_hand, levels.available = on_hand, spare if spare > 0 else 0  # noqa: FURB136
                seldom = reserved, -spare if spare < 0 else 0
                if seldom != seldom_before:
                    levels.reserved, levels.shortfall = seldom_before = seldom
        # lines of a cart share their fact, and so do additions of as many units
        if fact is not fact_before:
            fact_before = fact
            if type(fact) is not kind_before:
                kind_before = type(fact)
                # to set another member of the oneof clears the last one
                codec = CODECS[kind_before]
                fact_message = getattr(message, codec.field)
                fact_message.SetInParent()
                # as local names, since to look each up for every event takes 0.2 µs
                values_before, values_of, has_quantity = (
                    codec.unset,
                    codec.values,
                    codec.has_quantity,
                )
                may_reverse, may_follow, serialize = (
                    codec.may_reverse,
                    codec.may_follow,
                    codec.serialize,
                )
            values = values_of(fact)
            if values != values_before:
                if has_quantity and values[1:] == values_before[1:]:
                    fact_message.quantity = values[0]
                else:
                    _set_fields(fact_message, codec.names, values, values_before)
                values_before = values
            reverses = fact.reverses if may_reverse else 0
            if reverses != reverses_before:
                message.reverses = reverses_before = reverses
            if after is not None:
                subject = ids.subject_name(fact.subject) if may_follow and fact.subject else ""
                if subject != subject_before:
                    message.subject = subject_before = subject
        if alerts != alerts_before:
            message.ClearField("alerts")
            message.alerts.extend(_ALERTS[alert] for alert in alerts)
            alerts_before = alerts
        yield serialize(message)


def _set_shown(message: stock_pb2.Levels, shown: ShownLevels) -> None:
    message.Clear()
    for name, value in zip(_SHOWN, shown, strict=True):
        if value and name not in _REPEATED:
            setattr(message, name, value)
    for state, units in shown.states:
        message.states.add(state=state, units=units)
    for channel, units in shown.fences:
        message.fences.add(channel=channel, units=units)


_SHOWN: Final = ShownLevels._fields
_REPEATED: Final = {"states", "fences"}
_ALERTS: Final = {alert: pb.Alert.Value(f"ALERT_{alert.name}") for alert in Alert}


def _set_fields(
    message: Message, names: Sequence[str], values: Sequence[Any], before: Sequence[Any]
) -> None:
    """Set the fields *names* of *message* to those of *values* that differ from *before*."""
    for name, value, old in zip(names, values, before, strict=True):
        if value is old:
            continue
        if value is None:
            message.ClearField(name)
        elif isinstance(value, Instant):
            set_time(getattr(message, name), value)
        elif isinstance(value, int | str):
            setattr(message, name, value)
        elif isinstance(value, tuple):
            if hasattr(value, "_fields"):
                _set_part(getattr(message, name), value)
            else:
                getattr(message, name)[:] = value
        elif isinstance(value, Mapping):
            getattr(message, name).clear()
            getattr(message, name).update(value)
        else:
            setattr(message, name, value)


def _set_part(message: Message, part: Any) -> None:  # noqa: ANN401  any named tuple
    """Set the fields of *message* to those of *part*, a group of values within a fact."""
    message.Clear()
    message.SetInParent()
    for name, value in zip(part._fields, part, strict=True):
        if value is not None:
            setattr(message, name, value)


def _set_subject(message: pb.Event, key: Key) -> None:
    """Set the key of a stream that is not a stock and has no levels."""
    for name in ("product_id", "store_id", "after"):
        message.ClearField(name)
    message.subject = ids.subject_name(key)


def log_id_of(data: bytes) -> str:
    """Return the id of the log in which the event in *data* was recorded; empty if unreadable."""
    try:
        return pb.Event.FromString(data).event_id.rpartition("-")[0]
    except DecodeError:
        return ""


def decode(data: bytes) -> Event:
    """Return the event that *data* encodes."""
    return decoded(pb.Event.FromString(data))


def decoded(message: pb.Event) -> Event:
    """Return the event in *message*."""
    codec = CODEC_BY_FIELD.get(message.WhichOneof("fact") or "")
    if codec is None:
        raise UnknownFact(f"event {message.position} has a fact of an unknown kind")
    source = getattr(message, codec.field)
    # positional, since keyword arguments would take a tenth longer
    cause = Cause(
        message.request_id,
        message.actor,
        message.reason,
        message.reference,
        instant(message.occur_time) if message.HasField("occur_time") else None,
        message.part,
    )
    values = {} if not (codec.may_reverse or codec.may_follow) else _of_event(codec, message)
    key, after = _key_and_levels(message)
    return Event(
        message.position,
        message.command_position,
        key,
        message.version,
        instant(message.record_time),
        cause,
        codec.make(*[read(source) for read in codec.read], **values),
        after,
        tuple(map(Alert, message.alerts)) if message.alerts else NO_ALERTS,
    )


def _of_event(codec: FactCodec, message: pb.Event) -> dict[str, Any]:
    """Return the fields of a fact that are stored in the event."""
    values: dict[str, Any] = {"reverses": message.reverses} if codec.may_reverse else {}
    if codec.may_follow:
        values["subject"] = _key(message) if message.subject else None
    return values


def _key_and_levels(message: pb.Event) -> tuple[Key, Levels | ShownLevels | None]:
    if message.product_id:
        stock_id = StockId(ProductId(message.product_id), StoreId(message.store_id))
        return stock_id, _levels(message.after)
    return _key(message), None


def _key(message: pb.Event) -> Key:
    try:
        return ids.key_of(message.subject)
    except KeyError:
        kind = f"{message.subject}, an unknown kind"
        raise UnknownFact(f"event {message.position} is of {kind}") from None


def _levels(message: stock_pb2.Levels) -> Levels | ShownLevels:
    fields = [field.number for field, _ in message.ListFields()]
    if not fields or fields[-1] <= _LAST_PLAIN:
        return Levels(message.on_hand, message.reserved)
    return ShownLevels(
        message.on_hand,
        message.reserved,
        message.available,
        message.shortfall,
        tuple(StateUnits(UnitState(each.state), each.units) for each in message.states),
        message.backordered,
        message.backorderable,
        message.ring_fenced,
        message.safety_stock,
        message.low_stock,
        message.retired,
        tuple(FenceUnits(Channel(each.channel), each.units) for each in message.fences),
    )


_LAST_PLAIN: Final = stock_pb2.Levels.SHORTFALL_FIELD_NUMBER
"""The fields up to this one are all that a stock without particulars has."""


class UnknownFact(Exception):
    """The event was written by a newer program."""


UNREADABLE: Final = (DecodeError, Malformed, UnknownFact)
"""The exceptions of `decode` for bytes that are no event, or that a newer program wrote."""


def record_time(data: bytes) -> Instant:
    return instant(pb.Event.FromString(data).record_time)
