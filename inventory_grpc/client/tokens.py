"""Tokens: the form in which they can be sent."""

from typing import Final

MAX_TOKEN: Final = 4_096
"""Characters; the server takes 8 KiB of metadata in all."""


def checked_token(token: str) -> str:
    """Return *token* without the space around it, which files have: a newline at the end.

    No error shows any of it.

    Raises:
        TypeError: it is no string.
        ValueError: it is nothing that can be sent as a token.
    """
    if not isinstance(token, str):
        raise TypeError(f"token must be a string, not {type(token).__name__}")
    bare = token.strip()
    if not bare:
        raise ValueError("the token is empty")
    if len(bare) > MAX_TOKEN:
        raise ValueError(f"the token has {len(bare):,} characters; at most {MAX_TOKEN:,} are sent")
    if bare.lower().startswith("bearer "):
        raise ValueError("the token begins with 'Bearer ', which the client adds: leave it out")
    for place, character in enumerate(bare, start=1):
        if not "!" <= character <= "~":
            raise ValueError(
                f"character {place} of the token is U+{ord(character):04X}:"
                " a token has visible ASCII characters only, and no space"
            )
    return bare
