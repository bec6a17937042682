"""Makes the target that a URL names."""

from collections.abc import Callable
from typing import Final
from urllib.parse import SplitResult, parse_qs, urlsplit

from inventory_grpc.relay.target import Target, Unfit


def target_of(url: str) -> Target:
    """Return the target at *url*; nothing is connected yet.

    Raises:
        Unfit: the URL is none of a target, or its library is not installed.
    """
    parts = urlsplit(url)
    make = _MADE_BY.get(parts.scheme)
    if make is None or not parts.hostname:
        kinds = ", ".join(f"{scheme}://" for scheme in _MADE_BY)
        raise Unfit(f"{url} is no target: a URL begins with one of {kinds}, and has a host")
    try:
        return make(parts)
    except ImportError as missing:
        raise Unfit(
            f"{missing.name} is not installed, which {parts.scheme}:// needs: "
            "pip install 'inventory-grpc[relay]'"
        ) from missing


def _jetstream(parts: SplitResult) -> Target:
    from inventory_grpc.relay.jetstream import STREAM, JetStream  # noqa: PLC0415  of an extra

    server = parts._replace(path="", query="").geturl()
    return JetStream(server, parts.path.strip("/") or STREAM)


def _valkey(parts: SplitResult) -> Target:
    from inventory_grpc.relay.valkey import STREAM, ValkeyStream  # noqa: PLC0415  of an extra

    [stream, *_] = parse_qs(parts.query).get("stream", [STREAM])
    return ValkeyStream(parts._replace(query="").geturl(), stream)


_MADE_BY: Final[dict[str, Callable[[SplitResult], Target]]] = {
    "nats": _jetstream,
    "tls": _jetstream,
    "valkey": _valkey,
    "valkeys": _valkey,
    "redis": _valkey,
    "rediss": _valkey,
}
