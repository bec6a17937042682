"""The chart takes each setting that it does not set by itself, and no other."""

import json
from dataclasses import fields
from pathlib import Path

from inventory_grpc.settings import OF_POSTGRES, Settings
from tests.support.chart import CHART

BY_ITSELF = {
    *("listen", "database", "workers", "drain_seconds", "log_format", "metrics_listen"),
    *("tls_certificate", "tls_key", "tls_client_ca", "callers", "health"),
    *("allow_plaintext", "allow_anonymous"),
    *OF_POSTGRES,  # it keeps the log in a file
}


def test_the_chart_takes_each_setting_that_it_does_not_set() -> None:
    schema = json.loads(Path(CHART / "values.schema.json").read_text("utf-8"))
    taken = schema["properties"]["settings"]["propertyNames"]["enum"]
    assert taken == [setting.name for setting in fields(Settings) if setting.name not in BY_ITSELF]
