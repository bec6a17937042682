"""The values of settings that are chosen from a few."""

from enum import Enum


class LogFormat(Enum):
    """How log lines look."""

    AUTO = "auto"
    JSON = "json"
    CONSOLE = "console"


class EventLoop(Enum):
    """The event loop that runs the server."""

    ASYNCIO = "asyncio"
    UVLOOP = "uvloop"


class Reflection(Enum):
    """Which callers may ask what there is to call."""

    LOOPBACK = "loopback"
    ON = "on"
    OFF = "off"


class HealthAccess(Enum):
    """Which callers may ask for health, where callers are known."""

    OPEN = "open"
    TOKEN = "token"  # noqa: S105  a word


class Group(Enum):
    """The part of `inventory-grpc serve --help` that shows a setting."""

    ADDRESS = "Address"
    STORAGE = "Storage"
    ACCESS = "Encryption and callers"
    COMMANDS = "Commands"
    LIMITS = "Limits"
    PROCESS = "Process"
