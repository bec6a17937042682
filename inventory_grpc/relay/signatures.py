"""The signatures of webhooks, by the rules of Standard Webhooks: HMAC-SHA256 of id, time, body."""

import base64
import binascii
import hmac
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

from inventory_grpc.relay.target import Unfit

PREFIX: Final = "whsec_"
MIN_BYTES: Final = 24
"""The shortest secret, as the rules have it."""

MAX_SECRETS: Final = 4


def read_secrets(file: Path) -> Sequence[bytes]:
    """Read the secrets in *file*, one a line; while one is replaced by another, both sign.

    Raises:
        Unfit: there is none, or one is malformed.
    """
    try:
        lines = [line.strip() for line in file.read_text("ascii").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise Unfit(f"the secrets in {file} cannot be read: {error}") from error
    if not 1 <= len(lines) <= MAX_SECRETS:
        raise Unfit(f"{file} has {len(lines)} secrets: it must have 1 to {MAX_SECRETS}, one a line")
    return [_secret(line, file) for line in lines]


def _secret(line: str, file: Path) -> bytes:
    try:
        secret = base64.b64decode(line.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        secret = b""
    if not line.startswith(PREFIX) or len(secret) < MIN_BYTES:
        raise Unfit(
            f"a secret in {file} is not {PREFIX} and the base64 of at least {MIN_BYTES} bytes: "
            f"make one by `echo {PREFIX}$(head -c 32 /dev/urandom | base64)`"
        )
    return secret


def signature(secrets: Sequence[bytes], message_id: str, seconds: int, body: bytes) -> str:
    """Return the header `webhook-signature` of a message that is sent at *seconds* since 1970."""
    signed = f"{message_id}.{seconds}.".encode() + body
    digests = (hmac.digest(secret, signed, sha256) for secret in secrets)
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)
