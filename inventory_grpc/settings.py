"""What can be set, by whom, and what is it otherwise?"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import Enum
from ipaddress import ip_address
from pathlib import Path
from types import UnionType
from typing import Any, Final, get_args, get_type_hints

from inventory_grpc.infrastructure.sqlite.connection import Durability

PREFIX: Final = "INVENTORY_"
MAX_PORT: Final = 65_535

_WORDS: Final = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


class BadSetting(ValueError):
    """A setting cannot be what it is; the message says which, and what it could be."""


class LogFormat(Enum):
    """How log lines look."""

    AUTO = "auto"
    JSON = "json"
    CONSOLE = "console"


class EventLoop(Enum):
    """What runs the server."""

    ASYNCIO = "asyncio"
    UVLOOP = "uvloop"


class Reflection(Enum):
    """Who may ask what there is to call."""

    LOOPBACK = "loopback"
    ON = "on"
    OFF = "off"


def _setting(
    default: Any,  # noqa: ANN401  of any type
    doc: str,
    *,
    least: float | None = None,
    most: float | None = None,
) -> Any:  # noqa: ANN401  a field, which stands for its value
    return field(default=default, metadata={"doc": doc, "least": least, "most": most})


@dataclass(frozen=True)
class Settings:
    """Everything an operator may set: each is `INVENTORY_` and its name in capitals.

    Raises:
        BadSetting: one of them cannot be so.
    """

    listen: str = _setting("127.0.0.1:50051", "address and port to serve on; port 0 is any")
    workers: int = _setting(
        1, "processes that serve together; see [Workers](#workers)", least=1, most=64
    )
    database: Path = _setting(Path("inventory.db"), "the file that holds everything")
    durability: Durability = _setting(
        Durability.FULL, "`full`: on disk before it is answered; `relaxed`: soon after"
    )
    tls_certificate: Path | None = _setting(
        None, "PEM file of the certificate chain to serve TLS 1.2 and 1.3 with"
    )
    tls_key: Path | None = _setting(None, "PEM file of its private key")
    tls_client_ca: Path | None = _setting(
        None, "PEM file of authorities; callers must then show a certificate of theirs"
    )
    callers: Path | None = _setting(
        None, "TOML file of who may call, and what; see [Security](#security)"
    )
    allow_plaintext: bool = _setting(
        default=False, doc="serve other machines, too, without encryption"
    )
    allow_anonymous: bool = _setting(
        default=False, doc="serve other machines, too, without asking who calls"
    )
    reflection: Reflection = _setting(
        Reflection.LOOPBACK, "describe the API to callers: on a `loopback` address, `on`, `off`"
    )
    remember_days: float = _setting(7.0, "how long a request id is remembered", least=0)
    cached_stocks: int = _setting(
        100_000, "stocks kept at hand, for queries and for commands each", least=1
    )
    cached_reservations: int = _setting(20_000, "reservations kept at hand, for commands", least=1)
    warm_stocks: int = _setting(
        0, "how many of the last events' stocks are read into the cache at start", least=0
    )
    max_commands: int = _setting(
        2_000, "commands under way at a time in a worker; more are refused", least=1
    )
    max_queries: int = _setting(1_000, "queries under way at a time in a worker", least=1)
    max_streams: int = _setting(1_000, "subscriptions open at a time in a worker", least=1)
    caller_share: float = _setting(
        0.5, "which part of each of these one caller may take, where callers are known", least=0
    )
    drain_seconds: float = _setting(10.0, "how long calls may take to end after SIGTERM", least=0)
    log_format: LogFormat = _setting(
        LogFormat.AUTO, "`json`, `console`, or `auto`: console on a terminal"
    )
    event_loop: EventLoop = _setting(
        EventLoop.ASYNCIO, "`asyncio`, or `uvloop` where `pip install 'inventory-grpc[uvloop]'` was"
    )

    def __post_init__(self) -> None:
        for setting in fields(self):
            least, most = setting.metadata["least"], setting.metadata["most"]
            if least is not None and getattr(self, setting.name) < least:
                raise BadSetting(f"{setting.name}: must be at least {least}")
            if most is not None and getattr(self, setting.name) > most:
                raise BadSetting(f"{setting.name}: must be at most {most}")
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise BadSetting("tls_certificate and tls_key: one needs the other")
        if self.tls_client_ca is not None and self.tls_certificate is None:
            raise BadSetting("tls_client_ca: needs tls_certificate and tls_key")
        if not self.is_loopback:
            self._check_openness()

    def _check_openness(self) -> None:
        """See that whoever serves other machines in the open has said so."""
        reached = f"listen: {self.listen} can be reached from other machines, and"
        if self.tls_certificate is None and not self.allow_plaintext:
            raise BadSetting(
                f"{reached} nothing would be encrypted; set INVENTORY_TLS_CERTIFICATE and "
                "INVENTORY_TLS_KEY, choose a loopback address, or set INVENTORY_ALLOW_PLAINTEXT=1 "
                "if something before this server encrypts"
            )
        if self.callers is None and not self.allow_anonymous:
            raise BadSetting(
                f"{reached} anybody could do anything; set INVENTORY_CALLERS, choose a loopback "
                "address, or set INVENTORY_ALLOW_ANONYMOUS=1 if the network is yours alone"
            )

    @property
    def host(self) -> str:
        host, colon, port = self.listen.rpartition(":")
        if not colon or not port.isdigit() or int(port) > MAX_PORT:
            raise BadSetting(f"listen: {self.listen!r} is not HOST:PORT, such as 127.0.0.1:50051")
        return host.strip("[]")

    @property
    def port(self) -> int:
        return int(self.listen.rpartition(":")[2])

    @property
    def is_loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def serves_reflection(self) -> bool:
        return self.reflection is Reflection.ON or (
            self.reflection is Reflection.LOOPBACK and self.is_loopback
        )

    @classmethod
    def load(cls, environ: Mapping[str, str] = os.environ, **chosen: object) -> "Settings":
        """Return the settings from the environment, but for those *chosen* that are not None.

        Raises:
            BadSetting: one of them cannot be read, or cannot be so.
        """
        kinds = {name: _plain(kind) for name, kind in get_type_hints(cls).items()}
        values: dict[str, Any] = {}
        for setting in fields(cls):
            name = setting.name
            if chosen.get(name) is not None:
                values[name] = chosen[name]
            elif text := environ.get(PREFIX + name.upper()):
                values[name] = _parse(name, kinds[name], text)
        return cls(**values)

    def to_environment(self) -> dict[str, str]:
        """Return the variables from which another process loads exactly these settings."""
        return {
            PREFIX + setting.name.upper(): _told(getattr(self, setting.name))
            for setting in fields(self)
        }


def _plain(kind: Any) -> type[Any]:  # noqa: ANN401  whatever a hint is
    """Return the type of a value that may also be None."""
    plain: type[Any] = get_args(kind)[0] if isinstance(kind, UnionType) else kind
    return plain


def _told(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(int(value))
        case Enum():
            return str(value.value)
        case _:
            return str(value)


def _parse(name: str, kind: type[Any], text: str) -> object:
    try:
        return _WORDS[text.lower()] if kind is bool else kind(text)
    except (KeyError, ValueError):
        choices: list[str] = []
        if kind is bool:
            choices = ["1", "0"]
        elif issubclass(kind, Enum):
            choices = [str(choice.value) for choice in kind]
        among = (
            f"; choose from {', '.join(choices)}" if choices else f", it must be {kind.__name__}"
        )
        raise BadSetting(f"{PREFIX}{name.upper()}: {text!r} cannot be read{among}") from None
