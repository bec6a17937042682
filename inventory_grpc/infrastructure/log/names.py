"""Ids of logs."""

import secrets
import string
from typing import Final

LOG_ID_LENGTH: Final = 12


def new_log_id() -> str:
    """Return a unique id for a log: more than 60 random bits."""
    alphabet = string.ascii_lowercase + string.digits
    return "".join(secrets.choice(alphabet) for _ in range(LOG_ID_LENGTH))
