"""The choices that settings have, beside numbers and texts."""

from enum import Enum


class LogFormat(Enum):
    AUTO = "auto"
    JSON = "json"
    CONSOLE = "console"


class EventLoop(Enum):
    """The setting for the event loop; `auto` is uvloop where it is installed."""

    AUTO = "auto"
    ASYNCIO = "asyncio"
    UVLOOP = "uvloop"


class Reflection(Enum):
    """The setting for gRPC reflection, which describes the API to callers."""

    LOOPBACK = "loopback"
    ON = "on"
    OFF = "off"


class HealthAccess(Enum):
    """The authentication of health checks, if callers are authenticated."""

    OPEN = "open"
    TOKEN = "token"  # noqa: S105  a word


class Failover(Enum):
    """The setting for failovers of PostgreSQL: whether the log goes on as if nothing was lost."""

    REFUSE = "refuse"
    TRUSTED = "trusted"


class Catalogue(Enum):
    """The setting for the catalogue: whether a new stock needs its product and store in it."""

    OPEN = "open"
    REQUIRED = "required"


class Prepare(Enum):
    """The setting for prepared statements, which are kept in a session of PostgreSQL."""

    AUTO = "auto"
    """Statements are prepared unless a pooler gives the session away after each transaction."""
    ON = "on"
    OFF = "off"


class Notify(Enum):
    """The setting for notifications of PostgreSQL, as a hint to poll at once."""

    OFF = "off"
    ON = "on"


class EventFormat(Enum):
    """The form in which a relay publishes events."""

    PROTOBUF = "protobuf"
    JSON = "json"
