"""The pod of the chart runs a real server with its probes, and makes copies."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import psutil
import pytest
import trustme

from tests.support.chart import (
    CLOSED,
    OPEN,
    STRICT,
    environment_of,
    folder_of,
    rendered,
    server_of,
)
from tests.support.keyring import Keyring
from tests.support.server_process import ENVIRONMENT, server_process
from tests.support.waiting import eventually

PATHS: Final = (
    *("/tls/tls.crt", "/tls/tls.key", "/client-ca/ca.crt", "/callers/callers.toml"),
    *("/probe/tls.crt", "/probe/tls.key", "/probe/token"),
)
"""The files of all secrets in the pod."""

NEXT_CENTURY: Final = 4_102_444_800
"""A time of files that a wrong clock has made."""

PROBES: Final = ("startup", "readiness", "liveness")


async def _probed(values: Mapping[str, Any], folder: Path) -> None:
    """Serve as the pod does, with real files in the place of its secrets, and run its probes."""
    container = server_of(rendered(values))
    files = _secrets_in(folder)
    environment = {
        name: str(files.get(value, value)) for name, value in environment_of(container).items()
    }
    async with server_process(
        folder / "i.db",
        folder / "log",
        *("--listen", "0.0.0.0:0"),
        environment={**environment, "INVENTORY_METRICS_LISTEN": ""},
    ) as running:
        port = (await running.address()).rpartition(":")[2]
        for name in PROBES:
            command = _with_files(container[f"{name}Probe"]["exec"]["command"], files, port)
            done = await asyncio.to_thread(_run, command)
            assert (done.returncode, done.stdout) == (0, "SERVING\n"), done.stderr
        asked = await asyncio.to_thread(
            _run, ["inventory-grpc", "health", f"--server=[::1]:{port}"]
        )
        assert (asked.returncode == 0) == (values["health"] == "open")
        running.terminate()
        assert await running.ended() == 0
    done = await asyncio.to_thread(_run, command)
    assert done.returncode == 1


def _secrets_in(folder: Path) -> dict[str, Path]:
    """Return the files that the secrets of a release would have, by their paths in the pod."""
    authority = trustme.CA()
    files = {path: folder / path.strip("/").replace("/", "-") for path in PATHS}
    for certificate, key in (
        ("/tls/tls.crt", "/tls/tls.key"),
        ("/probe/tls.crt", "/probe/tls.key"),
    ):
        issued = authority.issue_cert("shop.example.com")
        issued.cert_chain_pems[0].write_to_path(str(files[certificate]))
        issued.private_key_pem.write_to_path(str(files[key]))
    authority.cert_pem.write_to_path(str(files["/client-ca/ca.crt"]))
    token = Keyring(files["/callers/callers.toml"]).add("probe", "reader")
    files["/probe/token"].write_text(f"{token}\n", "ascii")
    return files


def _with_files(command: list[str], files: Mapping[str, Path], port: str) -> list[str]:
    for path, file in files.items():
        command = [part.replace(f"={path}", f"={file}") for part in command]
    return [part.replace(":50051", f":{port}") for part in command]


@pytest.mark.parametrize(
    "values",
    [
        {**CLOSED, "health": "open"},
        STRICT,
        {**CLOSED, "health": "token", "probe": {"tokenSecret": "probe"}},
        {
            **CLOSED,
            "tls": {"secret": ""},
            "allowPlaintext": True,
            "health": "token",
            "probe": {"tokenSecret": "probe"},
        },
    ],
    ids=["closed", "strict", "token", "token in plaintext"],
)
async def test_the_probes_and_the_environment_of_a_pod_work_with_a_real_server(
    values: Mapping[str, Any], tmp_path: Path
) -> None:
    await _probed(values, tmp_path)


@pytest.mark.parametrize("values", [CLOSED, STRICT], ids=["closed", "strict"])
def test_each_file_that_the_server_and_the_probes_read_is_in_a_volume(
    values: Mapping[str, Any],
) -> None:
    pod = rendered(values)["StatefulSet"]["spec"]["template"]["spec"]
    container = server_of(rendered(values))
    mounts = {one["mountPath"]: one["name"] for one in container["volumeMounts"]}
    assert {*mounts.values()} <= {one["name"] for one in pod["volumes"]} | {"data"}
    files = set(_files_of(container)) & {*PATHS}
    assert len(files) == (len(PATHS) if values is STRICT else 3)
    assert {str(Path(file).parent) for file in files} <= mounts.keys()
    for volume in pod["volumes"]:
        for source in volume.get("projected", {}).get("sources", ()):
            items = {f"/{volume['name']}/{one['path']}" for one in source["secret"]["items"]}
            assert items <= files


def _files_of(container: Mapping[str, Any]) -> Iterator[str]:
    yield from environment_of(container).values()
    for name in PROBES:
        for part in container[f"{name}Probe"]["exec"]["command"]:
            yield part.partition("=")[2]


def _path_with_the_program() -> dict[str, str]:
    folder = Path(sys.executable).parent
    return {**ENVIRONMENT, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def _run(command: list[str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command, capture_output=True, check=False, env=_path_with_the_program(), text=True
    )


async def test_the_second_container_makes_a_copy_when_the_newest_is_too_old(
    tmp_path: Path,
) -> None:
    (backups := tmp_path / "backups").mkdir()
    pod = rendered({**OPEN, "backup": {"enabled": True}})["StatefulSet"]["spec"]["template"]["spec"]
    [backup] = [one for one in pod["containers"] if one["name"] == "backup"]
    assert folder_of(backup, "data") == Path(environment_of(backup)["INVENTORY_DATABASE"]).parent
    shell, *options, script = backup["command"]
    for old, new in (
        (str(folder_of(backup, "tmp")), str(tmp_path)),
        (str(folder_of(backup, "backups")), str(backups)),
        ("sleep 300", "sleep 0.1"),
    ):
        assert old in script
        script = script.replace(old, new)
    database = tmp_path / "inventory.db"
    environment = {**_path_with_the_program(), "INVENTORY_DATABASE": str(database)}
    async with server_process(database, tmp_path / "log"):
        process = subprocess.Popen(  # noqa: ASYNC220  it runs beside the test
            [shell, *options, script], env=environment, stderr=subprocess.PIPE
        )
        try:
            await eventually(lambda: len(list(backups.glob("inventory-*.db"))) == 1)
            [first] = backups.glob("inventory-*.db")
            os.utime(first, (0, 0))
            await eventually(lambda: len(list(backups.glob("inventory-*.db"))) == 2)
            for copy in backups.glob("inventory-*.db"):
                os.utime(copy, (NEXT_CENTURY, NEXT_CENTURY))
            await eventually(lambda: len(list(backups.glob("inventory-*.db"))) == 3)
            before = psutil.Process(process.pid).children()
            await eventually(lambda: psutil.Process(process.pid).children() != before)
            assert len(list(backups.glob("inventory-*.db"))) == 3
        finally:
            process.send_signal(signal.SIGTERM)
            _, told = await asyncio.to_thread(process.communicate)
    assert process.returncode == 0
    assert told.count(b"0 differences in 0 events of the copy") == 3
