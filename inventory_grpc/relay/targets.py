"""Makes the target that a URL names."""

from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import SplitResult, parse_qs, parse_qsl, unquote, urlsplit

from inventory_grpc.addresses import Address
from inventory_grpc.relay.target import Target, Unfit, shown

KAFKA_OPTIONS: Final = ("security.", "sasl.", "ssl.", "client.", "compression.", "message.max.")
"""Properties of librdkafka in the query of a URL begin with these."""


class Kept(NamedTuple):
    """The files of a relay to a receiver of webhooks."""

    secrets: Path | None = None
    place: Path | None = None


def target_of(url: str, kept: Kept = Kept()) -> Target:  # noqa: B008  it is immutable
    """Return the target at *url*; nothing is connected yet.

    Raises:
        Unfit: the URL is none of a target, or its library is not installed.
    """
    try:
        parts = urlsplit(url)
        if "," not in parts.netloc:
            _ = parts.port  # is read late, and may be none
    except ValueError as error:
        raise Unfit(f"{shown(url)} is no target: {error}") from error
    make = _MADE_BY.get(parts.scheme)
    if make is None or not parts.hostname:
        kinds = ", ".join(f"{scheme}://" for scheme in _MADE_BY)
        raise Unfit(f"{shown(url)} is no target: a URL begins with one of {kinds}, and has a host")
    try:
        return make(parts, kept)
    except ImportError as missing:
        raise Unfit(
            f"{missing.name} is not installed, which {parts.scheme}:// needs: "
            "pip install 'inventory-grpc[relay]'"
        ) from missing


def _jetstream(parts: SplitResult, _: Kept) -> Target:
    from inventory_grpc.relay.jetstream import STREAM, JetStream  # noqa: PLC0415  of an extra

    server = parts._replace(path="", query="").geturl()
    return JetStream(server, parts.path.strip("/") or STREAM)


def _valkey(parts: SplitResult, _: Kept) -> Target:
    from inventory_grpc.relay.valkey import STREAM, ValkeyStream  # noqa: PLC0415  of an extra

    options = parse_qs(parts.query, keep_blank_values=True)
    database = parts.path.strip("/")
    if {*options} - {"stream"} or not (database or "0").isdecimal():
        raise Unfit(
            f"{shown(parts.geturl())} has more than a database and a stream: write "
            "valkey://HOST:6379/0?stream=NAME"
        )
    stream = options.get("stream", [STREAM])[0]
    return ValkeyStream(parts._replace(query="").geturl(), stream)


def _kafka(parts: SplitResult, _: Kept) -> Target:
    from inventory_grpc.relay.kafka import TOPIC, KafkaTopic  # noqa: PLC0415  of an extra

    login, _at, servers = parts.netloc.rpartition("@")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if wrong := [name for name in options if not name.startswith(KAFKA_OPTIONS)]:
        known = ", ".join(KAFKA_OPTIONS)
        raise Unfit(f"{wrong[0]} is no option of kafka://: name one that begins with {known}")
    if login:
        if not {"security.protocol", "sasl.mechanism"} <= {*options}:
            raise Unfit(
                "kafka:// with a user needs the options security.protocol, such as SASL_SSL, and "
                "sasl.mechanism, such as SCRAM-SHA-512"
            )
        user, _colon, password = login.partition(":")
        options |= {"sasl.username": unquote(user), "sasl.password": unquote(password)}
    return KafkaTopic(servers, parts.path.strip("/") or TOPIC, options)


def _webhook(parts: SplitResult, kept: Kept) -> Target:
    from inventory_grpc.relay.webhooks import Webhook  # noqa: PLC0415  of an extra

    if kept.secrets is None:
        raise Unfit("webhooks are signed: name a --secret-file")
    if parts.scheme == "http" and not Address(parts.hostname or "", 80).is_loopback:
        raise Unfit("http:// is for this machine alone: use https://")
    return Webhook(parts.geturl(), kept.secrets, kept.place)


_MADE_BY: Final[dict[str, Callable[[SplitResult, Kept], Target]]] = {
    "nats": _jetstream,
    "tls": _jetstream,
    "kafka": _kafka,
    "valkey": _valkey,
    "valkeys": _valkey,
    "redis": _valkey,
    "rediss": _valkey,
    "https": _webhook,
    "http": _webhook,
}
