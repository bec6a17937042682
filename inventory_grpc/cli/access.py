"""The command that creates tokens for callers."""

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
            help="reader: queries and events. operator: also commands. admin: everything."
        ),
    ] = "reader",
) -> None:
    """Create a token, and print its entry for the callers file.

    The token is secret, and the only line on standard output: give it to the caller, who sends
    it with each call as the metadata `authorization: Bearer TOKEN`. Its entry, which contains
    only a hash of it, is printed on standard error.

    Example: `inventory-grpc token checkout --role operator > checkout.token`
    """
    try:
        name = Name(actor)
    except Malformed as error:
        raise typer.BadParameter(f"the name {error}", param_hint="ACTOR") from None
    made = new_token()
    show(f"# The line on standard output is the secret token of {name}.")
    print(made, flush=True)  # noqa: T201  the result
    show("# These lines are its entry for the callers file, and not secret. If the file already")
    show(f"# has an entry of {name}, add the token to that entry.")
    for line in entry_of(name, Role[role.upper()], made):
        show(line)
