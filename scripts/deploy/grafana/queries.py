"""The queries of the dashboards, from the names of metrics."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

VARIABLES: Final = ("job", "instance", "worker")

_ALL: Final = ", ".join(f'{name}=~"${name}"' for name in VARIABLES)


OURS: Final = 'grpc_service=~"inventory.*"'
HANDLED: Final = "grpc_server_handled_total"
HANDLING: Final = "grpc_server_handling_seconds"


class Graph(NamedTuple):
    """A panel: its queries by legend."""

    title: str
    unit: str
    about: str
    queries: Mapping[str, str]


Rows = Mapping[str, Sequence[Graph]]


def of(metric: str, more: str = "") -> str:
    """Return the series of *metric* that the variables choose."""
    return f"{metric}{{{_ALL}{more and ', '}{more}}}"


def rate(metric: str, more: str = "", by: str = "") -> str:
    return f"sum{by and f' by ({by})'} (rate({of(metric, more)}[$__rate_interval]))"


def share(metric: str, part: str, more: str = "") -> str:
    """Return which part of a rate has the labels in *part*."""
    both = f"{part}, {more}" if more else part
    return f"{rate(metric, both)} / {rate(metric, more)}"


def quantiles(metric: str, more: str = "", by: str = "") -> Mapping[str, str]:
    """Return the median and the 99th percentile of a histogram."""
    labels = ", ".join(filter(None, ("le", by)))
    legend = f" {{{{{by}}}}}" if by else ""
    series = rate(f"{metric}_bucket", more, labels)
    return {
        f"p{part * 100:.0f}{legend}": f"histogram_quantile({part}, {series})"
        for part in (0.5, 0.99)
    }
