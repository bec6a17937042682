"""Each alert fires when it should and not before, and the handbook says what to do about it."""

import re
import subprocess
from typing import Final

import pytest

from tests.support.documents import ROOT, anchors_of, section_of, text_of
from tests.support.prometheus import RULES
from tests.support.tools import find_tool

FOLDER: Final = RULES.parent
METRICS: Final = ROOT / "scripts/deploy/metrics/README.md"
ALERT: Final = re.compile(
    r"- alert: (?P<name>\w+)\n(?:.*\n)*?        labels: \{severity: (?P<severity>\w+)\}\n"
    r"        annotations:\n"
    r"          summary: .+\n          description: .+\n          runbook: (?P<runbook>\S+)\n"
)


@pytest.mark.parametrize(
    "command",
    [
        ("promtool", "check", "rules", "alerts.yml"),
        ("promtool", "check", "config", "prometheus.yml"),
        ("promtool", "test", "rules", "alerts_test.yml"),
        ("amtool", "check-config", "alertmanager.yml"),
    ],
    ids=" ".join,
)
def test_the_tools_of_prometheus_find_nothing_wrong(command: tuple[str, ...]) -> None:
    checked = subprocess.run(
        [find_tool(command[0]), *command[1:]],
        check=False,
        capture_output=True,
        cwd=FOLDER,
        text=True,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_each_alert_has_a_severity_and_a_case_in_which_it_fires_and_one_in_which_it_does_not() -> (
    None
):
    rules, cases = text_of(RULES), text_of(FOLDER / "alerts_test.yml")
    alerts = [(found["name"], found["severity"]) for found in ALERT.finditer(rules)]
    assert len(alerts) == rules.count("- alert:") > 15
    named = re.findall(r"- name: (\w+) \((\w+)\) (fires|does not fire)$", cases, re.MULTILINE)
    assert named == [(*alert, what) for alert in alerts for what in ("fires", "does not fire")]


def test_the_handbook_has_a_heading_for_each_alert_and_no_other() -> None:
    names = list(dict.fromkeys(found["name"] for found in ALERT.finditer(text_of(RULES))))
    headings = re.findall(r"^### (\w+)$", section_of(METRICS, "Alerts"), re.MULTILINE)
    assert headings == names
    for found in ALERT.finditer(text_of(RULES)):
        file, _, anchor = found["runbook"].partition("#")
        assert ROOT / file == METRICS
        assert anchor == found["name"].lower()
        assert anchor in anchors_of(METRICS)


def test_each_alert_in_the_handbook_says_what_it_means_where_to_look_and_what_to_do() -> None:
    _, *texts = re.split(r"^### \w+$", section_of(METRICS, "Alerts"), flags=re.MULTILINE)
    for text in texts:
        assert [part in text for part in ("**Meaning.**", "**Look at.**", "**Do.**")] == [True] * 3
