"""The alerts, which are marks on the event that made the crossing.

They compare the levels right before and after it, so each crossing is told once, with its cause.
"""

from enum import Enum
from typing import Final

from inventory_grpc.domain.levels import Levels


class Alert(Enum):
    """A crossing of levels that is told once; the values are stored."""

    STOCK_LOW = 1
    STOCK_RECOVERED = 2
    OUT_OF_STOCK = 3
    BACK_IN_STOCK = 4
    PROMISES_AT_RISK = 5
    PROMISES_SAFE = 6


NO_ALERTS: Final[tuple[Alert, ...]] = ()


def alerts_between(before: Levels, after: Levels, version: int) -> tuple[Alert, ...]:
    """Return the alerts of the event that led from *before* to *after*, and has *version*."""
    if before.particulars is None and after.particulars is None:
        spare_before, spare = before.on_hand - before.reserved, after.on_hand - after.reserved
        if (spare > 0 < spare_before) or (spare == 0 == spare_before):
            return NO_ALERTS
    alerts: list[Alert] = []
    if after.low_stock != before.low_stock and version > 1:  # it begins low if it has a mark
        alerts.append(Alert.STOCK_LOW if after.low_stock else Alert.STOCK_RECOVERED)
    if after.is_out != before.is_out:
        alerts.append(Alert.OUT_OF_STOCK if after.is_out else Alert.BACK_IN_STOCK)
    if after.shortfall > before.shortfall:
        alerts.append(Alert.PROMISES_AT_RISK)
    elif before.shortfall and not after.shortfall:
        alerts.append(Alert.PROMISES_SAFE)
    return tuple(alerts)
