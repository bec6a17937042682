"""The chart, rendered by the real Helm, is valid for Kubernetes, and refuses senseless values."""

from collections.abc import Mapping
from typing import Any, Final

import pytest

from inventory_grpc.server.environment import load, unknown, variable
from inventory_grpc.server.supervisor import LAST_SECONDS
from inventory_grpc.server.worker_link import OVERTIME_SECONDS
from inventory_grpc.settings import Settings
from tests.support.chart import (
    CHART,
    CLOSED,
    MISSING,
    MONITORED,
    OPEN,
    STRICT,
    environment_of,
    helm,
    rendered,
    server_of,
)

KUBERNETES: Final = ("1.34", "1.37")
CUSTOM: Final = {"ServiceMonitor"}
"""Kinds of operators, for which Kubernetes itself has no schema."""

ALL: Final = {
    **STRICT,
    **MONITORED,
    "backup": {"enabled": True, "className": "slow"},
    "workers": 2,
    "settings": {"max_commands": 4_000_000, "durability": "relaxed", "create": False},
    "env": [
        {
            "name": "OTEL_EXPORTER_OTLP_HEADERS",
            "valueFrom": {"secretKeyRef": {"name": "traces", "key": "headers"}},
        }
    ],
    "imagePullSecrets": [{"name": "registry"}],
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "disk", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "podAnnotations": {"team": "shop"},
    "podLabels": {"team": "shop"},
    "networkPolicy": {"from": [{"namespaceSelector": {"matchLabels": {"team": "shop"}}}]},
}

each_release = pytest.mark.parametrize("values", [OPEN, CLOSED, ALL], ids=["open", "closed", "all"])


def test_helm_finds_no_fault_with_the_chart() -> None:
    told = helm().chart.lint(str(CHART))
    assert [one["error"] for one in told["messages"]] == ["icon is recommended"]
    assert not told["errors"]


@each_release
@pytest.mark.parametrize("version", KUBERNETES)
def test_each_object_is_valid_for_kubernetes(values: Mapping[str, Any], version: str) -> None:
    validate = pytest.importorskip(
        "kubernetes_validate", reason=f"kubernetes-validate {MISSING}"
    ).validate
    objects = rendered(values)
    for kind in objects.keys() - CUSTOM:
        validate(objects[kind], version, strict=True)
    wrong = objects["Service"]
    wrong["spec"]["ports"][0]["port"] = "x"
    with pytest.raises(Exception, match="'x' is not"):
        validate(wrong, version, strict=True)


def test_the_pod_that_restores_is_valid_and_has_the_volumes_of_the_release() -> None:
    validate = pytest.importorskip(
        "kubernetes_validate", reason=f"kubernetes-validate {MISSING}"
    ).validate
    yaml = pytest.importorskip("yaml", reason=f"pyyaml {MISSING}")
    pod = yaml.safe_load((CHART.parent / "restore.yaml").read_text("utf-8"))
    validate(pod, KUBERNETES[-1], strict=True)
    stateful = rendered(ALL)["StatefulSet"]
    claims = {
        f"{one['metadata']['name']}-{stateful['metadata']['name']}-0"
        for one in stateful["spec"]["volumeClaimTemplates"]
    }
    mounted = [one.get("persistentVolumeClaim") for one in pod["spec"]["volumes"]]
    assert {one["claimName"] for one in mounted if one} == claims
    user = stateful["spec"]["template"]["spec"]["securityContext"]["runAsUser"]
    assert pod["spec"]["securityContext"]["runAsUser"] == user


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"workers": 0}, "workers"),
        ({"workers": 2.5}, "workers"),
        ({"drainSeconds": -1}, "drainSeconds"),
        ({"tls": {"secrets": "shop"}}, "secrets"),
        ({"settings": {"max_comands": 5}}, "max_comands"),
        ({"settings": {"listen": "0.0.0.0:1"}}, "listen"),
        ({"storage": {"size": "much"}}, "storage/size"),
        ({"backup": {"keep": 0}}, "backup/keep"),
        ({"replicas": 2}, "replicas"),
        ({"health": "closed"}, "health"),
        ({"settings": {"health": "token"}}, "health"),
        ({"env": [{"name": "INVENTORY_HEALTH", "value": "open"}]}, "env/0/name"),
        ({"tls": {"clientCaSecret": "authority"}}, "tls.clientCaSecret"),
        ({**STRICT, "probe": {"tokenSecret": "probe"}}, "probe.tlsSecret"),
        ({**STRICT, "probe": {"tlsSecret": "probe"}}, "probe.tokenSecret"),
        ({"health": "token", "probe": {"tokenSecret": "probe"}}, "callers.secret"),
        (
            {
                **STRICT,
                "serviceMonitor": {**MONITORED["serviceMonitor"], "tlsSecret": ""},
            },
            "serviceMonitor.tlsSecret",
        ),
        ({}, "tls.secret"),
        ({"allowPlaintext": True}, "callers.secret"),
        ({**CLOSED, "serviceMonitor": {"enabled": True}}, "serviceMonitor.caSecret"),
        (
            {**CLOSED, "serviceMonitor": {"enabled": True, "caSecret": "authority"}},
            "serviceMonitor.tokenSecret",
        ),
        ({**CLOSED, **MONITORED, "metrics": {"enabled": False}}, "metrics.enabled"),
    ],
)
def test_values_that_make_no_sense_are_refused_by_name(
    values: Mapping[str, Any], named: str
) -> None:
    lacks = named in {"tls.secret", "callers.secret"} and "health" not in values
    with pytest.raises(helm().HelmError, match=named):
        rendered(values if lacks else {**OPEN, **values})


@each_release
def test_every_variable_is_a_setting_and_the_server_takes_its_value(
    values: Mapping[str, Any],
) -> None:
    environment = environment_of(server_of(rendered(values)))
    known = map(variable, Settings.__dataclass_fields__)
    assert not unknown(environment, known)
    settings = load(environment)
    is_open = values is OPEN
    assert (settings.allow_plaintext, settings.allow_anonymous) == (is_open, is_open)
    if values is ALL:
        assert (settings.workers, settings.max_commands, settings.create) == (2, 4_000_000, False)


@each_release
def test_the_pod_may_do_nothing_that_it_does_not_need(values: Mapping[str, Any]) -> None:
    objects = rendered(values)
    pod = objects["StatefulSet"]["spec"]["template"]["spec"]
    assert (pod["automountServiceAccountToken"], pod["enableServiceLinks"]) == (False, False)
    assert (pod["securityContext"]["runAsUser"], pod["securityContext"]["runAsNonRoot"]) == (
        10001,
        True,
    )
    for container in pod["containers"]:
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"]
        assert not context["allowPrivilegeEscalation"]
        assert context["capabilities"] == {"drop": ["ALL"]}
    assert objects["NetworkPolicy"]["spec"]["egress"] == []


def test_one_pod_has_the_file_to_itself() -> None:
    stateful = rendered(ALL)["StatefulSet"]["spec"]
    assert stateful["replicas"] == 1
    assert {one["metadata"]["name"] for one in stateful["volumeClaimTemplates"]} == {
        "data",
        "backups",
    }
    for claim in stateful["volumeClaimTemplates"]:
        assert claim["spec"]["accessModes"] == ["ReadWriteOncePod"]


@pytest.mark.parametrize("drain", [0, 10, 600])
def test_kubernetes_waits_for_the_longest_drain(drain: int) -> None:
    objects = rendered({**OPEN, "drainSeconds": drain})
    pod = objects["StatefulSet"]["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] == drain + 5 + 20
    assert environment_of(server_of(objects))["INVENTORY_DRAIN_SECONDS"] == str(drain)
    assert drain + OVERTIME_SECONDS + LAST_SECONDS < drain + 25


def test_what_operators_need_is_off_by_default() -> None:
    objects = rendered(OPEN)
    assert objects.keys() == {"StatefulSet", "Service", "PodDisruptionBudget", "NetworkPolicy"}
    assert objects["Service"]["spec"]["clusterIP"] == "None"
    assert len(objects["StatefulSet"]["spec"]["template"]["spec"]["containers"]) == 1
    monitor = rendered(ALL)["ServiceMonitor"]["spec"]["endpoints"][0]
    assert monitor["scheme"] == "https"
    assert monitor["authorization"]["credentials"] == {"name": "prometheus", "key": "token"}
    assert monitor["tlsConfig"]["keySecret"] == {"name": "prometheus-tls", "key": "tls.key"}


def test_the_cluster_gives_the_server_variables_that_are_no_settings() -> None:
    [given] = [one for one in server_of(rendered(ALL))["env"] if "valueFrom" in one]
    assert given == ALL["env"][0]


def test_kubernetes_asks_itself_where_nothing_is_encrypted() -> None:
    server = server_of(rendered(OPEN))
    assert (
        server["startupProbe"]["failureThreshold"] * server["startupProbe"]["periodSeconds"] == 300
    )
    asked = {name: server[f"{name}Probe"]["grpc"] for name in ("startup", "readiness", "liveness")}
    assert {one["port"] for one in asked.values()} == {50051}
    assert [one["service"] for one in asked.values()] == [
        *["inventory.v1.InventoryQueries"] * 2,
        "",
    ]
