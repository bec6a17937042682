"""Compares the answer of a command with the one that a document shows."""

import json
import re
from collections.abc import Mapping
from typing import Final

_OTHER_EVERY_TIME: Final = re.compile(r"_time$|^log_id$|^event_id$")


def agree(told: str, answer: str) -> bool:
    """Return whether *told* is *answer*, whatever the spaces are and what differs each time."""
    if answer.lstrip().startswith("{"):
        return _masked(json.loads(told)) == _masked(json.loads(answer))
    return "".join(told.split()) == "".join(answer.split())


def _masked(value: object) -> object:
    """Return JSON in which what differs each time is the same."""
    if isinstance(value, Mapping):
        return {
            key: "..." if _OTHER_EVERY_TIME.search(key) else _masked(part)
            for key, part in value.items()
        }
    return [_masked(part) for part in value] if isinstance(value, list) else value
