"""Validates tokens before they are sent."""

from typing import Final

MAX_TOKEN: Final = 4_096
"""The most characters of a token; the server accepts 8 KiB of metadata in all."""


def checked_token(token: str) -> str:
    """Return *token* without surrounding white space, such as the newline at the end of a file.

    No error contains the token.

    Raises:
        TypeError: it is not a string.
        ValueError: it cannot be sent as a token.
    """
    if not isinstance(token, str):
        raise TypeError(f"token must be a string, not {type(token).__name__}")
    bare = token.strip()
    if not bare:
        raise ValueError("the token is empty")
    if len(bare) > MAX_TOKEN:
        raise ValueError(
            f"the token has {len(bare):,} characters; at most {MAX_TOKEN:,} can be sent"
        )
    if bare.lower().startswith("bearer "):
        raise ValueError("the token begins with 'Bearer ', which the client adds: leave it out")
    for place, character in enumerate(bare, start=1):
        if not "!" <= character <= "~":
            raise ValueError(
                f"character {place} of the token is U+{ord(character):04X}:"
                " a token may have visible ASCII characters only, and no spaces"
            )
    return bare
