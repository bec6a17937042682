"""What can be set, by whom, and what is it otherwise?"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from inventory_grpc.infrastructure.sqlite.connection import Durability

PREFIX: Final = "INVENTORY_"


class BadSetting(ValueError):
    """A setting cannot be what it is; the message says which, and what it could be."""


@dataclass(frozen=True)
class Settings:
    """Everything an operator may set: each is `INVENTORY_` and its name in capitals."""

    listen: str = field(
        default="127.0.0.1:50051", metadata={"doc": "address and port to serve on; port 0 is any"}
    )
    database: Path = field(
        default=Path("inventory.db"), metadata={"doc": "the file that holds everything"}
    )
    durability: Durability = field(
        default=Durability.FULL,
        metadata={"doc": "`full`: on disk before it is answered; `relaxed`: soon after"},
    )
    allow_plaintext: bool = field(
        default=False, metadata={"doc": "serve without encryption to other machines, too"}
    )
    reflection: bool | None = field(
        default=None, metadata={"doc": "describe the API to callers; unset: on loopback only"}
    )
    remember_days: float = field(
        default=7.0, metadata={"doc": "how long a request id is remembered, in days"}
    )
    cached_stocks: int = field(
        default=100_000, metadata={"doc": "stocks kept at hand, for queries and for commands each"}
    )
    cached_reservations: int = field(
        default=20_000, metadata={"doc": "reservations kept at hand for commands"}
    )
    warm_stocks: int = field(
        default=0, metadata={"doc": "stocks read into the cache at start, those that moved last"}
    )
    max_streams: int = field(default=1_000, metadata={"doc": "subscriptions open at a time"})
    drain_seconds: float = field(
        default=10.0, metadata={"doc": "how long calls may take to end after SIGTERM"}
    )
    log_format: str = field(
        default="auto", metadata={"doc": "`json`, `console`, or `auto`: console on a terminal"}
    )

    def __post_init__(self) -> None:
        if not self.allow_plaintext and not self.is_loopback:
            raise BadSetting(
                f"listen: {self.listen} can be reached from other machines, and nothing would be "
                "encrypted; choose a loopback address, or set INVENTORY_ALLOW_PLAINTEXT=1 "
                "(--allow-plaintext) if the network is yours alone"
            )
        if self.log_format not in {"json", "console", "auto"}:
            raise BadSetting("log_format: must be json, console or auto")
        for name in ("cached_stocks", "cached_reservations", "max_streams"):
            if getattr(self, name) < 1:
                raise BadSetting(f"{name}: must be at least 1")

    @property
    def host(self) -> str:
        host, colon, port = self.listen.rpartition(":")
        if not colon or not port.isdigit() or int(port) > 65_535:  # noqa: PLR2004  the last port
            raise BadSetting(f"listen: {self.listen!r} is not HOST:PORT, such as 127.0.0.1:50051")
        return host.strip("[]")

    @property
    def is_loopback(self) -> bool:
        return _is_loopback(self.host)

    @property
    def serves_reflection(self) -> bool:
        return self.is_loopback if self.reflection is None else self.reflection

    @classmethod
    def load(cls, environ: Mapping[str, str] = os.environ, **chosen: object) -> "Settings":
        """Return the settings from the environment, except those *chosen* that are not None.

        Raises:
            BadSetting: one of them cannot be read.
        """
        values: dict[str, Any] = {}
        for setting in fields(cls):
            text = environ.get(PREFIX + setting.name.upper())
            if chosen.get(setting.name) is not None:
                values[setting.name] = chosen[setting.name]
            elif text:
                values[setting.name] = _parse(setting.name, str(setting.type), text)
        return cls(**values)


def _parse(name: str, kind: str, text: str) -> object:
    try:
        match kind:
            case _ if "bool" in kind:
                return {"1": True, "true": True, "0": False, "false": False}[text.lower()]
            case _ if "int" in kind:
                return int(text)
            case _ if "float" in kind:
                return float(text)
            case _ if "Path" in kind:
                return Path(text)
            case _ if "Durability" in kind:
                return Durability(text)
            case _:
                return text
    except (KeyError, ValueError):
        raise BadSetting(f"{PREFIX}{name.upper()}: {text!r} cannot be read") from None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
