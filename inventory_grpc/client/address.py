"""Validates addresses, and detects those that certainly name this machine."""

from ipaddress import ip_address
from typing import Final

_UNIX: Final = ("unix:", "unix-abstract:")
_URLS: Final = ("http://", "https://", "grpc://", "grpcs://")


def checked_address(address: str) -> str:
    """Return *address*.

    Raises:
        TypeError: it is not a string.
        ValueError: it is empty, contains white space, or is a URL.
    """
    if not isinstance(address, str):
        raise TypeError(f"address must be a string such as '127.0.0.1:50051', not {address!r}")
    if address.split() != [address] or address.lower().startswith(_URLS):
        raise ValueError(f"address must be host:port, such as 127.0.0.1:50051, not {address!r}")
    return address


def is_unix(address: str) -> bool:
    return address.startswith(_UNIX)


def is_here(address: str) -> bool:
    """Return whether *address* certainly names this machine; names are not resolved."""
    scheme, _, rest = address.partition(":")
    if is_unix(address):
        return True
    if scheme in {"ipv4", "ipv6"}:
        return all(_is_loopback(_host(one)) for one in rest.split(","))
    if scheme == "dns":
        # `dns:host:port`, or `dns://name-server/host:port`
        _, _, path = rest.removeprefix("//").partition("/")
        return _is_loopback(_host(path if rest.startswith("//") else rest))
    return _is_loopback(_host(address))


def _host(address: str) -> str:
    if address.startswith("["):
        return address[1:].partition("]")[0]
    host, _, _ = address.partition(":")
    return host if address.count(":") < 2 else address  # noqa: PLR2004  a bare IPv6 address


def _is_loopback(host: str) -> bool:
    name = host.removesuffix(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ip = ip_address(host)
    except ValueError:
        return False
    # A connection to the unspecified address, 0.0.0.0, reaches this machine.
    return ip.is_loopback or ip.is_unspecified
