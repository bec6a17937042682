"""Finds the lines of a stock by a walk over its events, newest first.

They have no index by stock: each line of a cart would be written into a page of its own.
"""

from typing import Final

from inventory_grpc.domain.reservation_facts import StockReserved
from inventory_grpc.infrastructure.codec import KIND

WALKED: Final = "walk CROSS JOIN events AS event ON event.position = walk.position"
"""The events of a `WALK`, newest first as it finds them."""

LINE: Final = (
    f"reservation_lines AS line ON event.kind = {KIND[StockReserved]} "
    "AND line.reservation = event.subject AND line.stream = event.stream"
)
"""The line to which an event added units."""

BEGUN_BY: Final = f"{LINE} AND line.first = event.position AND line.amended IS NULL"
"""The line of the first command of its reservation, which the event began.

The events of that command follow each other, so these lines have the order of the reservations.
"""
