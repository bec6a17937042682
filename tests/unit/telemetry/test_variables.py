"""The variables of OpenTelemetry are checked by name before the library reads them."""

from pathlib import Path

import pytest

from inventory_grpc.bad_setting import BadSetting
from inventory_grpc.telemetry.variables import MAX_WAITING, check_variables


@pytest.mark.parametrize(
    ("name", "bad", "wanted"),
    [
        ("BSP_MAX_EXPORT_BATCH_SIZE", "5000", "a whole number from 1 to 4,096"),
        ("BSP_MAX_EXPORT_BATCH_SIZE", "0", "a whole number from 1 to 4,096"),
        ("BSP_SCHEDULE_DELAY", "0", "a whole number from 1"),
        ("BSP_SCHEDULE_DELAY", "5s", "a whole number from 1"),
        ("BSP_EXPORT_TIMEOUT", "soon", "a whole number from 1"),
        ("EXPORTER_OTLP_TIMEOUT", "10s", "a number of seconds above 0"),
        ("EXPORTER_OTLP_TRACES_TIMEOUT", "nan", "a number of seconds above 0"),
        ("EXPORTER_OTLP_COMPRESSION", "deflate", "`gzip`"),
        ("EXPORTER_OTLP_TRACES_COMPRESSION", "zip", "`gzip`"),
        ("EXPORTER_OTLP_CERTIFICATE", "/no/such/file", "a file that can be read"),
        ("SPAN_LINK_COUNT_LIMIT", "-1", "a whole number from 0, or `unset`"),
        ("ATTRIBUTE_COUNT_LIMIT", "many", "a whole number from 0, or `unset`"),
        ("PYTHON_EXPORTER_OTLP_GRPC_RETRYABLE_ERROR_CODES", "BUSY", "names of gRPC's status codes"),
    ],
)
def test_a_bad_variable_is_named_with_what_it_may_be(name: str, bad: str, wanted: str) -> None:
    with pytest.raises(BadSetting) as refused:
        check_variables({f"OTEL_{name}": bad})
    assert str(refused.value).startswith(f"OTEL_{name}: must be {wanted}")
    assert str(refused.value).endswith(f"is {bad!r}")


def test_good_variables_are_left_as_they_are_and_empty_ones_removed(tmp_path: Path) -> None:
    certificate = tmp_path / "ca.pem"
    certificate.touch()
    good = {
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": str(MAX_WAITING),
        "OTEL_EXPORTER_OTLP_TIMEOUT": "2.5",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
        "OTEL_EXPORTER_OTLP_CERTIFICATE": str(certificate),
        "OTEL_SPAN_LINK_COUNT_LIMIT": "unset",
        "OTEL_SERVICE_NAME": "shop",
    }
    environ = good | {"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "", "OTHER": ""}
    check_variables(environ)
    assert environ == good | {"OTHER": ""}
