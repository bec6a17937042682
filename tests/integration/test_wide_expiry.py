"""The expiry of the widest cart over the longest names, which no caller could send in parts."""

import asyncio
from collections import Counter
from pathlib import Path

from inventory_grpc.application.ledger.workbook import OWN_AT_ONCE
from inventory_grpc.domain.values import (
    MAX_FENCES,
    MAX_LINES,
    Channel,
    Instant,
    ReservationId,
    Until,
)
from inventory_grpc.infrastructure import clocks
from inventory_grpc.infrastructure.log.chain import MAX_COMMAND_BYTES
from tests.support.opened import checked, events, opened
from tests.support.waiting import eventually
from tests.support.world import MINUTE, add, fence, reserve, stock

SHELVES = [stock(f"{number:0128}", "s" * 128) for number in range(MAX_LINES)]
CHANNELS = [Channel(f"{number:0128}") for number in range(MAX_FENCES)]


async def test_it_is_recorded_though_its_events_do_not_fit_into_one_command(path: Path) -> None:
    over = Until(Instant(clocks.wall() + 60 * MINUTE))
    async with opened(path) as shop:
        await asyncio.gather(*(shop.record(add(100, shelf)) for shelf in SHELVES))
        cart = reserve(dict.fromkeys(SHELVES, 1), ReservationId("r" * 128), expiration=over)
        await shop.record(cart)
        for channel in CHANNELS:
            aside = [shop.record(fence(1, shelf, channel=channel)) for shelf in SHELVES]
            await asyncio.gather(*aside)
    later = Instant(clocks.wall() + 120 * MINUTE)
    async with opened(path, wall=lambda: later, boot=lambda: "next") as shop:
        await eventually(lambda: not shop.parts.ledger.expiry_lag(), 60.0)
        await shop.record(add(1, SHELVES[0]))
    expired = [event for event in events(path) if event.HasField("reservation_expired")]
    assert len(expired) == MAX_LINES
    assert sum(event.ByteSize() for event in expired) > MAX_COMMAND_BYTES
    commands = Counter(event.command_position for event in expired)
    assert {*commands.values()} == {OWN_AT_ONCE}
    checked(path)
