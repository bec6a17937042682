"""Makes the options of `serve`, one for each setting."""

import inspect
import re
from collections.abc import Callable
from dataclasses import Field, fields
from typing import Annotated, Any, Final, TypeVar, cast

import typer

from inventory_grpc.server.environment import kinds_of_settings, written
from inventory_grpc.settings import Settings

C = TypeVar("C", bound=Callable[..., None])

_SHORT: Final = {"database": ["-d"]}
_LINK: Final = re.compile(r"\[(\w+)\]\(#\w+\)")
"""A link in the handbook, which a terminal cannot follow."""


def takes_settings(command: C) -> C:
    """Give *command* an option for each setting, before its own parameters.

    They are passed as keywords, with None for an option that was not given.
    """
    signature = inspect.signature(command)
    kinds = kinds_of_settings()
    options = [_option(setting, kinds[setting.name]) for setting in fields(Settings)]
    own = [one for one in signature.parameters.values() if one.kind is not one.VAR_KEYWORD]
    cast("Any", command).__signature__ = signature.replace(parameters=[*options, *own])
    return command


def _option(setting: Field[Any], kind: type[Any]) -> inspect.Parameter:
    doc = _LINK.sub(r"\1 in scripts/deploy/README.md", setting.metadata["doc"])
    default = written(setting.default)
    otherwise = f" [default: {default}]" if default and kind is not bool else ""
    name = setting.name.replace("_", "-")
    is_on = kind is bool and setting.default  # the option can only turn it off
    names = [f"--{name}/--no-{name}" if is_on else f"--{name}", *_SHORT.get(setting.name, ())]
    option = typer.Option(
        *names,
        help=f"{doc[0].upper()}{doc[1:]}.{otherwise}",
        rich_help_panel=setting.metadata["group"].value,
    )
    return inspect.Parameter(
        setting.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind | None, option],
    )
