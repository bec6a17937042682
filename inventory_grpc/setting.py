"""One setting: its default, its help, and its bounds."""

from dataclasses import field
from enum import Enum
from typing import Any


class Group(Enum):
    """The part of `inventory-grpc serve --help` that shows a setting."""

    ADDRESS = "Address"
    STORAGE = "Storage"
    ACCESS = "Encryption and callers"
    COMMANDS = "Commands"
    LIMITS = "Limits"
    PROCESS = "Process"


def setting(
    default: Any,  # noqa: ANN401  of any type
    doc: str,
    group: Group,
    bounds: tuple[float, float] | None = None,
) -> Any:  # noqa: ANN401  a field, which stands for its value
    """Return a field with its help text, group and bounds."""
    return field(default=default, metadata={"doc": doc, "group": group, "bounds": bounds})
