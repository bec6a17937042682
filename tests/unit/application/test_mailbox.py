"""A batch waits for more commands as long on an event loop with short turns as on asyncio's."""

import asyncio

import pytest

from inventory_grpc.application.ledger.mailbox import MAX_TURNS, SHORT_TURNS, Mailbox
from inventory_grpc.application.ledger.submission import Submission
from tests.support.loops import factory
from tests.support.world import add

LIMIT = 512


def _ignore(*_: object) -> None:
    pass


def _put(mailbox: Mailbox, commands: int) -> None:
    for _ in range(commands):
        mailbox.put(Submission.of(add(1)), None)


async def _turns_after_a_batch(commands: int) -> int:
    """Return how many turns the next batch waits for a second command, which does not come."""
    mailbox = Mailbox(_ignore)
    _put(mailbox, commands)
    mailbox.take(LIMIT)
    _put(mailbox, 1)
    turns = 0

    def count() -> None:
        nonlocal turns
        turns += 1
        asyncio.get_running_loop().call_soon(count)

    filling = asyncio.create_task(mailbox.fill(LIMIT))
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(count)
    await filling
    return turns


@pytest.mark.parametrize("commands", [1, 7, 2 * MAX_TURNS])
@pytest.mark.parametrize(
    ("name", "each"), [("asyncio", 1), ("uvloop", SHORT_TURNS)], ids=["asyncio", "uvloop"]
)
def test_a_batch_waits_a_turn_for_each_command_of_the_last_one_or_several_short_turns(
    name: str, each: int, commands: int
) -> None:
    with asyncio.Runner(loop_factory=factory(name)) as runner:
        assert runner.run(_turns_after_a_batch(commands)) == min(commands, MAX_TURNS) * each
