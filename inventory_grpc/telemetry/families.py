"""Families of metrics, made of plain numbers and tallies."""

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Final

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.utils import floatToGoString

from inventory_grpc.application.tally import Tally

Labels = tuple[str, ...]
"""The values of a sample's labels, in the order of their names."""

Values = Iterable[tuple[Labels, float]]

_UNITS: Final = ("seconds", "bytes")


def counter(name: str, help_text: str, names: Sequence[str], values: Values) -> Metric:
    family = CounterMetricFamily(name, help_text, labels=names, unit=_unit(name))
    for labels, value in values:
        family.add_metric(labels, value)
    return family


def gauge(name: str, help_text: str, names: Sequence[str], values: Values) -> Metric:
    family = GaugeMetricFamily(name, help_text, labels=names, unit=_unit(name))
    for labels, value in values:
        family.add_metric(labels, value)
    return family


def histogram(
    name: str, help_text: str, names: Sequence[str], values: Iterable[tuple[Labels, Tally]]
) -> Metric:
    family = HistogramMetricFamily(name, help_text, labels=names, unit=_unit(name))
    for labels, tally in values:
        counts = accumulate(tuple(tally.counts))
        bounds = [*map(floatToGoString, tally.bounds), "+Inf"]
        family.add_metric(labels, [*zip(bounds, counts, strict=True)], tally.total)
    return family


def single(value: float) -> Values:
    """Return the values of a family without labels."""
    return [((), value)]


def _unit(name: str) -> str:
    last = name.removesuffix("_total").rpartition("_")[2]
    return last if last in _UNITS else ""
