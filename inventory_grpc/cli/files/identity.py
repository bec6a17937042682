"""The request ids of rows: the same row of the same import has the same id, in every run.

The id is made of the name of the import, of what the row says, and of how many equal rows come
before it. So rows can be added, removed and moved between two runs, columns can be in another
order, and two equal rows of one file both count.
"""

from base64 import urlsafe_b64encode
from hashlib import blake2b
from typing import Final

from inventory_grpc.cli.files.text import BadFile

MAX_ROWS: Final = 10_000_000
"""The most rows of one import: the digests of all of them are kept, with 10 to 20 bytes each."""

MAX_REPEATED: Final = 500_000
"""The most rows that come more than once."""

_DIGEST: Final = 12
_LED_BY: Final = 16
"""Characters of the product in an id. A file that is sorted by product has nearly sorted ids,
which an index of the server takes faster than random ones."""


class Identity:
    """Gives the rows of one import their ids."""

    def __init__(self, name: str) -> None:
        self._begun = blake2b(name.encode(), digest_size=_DIGEST)
        self._name = _text(self._begun.digest()[:6])
        self._seen = Digests()

    def __call__(self, led_by: str, content: bytes) -> str:
        """Return the id of the next row, which has *content*.

        Raises:
            BadFile: there are too many rows.
        """
        hashed = self._begun.copy()
        hashed.update(content)
        digest = hashed.digest()
        before = self._seen.add(digest)
        unique = f"{self._name}/{led_by[:_LED_BY]}/{_text(digest)}"
        return f"{unique}.{before}" if before else unique


class Digests:
    """Counts equal digests, in a tenth of the memory of a dictionary.

    It is a table of byte strings, each with the digests of one bucket side by side.
    """

    def __init__(self) -> None:
        self._buckets = [b""] * 65_536
        self._again: dict[bytes, int] = {}
        self._count = 0

    def add(self, digest: bytes) -> int:
        """Count *digest*; return how often it came before.

        Raises:
            BadFile: there are too many.
        """
        number, rest = int.from_bytes(digest[:2]), digest[2:]
        bucket = self._buckets[number]
        size = len(rest)
        place = bucket.find(rest)
        while place % size and place > 0:
            place = bucket.find(rest, place + 1)  # it was found across two digests
        if place < 0:
            self._count += 1
            if self._count > MAX_ROWS:
                raise BadFile(f"it has more than {MAX_ROWS:,} rows; split it")
            self._buckets[number] = bucket + rest
            return 0
        before = self._again.get(digest, 0) + 1
        self._again[digest] = before
        if len(self._again) > MAX_REPEATED:
            raise BadFile(
                f"more than {MAX_REPEATED:,} of its rows come twice; sum up equal rows, or give"
                " each a request_id"
            )
        return before


def _text(digest: bytes) -> str:
    return urlsafe_b64encode(digest).decode()
