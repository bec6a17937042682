"""Reads settings from environment variables, and writes them for workers."""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields
from difflib import get_close_matches
from enum import Enum
from types import UnionType
from typing import Any, Final, get_args, get_type_hints

from inventory_grpc.bad_setting import BadSetting, shown
from inventory_grpc.settings import Settings

PREFIX: Final = "INVENTORY_"

_WORDS: Final = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
_NUMBERS: Final = {int: "a whole number", float: "a number"}

_SERVICE_LINK: Final = re.compile(r"(\w+_)?(SERVICE_(HOST|PORT)(_\w+)?|PORT_\d+_\w+)")
"""Variables that Kubernetes sets in every pod for a service named `inventory` or `inventory-…`."""


def variable(setting: str) -> str:
    return PREFIX + setting.upper()


def load(environ: Mapping[str, str] = os.environ, **chosen: object) -> Settings:
    """Return the settings from the environment, overridden by each of *chosen* that is not None.

    Raises:
        BadSetting: a variable or a setting is invalid.
    """
    kinds = kinds_of_settings()
    values: dict[str, Any] = {}
    for setting in fields(Settings):
        name = setting.name
        if chosen.get(name) is not None:
            values[name] = chosen[name]
        elif text := environ.get(variable(name)):
            try:
                values[name] = parse(kinds[name], text)
            except ValueError as error:
                raise BadSetting(f"{variable(name)}: {error}") from None
    return Settings(**values)


def kinds_of_settings() -> dict[str, type[Any]]:
    """Return the type of each setting; one that may also be None has the type of its value."""
    return {name: _plain(kind) for name, kind in get_type_hints(Settings).items()}


def _plain(kind: Any) -> type[Any]:  # noqa: ANN401  a type hint
    plain: type[Any] = get_args(kind)[0] if isinstance(kind, UnionType) else kind
    return plain


def to_environment(settings: Settings) -> dict[str, str]:
    """Return the variables from which another process loads the same settings."""
    return {variable(each.name): written(getattr(settings, each.name)) for each in fields(Settings)}


def parse(kind: type[Any], text: str) -> object:
    """Return *text* as a value of this kind.

    Raises:
        ValueError: it is not one; the message says what it must be.
    """
    try:
        return _WORDS[text.lower()] if kind is bool else kind(text)
    except (KeyError, ValueError):
        raise ValueError(f"must be {_wanted(kind)}, and is {shown(text)}") from None


def written(value: object) -> str:
    """Return the text from which `parse` reads *value*; an empty text for None."""
    match value:
        case None:
            return ""
        case bool():
            return str(int(value))
        case Enum():
            return str(value.value)
        case _:
            return str(value)


def unknown(environ: Mapping[str, str], known: Iterable[str]) -> Mapping[str, str]:
    """Return the unknown variables with our prefix, each with the closest known name, if any."""
    names = {name.removeprefix(PREFIX) for name in known}
    found = {}
    for variable, value in sorted(environ.items()):
        name = variable.removeprefix(PREFIX)
        if name != variable and name not in names and not _is_service_link(name, value):
            close = get_close_matches(name, names, n=1)
            found[variable] = PREFIX + close[0] if close else ""
    return found


def _is_service_link(name: str, value: str) -> bool:
    is_address = name.endswith("PORT") and "://" in value
    return is_address or _SERVICE_LINK.fullmatch(name) is not None


def _wanted(kind: type[Any]) -> str:
    if kind is bool:
        return "1 or 0"
    if issubclass(kind, Enum):
        return "one of " + ", ".join(str(choice.value) for choice in kind)
    return _NUMBERS.get(kind, kind.__name__)
