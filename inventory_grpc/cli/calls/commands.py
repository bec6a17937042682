"""Makes a command of the command line from a verb."""

import inspect
import typing
from collections.abc import Callable
from enum import Enum
from typing import Annotated, Any, Final, Literal, get_args, get_origin

import typer
from google.protobuf.message import Message

from inventory_grpc.cli.calls.beside import Columns
from inventory_grpc.cli.calls.options import LIMIT, SESSION, Output
from inventory_grpc.cli.calls.output import write, write_columns
from inventory_grpc.cli.calls.refusals import written_as_options
from inventory_grpc.cli.calls.session import Session, session_of
from inventory_grpc.cli.calls.values import (
    PARSERS,
    is_lines,
    is_pairs,
    is_repeated,
    item_of,
    lines_of,
    pair,
)
from inventory_grpc.cli.calls.verb import Verb
from inventory_grpc.cli.calls.words import HELP, NAMES
from inventory_grpc.client import SyncInventoryClient
from inventory_grpc.uuid7 import uuid7

PAGE: Final = 1_000
"""The most rows in one call."""

_HIDDEN: Final = {"self", "timeout", "page_size", "page_token", "min_position"}


def command(verb: Verb) -> Callable[..., None]:
    """Return the function that typer makes a command of."""
    hints = typing.get_type_hints(verb.call)
    parameters = inspect.signature(verb.call).parameters
    given = [name for name in parameters if name not in _HIDDEN | verb.fixed.keys()]
    is_paged = "page_token" in parameters

    def run(*, limit: int = 0, **options: Any) -> None:  # noqa: ANN401  those of the signature
        session = session_of(**{one.name: options.pop(one.name) for one in SESSION})
        named = {name: _value(hints[name], value) for name, value in options.items()}
        arguments = {name: value for name, value in named.items() if value is not None}
        if "request_id" in parameters:
            arguments["request_id"] = arguments.get("request_id") or str(uuid7())
        with session.client() as client, session.waiting(), written_as_options(written):
            if is_paged:
                _list(verb, session, client, {**verb.fixed, **arguments}, limit)
            else:
                answer = verb.call(client, **arguments)
                beside = verb.beside(client, answer) if verb.beside else {}
                _show(verb, session, answer, beside, arguments.get("request_id"))

    written = {name: _written(verb, name, hints[name]) for name in given}
    options = [_parameter(verb, name, parameters[name], hints[name]) for name in given]
    options.sort(key=lambda one: one.name not in verb.places)
    limit = [LIMIT] if is_paged else []
    run.__signature__ = inspect.Signature([*options, *limit, *SESSION])  # type: ignore[attr-defined]
    example = f"inventory-grpc {verb.command} {verb.example}".rstrip()
    run.__doc__ = f"{verb.says}\n\nExample: `{example}`"
    return run


def _list(
    verb: Verb, session: Session, client: SyncInventoryClient, arguments: dict[str, Any], limit: int
) -> None:
    rows: list[Message] = []
    token, is_more = "", True
    while is_more and len(rows) < limit:
        size = min(limit - len(rows), PAGE)
        answer = verb.call(client, **arguments, page_size=size, page_token=token)
        rows += getattr(answer, verb.shows)
        token = answer.next_page_token
        is_more = bool(token)
    write(rows, session.output, {})
    if is_more:
        session.note(f"there may be more than these {len(rows):,}: raise --limit")
    elif not rows:
        session.note("nothing was found")


def _show(
    verb: Verb, session: Session, answer: Message, beside: Columns, request_id: str | None
) -> None:
    found = getattr(answer, verb.shows) if verb.shows else answer
    rows = [found] if isinstance(found, Message) else [*found]
    if request_id is None:
        write(rows, session.output, beside)
        if session.output is Output.TABLE and beside:
            write_columns(beside)
        return
    position, replayed = getattr(answer, "position"), getattr(answer, "replayed")  # noqa: B009  of every command
    more = {"position": position, "request_id": request_id, "replayed": replayed}
    write(rows, session.output, more)
    if session.output is not Output.JSON:
        before = ", recorded before" if replayed else ""
        session.note(f"position {position}{before}, request id {request_id}")


def _value(hint: Any, value: Any) -> Any:  # noqa: ANN401  any type
    """Return what the method takes; None for what was not given."""
    if is_lines(hint):
        return lines_of(value) if value else None
    if is_pairs(hint):
        return dict(value) if value else None
    if is_repeated(hint):
        values = value if isinstance(value, list) else [value]
        return [_plain(one) for one in values] if value else None
    return _plain(value)


def _plain(value: Any) -> Any:  # noqa: ANN401  as above
    return value.value if isinstance(value, Enum) else value


def _parameter(
    verb: Verb,
    name: str,
    of_method: inspect.Parameter,
    hint: Any,  # noqa: ANN401  any type
) -> inspect.Parameter:
    written = _written(verb, name, hint)
    about: dict[str, Any] = {"help": HELP.get(name, "")}
    by_place = name in verb.places
    kind: Any = _typed(hint, about)
    default: Any = ...
    if by_place and is_repeated(hint) and not is_lines(hint):
        kind = item_of(hint)
    elif of_method.default is not of_method.empty and name not in verb.required:
        kind, default = (bool, False) if hint is bool else (kind | None, None)
    if by_place:
        how: Any = typer.Argument(metavar=written, **about)
    else:
        how = typer.Option(written, **{"metavar": _metavar(hint), **about})
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, how]
    )


def _metavar(hint: Any) -> str | None:  # noqa: ANN401  as above
    """Return the name of a type whose values are parsed here; typer names the others."""
    item = item_of(hint)
    return f"<{item.__name__}>" if item in PARSERS else None


def _written(verb: Verb, name: str, hint: Any) -> str:  # noqa: ANN401  as above
    """Return the option or the argument for a keyword, as it is written."""
    if is_lines(hint) and name in verb.places:
        return "PRODUCT STORE QUANTITY..."
    shown = NAMES.get(name, name.removesuffix("s") if is_repeated(hint) else name)
    return shown.upper() if name in verb.places else f"--{shown.replace('_', '-')}"


def _typed(hint: Any, about: dict[str, Any]) -> Any:  # noqa: ANN401  a type hint
    """Return the type that typer reads; a parser of its values goes into *about*."""
    if is_lines(hint):
        return list[str]
    if is_pairs(hint):
        about |= {"parser": pair, "metavar": "KEY=VALUE"}
        return list[Any]
    item = item_of(hint)
    if get_origin(item) is Literal:
        about["case_sensitive"] = False
        item = _enum_of(item)
    elif item in PARSERS:
        about["parser"] = PARSERS[item]
    return list[item] if is_repeated(hint) else item  # type: ignore[valid-type]


def _enum_of(literal: Any) -> Any:  # noqa: ANN401  as above
    """Return its choices as typer reads them, alone or in a list."""
    make: Any = Enum
    return make("Choice", {choice: choice for choice in get_args(literal)})
