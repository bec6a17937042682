"""Reads the values of options and arguments, by the type of a method's parameter."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from types import UnionType
from typing import Any, Final, get_args, get_origin

import typer

from inventory_grpc.client import Line

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_SPAN: Final = re.compile(r"(\d{1,6})([smhd])", re.ASCII)
_QUANTITY: Final = re.compile(r"-?\d{1,18}", re.ASCII)
_LINE: Final = ("PRODUCT", "STORE", "QUANTITY")


def span(text: str) -> timedelta:
    found = _SPAN.fullmatch(text)
    if not found:
        raise typer.BadParameter(f"{text!r} is no span such as 90s, 15m, 2h or 1d")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def time(text: str) -> datetime:
    """Return a time in ISO format; without a zone, it is that of this machine."""
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{text!r} is no time such as 2026-11-29T16:00+01:00") from None


def pair(text: str) -> tuple[str, str]:
    key, is_pair, value = text.partition("=")
    if not is_pair:
        raise typer.BadParameter(f"{text!r} is no pair such as colour=red")
    return key, value


def number(text: str) -> int:
    if not _QUANTITY.fullmatch(text):
        raise typer.BadParameter(f"{text!r} is no whole number such as 12")
    return int(text)


PARSERS: Final[Mapping[Any, Callable[[str], object]]] = {
    int: number,
    timedelta: span,
    datetime: time,
}


def lines_of(words: Sequence[str]) -> Sequence[Line]:
    """Return the lines of a cart: PRODUCT STORE QUANTITY, again and again.

    Raises:
        typer.BadParameter: they are incomplete, or a quantity is not a number.
    """
    wanted = " ".join(_LINE)
    if len(words) % len(_LINE):
        raise typer.BadParameter(f"each line is {wanted}, and the last one is incomplete")
    lines = []
    for product, store, quantity in zip(*[iter(words)] * len(_LINE), strict=True):
        if not _QUANTITY.fullmatch(quantity):
            raise typer.BadParameter(f"each line is {wanted}, and {quantity!r} is no quantity")
        lines.append(Line(product, store, int(quantity)))
    return lines


def is_repeated(hint: Any) -> bool:  # noqa: ANN401  as above
    return get_origin(_present(hint)) is Iterable


def is_pairs(hint: Any) -> bool:  # noqa: ANN401  as above
    return get_origin(_present(hint)) is Mapping


def is_lines(hint: Any) -> bool:  # noqa: ANN401  as above
    return is_repeated(hint) and get_origin(get_args(_present(hint))[0]) is tuple


def item_of(hint: Any) -> Any:  # noqa: ANN401  as above
    """Return the type of one value."""
    return get_args(_present(hint))[0] if is_repeated(hint) else _present(hint)


def _present(hint: Any) -> Any:  # noqa: ANN401  as above
    """Return *hint* without None."""
    return get_args(hint)[0] if isinstance(hint, UnionType) else hint
