"""Builds the image by buildah, without a daemon, and tries it: user, refusal, health, drain.

`--base debootstrap` makes a base from Debian's packages where no registry can be reached.
"""

import argparse
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psutil
import trustme

ROOT: Final = Path(__file__).parents[2]
HERE: Final = Path(__file__).parent
NAME: Final = "inventory-grpc"
USER: Final = "10001"
RELEASE: Final = "bookworm"
START_SECONDS: Final = 60.0

ENVIRONMENT: Final = {
    **os.environ,
    # neither a daemon nor an overlay of file systems, which a container does not allow
    "STORAGE_DRIVER": os.environ.get("STORAGE_DRIVER", "vfs"),
    "BUILDAH_ISOLATION": os.environ.get("BUILDAH_ISOLATION", "chroot"),
}
OF_THIS_MACHINE: Final = ("/etc/pip.conf", "/etc/ssl/certs")
"""Files by which pip reaches its packages: mounted while the image is built, and not in it."""


def buildah(*arguments: str | Path) -> str:
    done = subprocess.run(
        ["buildah", *map(str, arguments)], check=True, env=ENVIRONMENT, stdout=-1, text=True
    )
    return done.stdout.strip()


@contextmanager
def container(image: str) -> Iterator[str]:
    name = buildah("from", image)
    try:
        yield name
    finally:
        buildah("rm", name)


def debian() -> str:
    """Return a base with Python, made from Debian's packages."""
    with tempfile.TemporaryDirectory() as folder:
        packages = "--include=python3,python3-venv,ca-certificates"
        subprocess.run(
            ["debootstrap", "--variant=minbase", packages, RELEASE, folder],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        for downloads in ("var/cache/apt/archives", "var/lib/apt/lists"):
            subprocess.run(["find", f"{folder}/{downloads}", "-type", "f", "-delete"], check=True)
        with container("scratch") as name:
            buildah("add", "--quiet", name, folder, "/")
            buildah("config", "--env", "PATH=/usr/local/bin:/usr/bin:/bin", name)
            buildah("commit", "--quiet", name, f"{NAME}-base")
    return f"localhost/{NAME}-base"


def build(base: str) -> None:
    mounts = [f"--volume={path}:{path}:ro" for path in OF_THIS_MACHINE if Path(path).exists()]
    buildah(
        "build",
        *("--build-arg", f"BASE={base}"),
        *mounts,
        *("--ignorefile", HERE / "Containerfile.dockerignore"),
        *("--file", HERE / "Containerfile"),
        *("--tag", NAME),
        ROOT,
    )


class Tried:
    """A container of the image, in which programs run."""

    def __init__(self, name: str, secrets: Path) -> None:
        self._name = name
        self._secrets = secrets

    def begin(self, *program: str, closed: bool = True) -> "subprocess.Popen[str]":
        """Start *program*; a *closed* one has a certificate and callers."""
        settings = {
            "INVENTORY_LISTEN": "0.0.0.0:0",
            "INVENTORY_METRICS_LISTEN": "",
            **({"INVENTORY_TLS_CERTIFICATE": "/secrets/tls.crt"} if closed else {}),
            **({"INVENTORY_TLS_KEY": "/secrets/tls.key"} if closed else {}),
            **({"INVENTORY_CALLERS": "/secrets/callers.toml"} if closed else {}),
        }
        options = [f"--env={name}={value}" for name, value in settings.items()]
        command = ["buildah", "run", *options, f"--volume={self._secrets}:/secrets:ro"]
        return subprocess.Popen(
            [*command, self._name, "--", *program],
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def told(self, *program: str, closed: bool = True) -> tuple[int, str]:
        process = self.begin(*program, closed=closed)
        answer, said = process.communicate()
        return process.returncode, answer + said


def _secrets(folder: Path) -> None:
    """Write what the user of the image may read."""
    issued = trustme.CA().issue_cert("localhost")
    (folder / "tls.crt").write_bytes(b"".join(one.bytes() for one in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(str(folder / "tls.key"))
    (folder / "callers.toml").touch()
    for file in (folder, *folder.iterdir()):
        os.chown(file, int(USER), int(USER))


def _port(server: "subprocess.Popen[str]") -> str:
    """Return the port as soon as it serves."""
    assert server.stderr
    for line in server.stderr:
        if serving := re.search(r"serving on \S+:(\d+) from", line):
            return serving[1]
    raise SystemExit("the server in the image has ended before it served")


def _terminate(server: "subprocess.Popen[str]") -> None:
    """Send SIGTERM to the server itself, as a runtime does."""
    for process in psutil.Process(server.pid).children(recursive=True):
        if process.cmdline()[-1:] == ["serve"] and "buildah" not in process.name():
            process.send_signal(signal.SIGTERM)


def check(tried: Tried) -> None:
    """Stop with a word if the image does not do what the handbook says."""
    _expect("its user", tried.told("id", "-u"), 0, f"{USER}\n")
    _expect(
        "it refuses plaintext", tried.told("inventory-grpc", "serve", closed=False), 1, "encrypt"
    )
    server = tried.begin("inventory-grpc", "serve")
    address = f"127.0.0.1:{_port(server)}"
    _expect("health", tried.told("inventory-grpc", "health", "--server", address), 0, "SERVING")
    _terminate(server)
    _, said = server.communicate(timeout=START_SECONDS)
    _expect("it drains", (server.returncode, said), 0, "stopped")


def _expect(what: str, told: tuple[int, str], code: int, words: str) -> None:
    print(f"{what}: exit code {told[0]}")
    if told[0] != code or words not in told[1]:
        raise SystemExit(f"{what}: expected {code} and {words!r}, and was told\n{told[1]}")


def main() -> None:
    """Build and try the image."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", default="python:3.12-slim", help="an image, or debootstrap")
    chosen = parser.parse_args()
    began = time.monotonic()
    base = debian() if chosen.base == "debootstrap" else chosen.base
    based = time.monotonic()
    build(base)
    built = time.monotonic()
    with container(NAME) as name, tempfile.TemporaryDirectory() as folder:
        _secrets(Path(folder))
        check(Tried(name, Path(folder)))
    size = buildah("images", "--noheading", "--format", "{{.Size}}", f"localhost/{NAME}")
    print(f"{NAME}: {size}; base {based - began:.0f} s, build {built - based:.0f} s")


if __name__ == "__main__":
    main()
