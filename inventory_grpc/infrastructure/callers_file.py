"""The callers, read from a TOML file that may be edited while servers run.

    [checkout]
    role = "operator"                 # reader, operator or admin
    stores = ["lisbon", "porto"]      # left out: all
    tokens = [
      { sha256 = "9f86d0…", until = 2027-01-31T00:00:00Z },
      { sha256 = "60303a…" },         # while tokens are rotated, both are valid
    ]
    certificates = ["checkout.example.com"]   # subject alternative names, for mutual TLS

The file has only hashes of tokens. A token is 256 random bits that cannot be guessed, so one
round of SHA-256 is enough. A token is looked up by its hash, which a caller cannot choose, so
the time of a look-up reveals nothing about existing tokens.
"""

import hashlib
import json
import logging
import re
import secrets
import time
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

from inventory_grpc.application.access import EVERYWHERE, Caller, Role, Scope
from inventory_grpc.domain.values import Malformed, Name, StoreId

_log = logging.getLogger(__name__)

MAX_BYTES: Final = 1024 * 1024
MAX_STORES: Final = 1_000
"""The most stores of one caller; to allow more, allow all, or use several names."""

TOKEN_BYTES: Final = 32
TOKEN_PREFIX: Final = "inv_"  # noqa: S105  the start of every token
"""It lets secret scanners recognize a leaked token."""

_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
"""A name that TOML accepts without quotes; with a dot it would be two names."""

_PLACE: Final = re.compile(r" \(at (line \d+, column \d+|end of document)\)")
_TWICE: Final = re.compile(r"Cannot (declare|overwrite)")
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_KEYS: Final = frozenset({"role", "stores", "tokens", "certificates"})


class BadCallers(ValueError):
    """The callers file is invalid; the message says where, and contains no secret."""


class _Token(NamedTuple):
    caller: Caller
    until: float | None


@dataclass(frozen=True)
class _Known:
    tokens: Mapping[str, _Token]
    certificates: Mapping[str, Caller]


class CallersFile:
    """The `Callers` named in a file, as of the last valid version that `reload` read."""

    def __init__(self, path: Path, now: Callable[[], float] = time.time) -> None:
        """Read the file.

        Raises:
            BadCallers: it is invalid.
        """
        self._path = path
        self._now = now
        self._seen = _state(path)
        self._known = _read(path)
        self._warn_if_empty()

    def by_token(self, token: str) -> Caller | None:
        known = self._known.tokens.get(hash_of(token))
        if known is None or (known.until is not None and known.until <= self._now()):
            return None
        return known.caller

    def by_certificate(self, names: Iterable[str]) -> Caller | None:
        certificates = self._known.certificates
        return next((certificates[name] for name in names if name in certificates), None)

    def reload(self) -> None:
        """Read the file again if it has changed; an invalid file is logged and not used."""
        try:
            state = _state(self._path)
            if state == self._seen:
                return
            self._seen = state
            self._known = _read(self._path)
        except BadCallers as error:
            _log.error("the callers are unchanged: %s", error)
        else:
            _log.info("reloaded the callers from %s", self._path)
            self._warn_if_empty()

    def _warn_if_empty(self) -> None:
        if not self._known.tokens and not self._known.certificates:
            _log.warning(
                "%s has neither a token nor a certificate: every call is refused; "
                "`inventory-grpc token` prints an entry",
                self._path,
            )


def new_token() -> str:
    return TOKEN_PREFIX + secrets.token_urlsafe(TOKEN_BYTES)


def hash_of(token: str) -> str:
    """Return the hash of *token*, which is what may be stored."""
    return hashlib.sha256(token.encode()).hexdigest()


def entry_of(actor: Name, role: Role, token: str) -> Sequence[str]:
    """Return the lines of the file that admit *actor* with *token*."""
    return [
        f"[{actor if _BARE_KEY.fullmatch(actor) else json.dumps(actor)}]",
        f'role = "{role.name.lower()}"',
        f'tokens = [{{ sha256 = "{hash_of(token)}" }}]',
    ]


def _state(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError as error:
        raise BadCallers(f"{path}: {error.strerror}") from None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _read(path: Path) -> _Known:
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadCallers(f"{path}: {error.strerror}") from None
    if len(text) > MAX_BYTES:
        raise BadCallers(f"{path}: is larger than {MAX_BYTES:,} bytes")
    try:
        entries = tomllib.loads(text.decode("utf-8"))
    except Exception as error:  # noqa: BLE001  even a number of 5,000 digits, or nested brackets
        # the rest of its message would quote the file
        place = _PLACE.search(str(error))
        fault = "has an entry twice" if _TWICE.match(str(error)) else "is not TOML"
        raise BadCallers(f"{path}: {fault}{place[0] if place else ''}") from None
    tokens: dict[str, _Token] = {}
    certificates: dict[str, Caller] = {}
    for actor, entry in entries.items():
        at = f"{path}: [{actor}]"
        caller = _caller(at, actor, entry)
        for token in entry.get("tokens", ()):
            digest, until = _token(at, token)
            _add(tokens, digest, _Token(caller, until), f"{at} has a duplicate token")
        for name in entry.get("certificates", ()):
            _add(certificates, name, caller, f"{at} has a duplicate certificate")
    return _Known(tokens, certificates)


def _caller(at: str, actor: str, entry: Any) -> Caller:  # noqa: ANN401  any TOML value
    if not isinstance(entry, dict):
        raise BadCallers(f"{at} must be a table, such as [checkout]")
    if unknown := sorted(set(entry) - _KEYS):
        is_table = isinstance(entry[unknown[0]], dict)
        hint = f'; a name with a dot needs quotes: ["{actor}.{unknown[0]}"]' if is_table else ""
        known = ", ".join(sorted(_KEYS))
        raise BadCallers(f"{at} has the unknown key {unknown[0]}; known are {known}{hint}")
    for key in ("stores", "tokens", "certificates"):
        if key in entry and not (isinstance(entry[key], list) and entry[key]):
            raise BadCallers(f"{at} {key} must be a list that is not empty, or be left out")
    try:
        role = Role[str(entry.get("role")).upper()]
    except KeyError:
        roles = ", ".join(role.name.lower() for role in Role)
        raise BadCallers(f"{at} role must be one of {roles}") from None
    stores = entry.get("stores")
    if stores is not None and len(stores) > MAX_STORES:
        raise BadCallers(f"{at} stores must be at most {MAX_STORES:,}")
    try:
        name = Name(actor)
    except Malformed as error:
        raise BadCallers(f"{at} the name {error}") from None
    return Caller(name, role, EVERYWHERE if stores is None else _scope(at, stores))


def _scope(at: str, stores: Sequence[object]) -> Scope:
    if not all(isinstance(store, str) for store in stores):
        raise BadCallers(f"{at} stores must be names in quotes")
    try:
        return Scope(frozenset(map(StoreId, cast("Sequence[str]", stores))))
    except Malformed as error:
        raise BadCallers(f"{at} stores: one {error}") from None


def _token(at: str, entry: Any) -> tuple[str, float | None]:  # noqa: ANN401  as above
    digest = entry.get("sha256") if isinstance(entry, dict) else None
    if (
        not isinstance(digest, str)
        or not _HASH.fullmatch(digest)
        or entry.keys() - {"until"} != {"sha256"}
    ):
        raise BadCallers(
            f'{at} tokens must be like {{ sha256 = "64 hexadecimal digits", until = TIME }}'
        )
    until = entry.get("until")
    if until is None:
        return digest, None
    if not isinstance(until, datetime) or until.tzinfo is None:
        raise BadCallers(f"{at} until must be a time with a zone, such as 2027-01-31T00:00:00Z")
    return digest, until.timestamp()


def _add(table: dict[str, Any], key: object, value: object, problem: str) -> None:
    if not isinstance(key, str) or key in table:
        raise BadCallers(problem)
    table[key] = value
