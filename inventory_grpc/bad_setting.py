"""The error of an invalid setting."""

from typing import Final

MAX_SHOWN: Final = 60
"""The most characters of an invalid value in an error."""


class BadSetting(ValueError):
    """A setting is invalid; the message names it and its valid values."""


def shown(value: object) -> str:
    """Return *value* for an error, cut if it is long."""
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
