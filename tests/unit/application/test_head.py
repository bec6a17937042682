"""The head wakes every waiter for new events, and no wake-up is lost."""

import asyncio
import random

from inventory_grpc.application.ledger.head import Head


async def test_it_goes_forward_only() -> None:
    head = Head(3)
    head.advance(5)
    head.advance(4)
    assert head.position == 5


async def test_whoever_took_the_signal_before_is_woken() -> None:
    head = Head()
    moved = head.moved
    head.advance(1)
    assert moved.is_set()
    assert not head.moved.is_set()


async def test_what_has_not_moved_wakes_nobody() -> None:
    head = Head(3)
    moved = head.moved
    head.advance(3)
    head.advance(2)
    assert not moved.is_set()


async def test_closing_wakes_everybody() -> None:
    head = Head()
    waiting = [asyncio.ensure_future(head.moved.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    head.close()
    await asyncio.gather(*waiting)
    assert head.closing


async def test_no_wake_up_is_lost_whoever_comes_first() -> None:
    chance = random.Random(1)
    head, end = Head(), 200

    async def follower() -> list[int]:
        seen = [0]
        while seen[-1] < end:
            moved = head.moved  # the signal, then the value
            if head.position == seen[-1]:
                await moved.wait()
            else:
                seen.append(head.position)
            if chance.random() < 0.5:
                await asyncio.sleep(0)
        return seen

    async def writer() -> None:
        for position in range(1, end + 1):
            head.advance(position)
            for _ in range(chance.randrange(3)):
                await asyncio.sleep(0)

    async with asyncio.timeout(5):
        writing = asyncio.create_task(writer())
        seen = await asyncio.gather(*(follower() for _ in range(10)))
        await writing
    for positions in seen:
        assert positions == sorted(positions)
