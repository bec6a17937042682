"""The Helm chart as the real Helm renders it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.server_process import ROOT

CHART: Final = ROOT / "scripts/deploy/helm/inventory"
MISSING: Final = "is not installed: make tools"

CLOSED: Final[Mapping[str, Any]] = {"tls": {"secret": "shop-tls"}, "callers": {"secret": "shop"}}
"""Values for TLS and known callers."""

STRICT: Final[Mapping[str, Any]] = {
    **CLOSED,
    "tls": {"secret": "shop-tls", "clientCaSecret": "authority"},
    "health": "token",
    "probe": {"tlsSecret": "probe", "tokenSecret": "probe"},
}
"""Values for client certificates, and for health checks that need a token."""

OPEN: Final[Mapping[str, Any]] = {"allowPlaintext": True, "allowAnonymous": True}

MONITORED: Final[Mapping[str, Any]] = {
    "serviceMonitor": {
        "enabled": True,
        "caSecret": "authority",
        "tokenSecret": "prometheus",
        "tlsSecret": "prometheus-tls",
    }
}


def helm() -> Any:  # noqa: ANN401  a module without types
    return pytest.importorskip("helm_python", reason=f"helm-python-sdk {MISSING}")


def rendered(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the objects of a release named shop, by their kinds.

    Raises:
        HelmError: the values are refused.
    """
    yaml = pytest.importorskip("yaml", reason=f"pyyaml {MISSING}")
    with helm().Chart.load(CHART) as chart:
        chart.validate_schema(values)
        texts = chart.render(values=values, name="shop", namespace="default").values()
    objects = [one for text in texts for one in yaml.safe_load_all(text) if one]
    assert len({one["kind"] for one in objects}) == len(objects)
    return {one["kind"]: one for one in objects}


def server_of(objects: Mapping[str, Any]) -> Any:  # noqa: ANN401  part of a rendered object
    """Return the container of the server."""
    return objects["StatefulSet"]["spec"]["template"]["spec"]["containers"][0]


def environment_of(container: Mapping[str, Any]) -> dict[str, str]:
    """Return its variables, without those that the cluster has the values of."""
    return {one["name"]: one["value"] for one in container["env"] if "value" in one}


def folder_of(container: Mapping[str, Any], volume: str) -> Path:
    """Return where *container* has the *volume*."""
    [path] = [one["mountPath"] for one in container["volumeMounts"] if one["name"] == volume]
    return Path(path)
