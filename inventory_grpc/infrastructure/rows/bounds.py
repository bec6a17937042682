"""The bounds of reads, the same for both engines.

A page may have fewer rows than were asked for, but no page takes a thread for longer than some
ten milliseconds, or makes a message larger than 1 MiB. The bounds are read as attributes of this
module, so that a test can lower them for every engine.
"""

from typing import Final

STOCKS_SCANNED: Final = 20_000
"""Stocks scanned for one page."""

RESERVATIONS_SCANNED: Final = 10_000
"""Reservations, or events of the stocks that are named, scanned for one page."""

RESERVATION_SOURCES: Final = 100
"""Stocks whose reservations are found by stock; with more, all reservations are scanned."""

LINES_SCANNED: Final = 10_000
"""Lines, or events of their stocks, scanned for one page of promises at risk."""

STORES_SCANNED: Final = 10_000
"""Stores of the catalogue scanned for one page."""

POLICIES_SCANNED: Final = 10_000
"""Policies scanned for one page."""

EVENTS_SCANNED: Final = 5_000
"""Events scanned in one step of a search."""

EVENT_SOURCES: Final = 100
"""The most streams that are searched through the index; with more, a window is scanned.

Reservations and subjects always use the index: a filter names no more of them than this.
"""

LISTED_BYTES: Final = 768 * 1024
"""A page with this much text takes no more rows, so that its message is at most 1 MiB."""

LISTED_LINES: Final = 2_500
"""A page with this many lines takes no more reservations; it has at least one."""
