"""The real Envoy with the project's configuration, in a process of its own."""

import json
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final

import httpx
import yaml

from tests.support.server_process import ROOT
from tests.support.tools import find_tool

CONFIGURATION: Final = ROOT / "scripts/deploy/envoy/envoy.yaml"
DESCRIPTORS: Final = ROOT / "generated/inventory.binpb"
SECONDS: Final = 20.0

Config = dict[str, Any]


def unchanged(_config: Config) -> None:
    """Leave the configuration as it is."""


def configuration() -> Config:
    """Return the configuration that the project ships."""
    config: Config = yaml.safe_load(CONFIGURATION.read_text("utf-8"))
    return config


def connection_manager(config: Config) -> Config:
    """Return the part of *config* that is about HTTP."""
    [chain] = config["static_resources"]["listeners"][0]["filter_chains"]
    manager: Config = chain["filters"][0]["typed_config"]
    return manager


def routes(config: Config) -> list[Config]:
    [host] = connection_manager(config)["route_config"]["virtual_hosts"]
    found: list[Config] = host["routes"]
    return found


def http_filter(config: Config, name: str) -> Config:
    [settings] = [
        one["typed_config"]
        for one in connection_manager(config)["http_filters"]
        if one["name"] == f"envoy.filters.http.{name}"
    ]
    found: Config = settings
    return found


@dataclass(frozen=True)
class Gateway:
    """An Envoy that was started; its access log is on its standard output."""

    process: subprocess.Popen[bytes]
    address: str
    admin: str
    access_log: Path

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def http(self) -> httpx.Client:
        """Return a client of HTTP/1.1, as a web page or curl is."""
        return httpx.Client(base_url=self.url, timeout=SECONDS, trust_env=False)

    def healthy_backends(self) -> int:
        return sum(_is_healthy(host) for host in self._backends())

    def connections_to(self, backend: str) -> int:
        [host] = [
            host
            for host in self._backends()
            if f"{host['address']['socket_address']['port_value']}" == backend.rpartition(":")[2]
        ]
        stats = {one["name"]: int(one.get("value", 0)) for one in host["stats"]}
        return stats["cx_active"]

    def _backends(self) -> list[Config]:
        told = httpx.get(f"{self.admin}/clusters?format=json", trust_env=False).json()
        [cluster] = told["cluster_statuses"]
        found: list[Config] = cluster.get("host_statuses", [])
        return found

    def wait_for_backends(self, number: int) -> None:
        """Return when so many backends are healthy."""
        wait_until(lambda: self.healthy_backends() == number)

    def logged(self) -> list[dict[str, Any]]:
        """End it, because it writes its log late; return the lines."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(SECONDS)
        return [json.loads(line) for line in self.access_log.read_text("utf-8").splitlines()]


def _is_healthy(host: Mapping[str, Any]) -> bool:
    health = dict(host["health_status"])
    return health == {"eds_health_status": "HEALTHY"}


@contextmanager
def gateway(
    folder: Path,
    backends: Sequence[str],
    change: Callable[[Config], None] = unchanged,
    *,
    healthy: int | None = None,
) -> Iterator[Gateway]:
    """Run Envoy before *backends*, on ports that are free; on leaving, see that it is gone.

    It has found so many of them healthy, or all.
    """
    config = configuration()
    change(config)
    _localize(config, backends)
    file, admin_file, access_log = (folder / name for name in ("envoy.yaml", "admin", "access.log"))
    file.write_text(json.dumps(config), "utf-8")
    admin_file.unlink(missing_ok=True)
    command = [find_tool("envoy"), "-c", str(file), "--use-dynamic-base-id", "--concurrency", "1"]
    command += ["-l", "warning", "--admin-address-path", str(admin_file)]
    with access_log.open("wb") as log, (folder / "envoy.log").open("wb") as errors:
        process = subprocess.Popen(command, stdout=log, stderr=errors)
    try:
        admin, address = _addresses(process, admin_file, folder / "envoy.log")
        started = Gateway(process, address, admin, access_log)
        started.wait_for_backends(len(backends) if healthy is None else healthy)
        yield started
    finally:
        process.kill()
        process.wait()


def _localize(config: Config, backends: Sequence[str]) -> None:
    """Replace what is of this machine: ports, backends and the place of a file."""
    config["admin"]["address"]["socket_address"]["port_value"] = 0
    [listener] = config["static_resources"]["listeners"]
    listener["address"]["socket_address"]["port_value"] = 0
    [cluster] = config["static_resources"]["clusters"]
    # by default a backend that has become healthy may get no calls for a second
    cluster.setdefault("common_lb_config", {})["update_merge_window"] = "0s"
    [endpoints] = cluster["load_assignment"]["endpoints"]
    endpoints["lb_endpoints"] = [
        {"endpoint": {"address": {"socket_address": _socket_address(backend)}}}
        for backend in backends
    ]
    for settings in _transcoders(config):
        settings["proto_descriptor"] = str(DESCRIPTORS)


def _transcoders(config: Config) -> Iterator[Config]:
    yield http_filter(config, "grpc_json_transcoder")
    for route in routes(config):
        own = route.get("typed_per_filter_config", {})
        if "envoy.filters.http.grpc_json_transcoder" in own:
            yield own["envoy.filters.http.grpc_json_transcoder"]


def _socket_address(address: str) -> dict[str, object]:
    host, _, port = address.rpartition(":")
    return {"address": host, "port_value": int(port)}


def _addresses(process: subprocess.Popen[bytes], admin_file: Path, errors: Path) -> tuple[str, str]:
    """Wait until Envoy serves; return the URL of its admin page and its address."""

    def has_started() -> bool:
        assert process.poll() is None, errors.read_text("utf-8")
        with suppress(httpx.HTTPError):
            return admin_file.exists() and bool(_listeners(admin_file))
        return False

    wait_until(has_started)
    [address] = _listeners(admin_file)
    return _admin(admin_file), address


def _admin(admin_file: Path) -> str:
    return f"http://{admin_file.read_text('utf-8').strip()}"


def _listeners(admin_file: Path) -> list[str]:
    listening = httpx.get(f"{_admin(admin_file)}/listeners?format=json", trust_env=False).json()
    places = [
        one["local_address"]["socket_address"] for one in listening.get("listener_statuses", ())
    ]
    return [f"{one['address']}:{one['port_value']}" for one in places]


def wait_until(holds: Callable[[], bool]) -> None:
    """Return when *holds* does; fail if that takes too long."""
    end = monotonic() + SECONDS
    while not holds():
        assert monotonic() < end, "it takes too long"
        sleep(0.02)
