"""A PostgreSQL server of a test's own, which can be killed, copied, and made the primary."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final

import psycopg
import pytest

from tests.support import faked_time, postgres

SECONDS: Final = 30.0
"""The time that a test waits for a server."""

_SETTINGS: Final = (
    "listen_addresses=",
    "max_connections=200",  # a standby needs as many as its primary, which may be the session's
    "shared_buffers=32MB",
    "wal_receiver_status_interval=100ms",
)


@dataclass(frozen=True)
class PostgresServer:
    """One data directory, and the server on it while there is one."""

    programs: Path
    folder: Path
    """It has the data, the socket and the log."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """More variables of the server."""

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def url(self) -> str:
        return url_of(self)

    def initialize(self, *options: str) -> None:
        run = postgres.run
        run(self.programs / "initdb", "-D", self.data, "-U", postgres.USER, "-A", "trust", *options)

    def start(self) -> None:
        """Start it, also when the processes of a killed one are not all gone yet."""
        options = (*_SETTINGS, f"unix_socket_directories={self.folder}")
        end = monotonic() + SECONDS
        while True:
            try:
                postgres.run(
                    *(self.programs / "pg_ctl", "-D", self.data, "-l", self.folder / "log"),
                    *("-o", " ".join(f"-c {one}" for one in options)),
                    *("-w", "-t", f"{SECONDS:.0f}", "start"),
                    environment=self.environment,
                )
            except subprocess.CalledProcessError:
                assert monotonic() < end, (self.folder / "log").read_text("utf-8")
                sleep(0.1)
            else:
                return

    def kill(self) -> None:
        """End all of its processes as nothing can be prepared for."""
        first = self._first_process()
        if first is None:
            return
        for process in (first, *_children(first)):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def stop(self) -> None:
        """Have it write all to its files, and end."""
        postgres.run(self.programs / "pg_ctl", "-D", self.data, "-w", "-m", "fast", "stop")

    def _first_process(self) -> int | None:
        with suppress(FileNotFoundError):
            return int((self.data / "postmaster.pid").read_text("ascii").split()[0])
        return None

    def standby(self, folder: Path) -> "PostgresServer":
        """Make a server that follows this one, and start it."""
        copy = self.base_backup(folder, "--write-recovery-conf")
        copy.start()
        return copy

    def base_backup(self, folder: Path, *options: str) -> "PostgresServer":
        """Copy the files of this server, which runs on, into *folder*."""
        copy = PostgresServer(self.programs, folder)
        postgres.run(
            *(self.programs / "pg_basebackup", "-d", self.url, "-D", copy.data),
            *("--checkpoint=fast", "--wal-method=stream", *options),
        )
        return copy

    def recover_to(self, restore_point: str, archive: Path) -> None:
        """Start a base backup as it was at *restore_point*, with the WAL in *archive*."""
        with (self.data / "postgresql.auto.conf").open("a", encoding="utf-8") as settings:
            settings.write(
                f"restore_command = 'cp {archive}/%f %p'\n"
                f"recovery_target_name = '{restore_point}'\n"
                "recovery_target_action = 'promote'\n"
            )
        (self.data / "recovery.signal").touch()
        self.start()
        self.wait_for("SELECT NOT pg_is_in_recovery()")

    def upgrade(self, older: "PostgresServer") -> None:
        """Start with the files of a server of an earlier version, which has ended."""
        self.initialize("--no-data-checksums")  # as earlier versions have it
        options = f"-b {older.programs} -B {self.programs} -d {older.data} -D {self.data}"
        pg_upgrade = f"cd {self.folder} && {self.programs}/pg_upgrade {options} -U {postgres.USER}"
        postgres.run(Path("/bin/sh"), "-c", pg_upgrade)
        self.start()

    def promote(self) -> None:
        """Have a standby accept writes."""
        postgres.run(self.programs / "pg_ctl", "-D", self.data, "-w", "promote")

    def restore_dump_of(self, other: "PostgresServer") -> None:
        """Put the dump of another server's database into that of this one."""
        dump = self.folder / "dump"
        postgres.run(self.programs / "pg_dump", "-d", other.url, "-F", "c", "-f", dump)
        postgres.run(self.programs / "pg_restore", "-d", self.url, "--exit-on-error", dump)

    def hear_no_more(self) -> None:
        """Have a standby receive nothing any more."""
        self.configure("primary_conninfo", "")
        self.wait_for("SELECT count(*) = 0 FROM pg_stat_wal_receiver")

    def wait_for(self, condition: str) -> None:
        """Return when a query of the server says that *condition* is true."""
        end = monotonic() + SECONDS
        while self.query(condition) != [(True,)]:
            assert monotonic() < end, condition
            sleep(0.02)

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(statement.encode()).fetchall()

    def configure(self, name: str, value: str) -> None:
        """Change a setting, at once and for later starts."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"ALTER SYSTEM SET {name} = '{value}'".encode())
            connection.execute("SELECT pg_reload_conf()")


def url_of(*servers: PostgresServer) -> str:
    """Return the URL of the one of *servers* that is the primary."""
    hosts = ",".join(f"{server.folder}" for server in servers)
    return f"postgresql://{postgres.USER}@/postgres?host={hosts}"


@contextmanager
def own_folder() -> Iterator[Path]:
    """Make a folder for a server; on leaving, the server in it is killed and the folder gone."""
    programs = postgres.programs()
    if programs is None:
        pytest.skip(postgres.MISSING)
    folder = postgres.new_folder()
    with postgres.end_with_this_process(programs, folder):
        try:
            yield folder
        finally:
            PostgresServer(programs, folder).kill()
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def own_server(clock: str = "") -> Iterator[PostgresServer]:
    """Run a server with an empty database; its wall clock is that of a file in its folder, if any.

    The server has the time that the file says, see `faked_time`.
    """
    with own_folder() as folder:
        programs = postgres.programs()
        assert programs is not None
        environment = faked_time.environment(folder / clock) if clock else {}
        server = PostgresServer(programs, folder, environment)
        server.initialize()
        server.start()
        yield server


def _children(process: int) -> list[int]:
    """Return the processes that *process* has started."""
    found = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", f"{process}"], capture_output=True, check=False, text=True
    )
    return [int(pid) for pid in found.stdout.split()]
