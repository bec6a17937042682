"""A real PgBouncer before a PostgreSQL server of a test's own."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Final
from urllib.parse import quote

import psycopg
import pytest

from tests.support import postgres

SECONDS: Final = 15.0
PROGRAM: Final = "pgbouncer"
MISSING: Final = "PgBouncer is not installed: tests/README.md says how to get it"

_CONFIGURATION: Final = """
[databases]
* = host={postgres} port=5432 pool_size=20
[pgbouncer]
listen_addr =
listen_port = {port}
unix_socket_dir = {folder}
pool_mode = {mode}
auth_type = trust
auth_file = {folder}/users
ignore_startup_parameters = {ignored}
max_client_conn = 200
admin_users = {user}
logfile = {folder}/log
pidfile = {folder}/pid
"""


@dataclass
class PgBouncer:
    """A pooler, which can be killed and begin again at the same place."""

    program: str
    folder: Path
    user: str
    port: int = 6432
    processes: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def url(self, database: str = "postgres", options: str = "") -> str:
        """Return the URL of a database, which leads through the pooler."""
        more = f"&options={quote(options)}" if options else ""
        return f"postgresql://{self.user}@/{database}?host={self.folder}&port={self.port}{more}"

    def start(self) -> None:
        command = [self.program, f"{self.folder}/pgbouncer.ini"]
        if os.geteuid() == 0:
            command = ["runuser", "-u", postgres.USER, "--", *command]
        self.processes.append(
            subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        )
        end = monotonic() + SECONDS
        while not self._answers():
            assert monotonic() < end, (self.folder / "log").read_text("utf-8")
            assert self.processes[-1].poll() is None, (self.folder / "log").read_text("utf-8")
            sleep(0.02)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as tried:
            return not tried.connect_ex(f"{self.folder}/.s.PGSQL.{self.port}")

    def command(self, text: str) -> None:
        """Execute a command of its console, such as RECONNECT."""
        url = self.url("pgbouncer")
        with closing(psycopg.connect(url, autocommit=True, prepare_threshold=None)) as console:
            console.execute(text.encode())

    def kill(self) -> None:
        """End it as nothing can be prepared for."""
        process = int((self.folder / "pid").read_text("ascii"))
        os.kill(process, 9)
        self.processes.pop().wait()
        (self.folder / "pid").unlink(missing_ok=True)
        (self.folder / f".s.PGSQL.{self.port}").unlink(missing_ok=True)


@contextmanager
def pgbouncer(
    server: Path, folder: Path, mode: str, user: str = postgres.USER, ignored: str = "options"
) -> Iterator[PgBouncer]:
    """Run a pooler before the server whose socket is in a folder; without one, skip the test."""
    program = shutil.which(PROGRAM, path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip(MISSING)
    folder.mkdir()
    made = PgBouncer(program, folder, user)
    (folder / "users").write_text(f'"{user}" ""\n', encoding="utf-8")
    (folder / "pgbouncer.ini").write_text(
        _CONFIGURATION.format(
            postgres=server,
            port=made.port,
            folder=folder,
            mode=mode,
            ignored=ignored,
            user=user,
        ),
        encoding="utf-8",
    )
    if os.geteuid() == 0:
        shutil.chown(folder, postgres.USER, postgres.USER)
    try:
        made.start()
        yield made
    finally:
        if made.processes:
            made.kill()
