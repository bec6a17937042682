"""Page tokens: the last key of a page, and a digest over method, filter and key.

A token is not secret. The digest detects a token of another request and a truncated one, which
would be answered wrongly. A client can forge tokens, so the key is validated like any other
value of a request.
"""

import base64
import hashlib
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from google.protobuf.message import Message

from inventory_grpc.domain.values import Malformed
from inventory_grpc.presentation.validation import Validator

M = TypeVar("M", bound=Message)

DEFAULT_SIZE: Final = 100
MAX_SIZE: Final = 1_000
MAX_BYTES: Final = 1024 * 1024
"""A page ends before the row that exceeds this size; it always has one row."""

_DIGEST_SIZE: Final = 12
_SEPARATOR: Final = "\0"
_NOT_DIGESTED: Final = frozenset({"page_size", "page_token", "min_position"})


def size(check: Validator, asked: int) -> int:
    return min(check.number("page_size", asked, 0) or DEFAULT_SIZE, MAX_SIZE)


def token(request: Message, *key: object) -> str:
    """Return the token of the page that starts after *key* in the answer to *request*."""
    text = _SEPARATOR.join(map(str, key)).encode()
    return base64.urlsafe_b64encode(_digest(request, text) + text).decode()


def position(key: str) -> int:
    number = int(key)
    if not 0 <= number < 2**63:
        raise Malformed("must be a position")
    return number


def last_key(
    check: Validator, request: Message, page_token: str, *kinds: Callable[[str], object]
) -> Sequence[str] | None:
    """Return the key after which the page of *page_token* starts; None for the first page.

    Each part of the key is validated by one of *kinds*.
    """
    if not page_token:
        return None
    try:
        decoded = base64.b64decode(page_token, altchars=b"-_", validate=True)
        digest, text = decoded[:_DIGEST_SIZE], decoded[_DIGEST_SIZE:]
        if digest != _digest(request, text):
            raise Malformed("belongs to another request")
        key = text.decode().split(_SEPARATOR)
        for kind, part in zip(kinds, key, strict=True):
            kind(part)
    except ValueError:
        check.violation("page_token", "must be the next_page_token of the same request")
        return None
    return key


def _digest(request: M, key: bytes) -> bytes:
    query = type(request)()
    query.CopyFrom(request)
    query.DiscardUnknownFields()
    for field in query.DESCRIPTOR.fields:
        if field.name in _NOT_DIGESTED:
            query.ClearField(field.name)
    method = query.DESCRIPTOR.full_name.encode()
    asked = query.SerializeToString(deterministic=True)
    return hashlib.blake2b(
        b"\0".join((method, len(asked).to_bytes(4, "big"), asked, key)), digest_size=_DIGEST_SIZE
    ).digest()
