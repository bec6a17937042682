"""Ids of logs, which name them."""

import secrets
import string
from typing import Final, NamedTuple

LOG_ID_LENGTH: Final = 12


def new_log_id() -> str:
    """Return a unique id for a log: more than 60 random bits."""
    alphabet = string.ascii_lowercase + string.digits
    return "".join(secrets.choice(alphabet) for _ in range(LOG_ID_LENGTH))


class LogName(NamedTuple):
    """A name that a log has had, as it is stored."""

    log_id: str
    after_position: int
    """The end of the log when it got the name."""
    create_time: int
    why: str
