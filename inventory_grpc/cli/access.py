"""The command that makes tokens for callers."""

from typing import Annotated, Literal

import typer

from inventory_grpc.application.access import Role
from inventory_grpc.cli.common import show
from inventory_grpc.domain.values import Malformed, Name
from inventory_grpc.infrastructure.callers_file import entry_of, new_token

RoleName = Literal["reader", "operator", "admin"]


def token(
    actor: Annotated[str, typer.Argument(help="The name of the caller, such as checkout.")],
    role: Annotated[
        RoleName,
        typer.Option(
            help="reader: queries and events. operator: commands, too. admin: everything."
        ),
    ] = "reader",
) -> None:
    """Make a token: print it, and its entry for the file of callers.

    The token is the secret, and the only line on standard output: give it to the caller, who
    sends it with each call as the metadata `authorization: Bearer TOKEN`. Its entry, which
    holds a hash of it, is on standard error.
    """
    try:
        name = Name(actor)
    except Malformed as error:
        raise typer.BadParameter(f"the name {error}", param_hint="ACTOR") from None
    made = new_token()
    show(f"# The line on standard output is the secret: it is for {name} alone.")
    print(made, flush=True)  # noqa: T201  the answer
    show("# These lines are its entry for the file of callers, and no secret. Where the file has")
    show(f"# an entry of {name}, add the token to it.")
    for line in entry_of(name, Role[role.upper()], made):
        show(line)
