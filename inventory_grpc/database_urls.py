"""The URLs of databases and of a cache, as settings have them."""

import re
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

from inventory_grpc.bad_setting import BadSetting, shown

MAX_SCHEMA_BYTES: Final = 63
"""PostgreSQL cuts longer names."""

_MAX_PORT: Final = 65_535

_CACHE: Final = re.compile(
    r"(valkeys?|rediss?)://([^@/?#\s]+@)?[^/?#@:\s]+(:(?P<port>[0-9]{1,5}))?(/[0-9]{0,3})?",
    re.ASCII,
)

_PASSWORD: Final = re.compile(r"://[^/?@]*:[^/?@]*@|[?&]password=")


def check_urls(database: str | Path, replicas: str | None, schema: str) -> None:
    """Refuse what is no place for a log, and a secret, which log lines would show.

    Raises:
        BadSetting: one of them is invalid.
    """
    for name, url in (("database", database), ("database_replicas", replicas)):
        if isinstance(url, str) and _PASSWORD.search(url):
            raise BadSetting(
                f"{name}: must not have a password; put that into the file ~/.pgpass, or into "
                "one that PGPASSFILE names"
            )
    if replicas is not None and not is_postgres(replicas):
        raise BadSetting(
            f"database_replicas: {shown(replicas)} is not the URL of standbys in PostgreSQL, "
            "such as postgresql://replica.example.com/inventory"
        )
    if replicas is not None and not isinstance(database, str):
        raise BadSetting("database_replicas: only a database in PostgreSQL has replicas")
    if "\0" in schema or len(schema.encode()) > MAX_SCHEMA_BYTES:
        raise BadSetting(
            f"schema: must be a name of at most {MAX_SCHEMA_BYTES} bytes, and is {shown(schema)}"
        )


def check_cache_url(url: str | None) -> None:
    """Refuse what is no place for a shared cache; the error does not repeat it, with a password.

    Raises:
        BadSetting: it is invalid.
    """
    if url is None:
        return
    found = _CACHE.fullmatch(url)
    if not found or int(found["port"] or 0) > _MAX_PORT:
        raise BadSetting(
            "shared_cache: must be valkey://HOST:PORT or valkeys://HOST:PORT, and may have the "
            "number of a database, such as valkey://cache.example.com:6379/0"
        )


def is_postgres(database: str) -> bool:
    """Return whether *database* is the URL of a PostgreSQL database, as libpq has it."""
    return database.startswith(("postgresql://", "postgres://"))


def in_schema(url: str, schema: str) -> str:
    """Return *url* with an option of the session that makes *schema* its only one."""
    base, _, query = url.partition("?")
    kept, options = [], ""
    for part in filter(None, query.split("&")):
        if part.startswith("options="):
            options = unquote(part.removeprefix("options=")) + " "
        else:
            kept.append(part)
    name = schema.replace('"', '""')
    escaped = re.sub(r"([\\\s])", r"\\\1", f'"{name}"')
    kept.append(f"options={quote(f'{options}-csearch_path={escaped}')}")
    return f"{base}?{'&'.join(kept)}"
