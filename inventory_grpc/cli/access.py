"""The command that makes tokens for callers."""

from typing import Annotated

import typer

from inventory_grpc.cli.common import screen
from inventory_grpc.infrastructure.callers_file import hash_of, new_token


def token(
    actor: Annotated[str, typer.Argument(help="Who will use it, such as checkout.")],
    role: Annotated[str, typer.Option(help="reader, operator or admin.")] = "reader",
) -> None:
    """Make a token: print it, and what of it belongs into the file of callers.

    The token itself is written nowhere: give it to the caller, who sends it with each call
    as the metadata `authorization: Bearer TOKEN`.
    """
    made = new_token()
    print(made)  # noqa: T201  the answer
    entry = f'\\[{actor}]\nrole = "{role}"\ntokens = [{{ sha256 = "{hash_of(made)}" }}]'
    screen.print(entry, highlight=False, soft_wrap=True)
