"""The addresses that a server listens on, as settings have them."""

import re
from ipaddress import ip_address
from typing import Final, NamedTuple, Self

from inventory_grpc.bad_setting import BadSetting, shown

MAX_PORT: Final = 65_535

AUTO: Final = "auto"  # the address of metrics that nobody has chosen: this one, if it is free
METRICS_ADDRESS: Final = "127.0.0.1:9464"
UNIX: Final = "unix:"  # before the path of a socket

_ADDRESS: Final = re.compile(r"(?P<host>.*):(?P<port>[0-9]{1,5})", re.ASCII)


class Address(NamedTuple):
    """A host and a port to listen on."""

    host: str
    port: int

    @classmethod
    def read(cls, setting: str, text: str) -> Self:
        """Read the address in a setting.

        Raises:
            BadSetting: it is none.
        """
        found = _ADDRESS.fullmatch(text)
        if found is None or int(found["port"]) > MAX_PORT:
            raise BadSetting(f"{setting}: {shown(text)} is not HOST:PORT, such as 127.0.0.1:50051")
        return cls(found["host"].strip("[]"), int(found["port"]))

    @property
    def is_loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False
