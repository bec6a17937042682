"""Fills come in bounded steps, the oldest line first, and before the commands that need them."""

import asyncio
from collections.abc import Sequence

import pytest

from inventory_grpc.application.failures import WritesRefused
from inventory_grpc.application.ledger import batch as batch_module
from inventory_grpc.application.ledger import fills
from inventory_grpc.application.ledger.atomic import AtomicBatch, Part
from inventory_grpc.application.ledger.batch import Batch
from inventory_grpc.application.ledger.submission import Submission
from inventory_grpc.application.outcomes import DryRun, Outcome
from inventory_grpc.domain.book import Command
from inventory_grpc.domain.event import Cause
from inventory_grpc.domain.refusals import InsufficientStock, Refusal
from inventory_grpc.domain.values import Never
from tests.support.backorder_shop import Shop
from tests.support.engine import assemble, running, settle
from tests.support.history import appending, doing
from tests.support.scribe import events_of
from tests.support.stores import TroubledStore, in_memory
from tests.support.terms import terms
from tests.support.world import (
    KETTLES,
    TOASTERS,
    add,
    amend,
    change_by,
    commit,
    policy,
    release,
    remove,
    reserve,
    stock,
)


@pytest.fixture
def shop() -> Shop:
    return Shop(in_memory())


async def together(shop: Shop, *submissions: Submission) -> Sequence[Outcome | Refusal]:
    """Do all of it in one batch of the writer."""

    def work(batch: Batch) -> None:
        batch.answer_all(submissions)

    return (await shop.store.storage.transact(doing(work, shop.scribe.clock))).answers


async def all_at_once(shop: Shop, *commands: Command) -> Outcome | Refusal:
    """Do *commands* as an atomic batch."""
    parts = [Part(command, Cause(part=part)) for part, command in enumerate(commands, 1)]
    [answer] = await together(shop, Submission.of(AtomicBatch(parts)))
    return answer


async def queue(shop: Shop, *names: str) -> None:
    """Have reservations wait, each for two kettles."""
    await shop.do(terms(limit=1_000), *(reserve(2, name, expiration=Never()) for name in names))


async def test_a_step_records_so_many_fills_and_the_next_one_goes_on(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fills, "MAX_FILLS", 2)
    await queue(shop, "a", "b", "c", "d", "e")
    await shop.do(add(9))
    recorded = []
    for _ in range(3):
        await shop.scribe.fill_due()
        recorded.append(await shop.fills())
    assert recorded == [[("a", 2), ("b", 2)], [("c", 2), ("d", 2)], [("e", 1)]]


async def test_a_step_goes_over_several_stocks(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fills, "MAX_FILLS", 3)
    await shop.do(terms(limit=9), terms(TOASTERS, limit=9))
    await shop.do(*(reserve({KETTLES: 1, TOASTERS: 1}, name) for name in ("a", "b")))
    await shop.do(add(2), add(2, TOASTERS))
    await shop.scribe.fill_due()
    assert len(await shop.fills()) == 3
    await shop.scribe.fill_due()
    assert len(await shop.fills()) == 1


async def test_a_step_that_records_terms_too_has_no_more_events(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fills, "MAX_FILLS", 3)
    stocks = [stock(product, "lisbon") for product in ("kettle", "pan", "toaster")]
    await shop.do(policy(backorder_limit=99))
    await shop.do(*(reserve(dict.fromkeys(stocks, 1), f"r{number}") for number in range(9)))
    await shop.do(*(add(9, one) for one in stocks), policy(backorder_limit=98))
    before = await shop.store.event_log.head()
    await shop.scribe.fill_due()
    assert 3 <= await shop.store.event_log.head() - before <= 6
    for _ in range(9):
        await shop.scribe.fill_due()
    assert len(await shop.fills()) == 27


async def test_a_command_beyond_the_fills_of_one_step_is_refused_for_now(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fills, "MAX_FILLS", 2)
    await queue(shop, "a", "b", "c")
    await shop.do(add(6))
    head = await shop.store.event_log.head()
    for command in (commit(name="c"), change_by(-1), amend(1, "c")):
        with pytest.raises(WritesRefused) as refused:
            await shop.do(command)
        assert refused.value.retry_seconds > 0
    assert await shop.store.event_log.head() == head, "of a refused command no fill stays"
    await shop.do(commit(name="b"))
    assert await shop.fills() == [("a", 2), ("b", 2)], "this one needs no others"
    await shop.do(commit(name="c"))
    assert (await shop.levels()).on_hand == 2


async def test_a_commit_of_what_is_there_waits_for_no_fill(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fills, "MAX_FILLS", 1)
    await shop.do(add(1), reserve(1, "there"))
    await queue(shop, "a", "b", "c")
    await shop.do(add(6), commit(name="there"))
    assert await shop.fills() == [("a", 2)]


async def test_the_queue_is_read_no_further_than_the_goods_go(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fills, "WAITING_AT_ONCE", 2)
    await queue(shop, "a", "b", "c", "d", "e")
    await shop.do(add(5))
    seen: list[str] = []

    def work(batch: Batch) -> None:
        batch.fills.fill_due()
        seen.extend(map(str, batch.book.states))

    await shop.store.storage.transact(doing(work, shop.scribe.clock))
    assert await shop.fills() == [("a", 2), ("b", 2), ("c", 1)]
    assert {"a", "b", "c", "d"} < {*seen}
    assert "e" not in seen


async def test_a_line_that_moved_to_the_end_in_this_batch_is_behind_all_that_were_not_read(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fills, "MAX_FILLS", 3)
    monkeypatch.setattr("inventory_grpc.application.ledger.driver.MAX_WAITING", 3)
    monkeypatch.setattr(fills, "MAX_WAITING", 3)
    await queue(shop, "a", "b", "c", "d")
    answers = await together(
        shop,
        Submission.of(amend(3, "a")),
        Submission.of(release(name="b")),
        Submission.of(add(4)),
        Submission.of(commit(name="c")),
    )
    assert not any(isinstance(answer, Refusal) for answer in answers)
    assert await shop.fills() == [("c", 2)], "d was not read, and comes before a"
    assert await shop.fill() == [("d", 2)]


async def test_commands_of_one_batch_are_in_the_queue_of_that_batch(shop: Shop) -> None:
    await shop.do(terms(limit=9))
    answers = await together(
        shop,
        Submission.of(reserve(2, "a")),
        Submission.of(reserve(2, "b")),
        Submission.of(add(3)),
        Submission.of(reserve(1, "c")),
        Submission.of(commit(name="a")),
        Submission.of(commit(1, "b")),
    )
    assert not any(isinstance(answer, Refusal) for answer in answers)
    assert await shop.fills() == [("a", 2), ("b", 1)]
    assert (await shop.levels()).backordered == 2


async def test_goods_of_an_atomic_batch_fill_nothing_within_it(shop: Shop) -> None:
    await queue(shop, "a")
    refused = await all_at_once(shop, add(2), commit(name="a"))
    assert isinstance(refused, InsufficientStock)
    assert [(line.asked, line.available) for line in refused.lines] == [(2, 0)]
    assert refused.command_index == 1
    done = await all_at_once(shop, add(2), reserve(1, "late"))
    assert isinstance(done, Outcome)
    assert await shop.line("late") == (1, 1), "the goods belong to who waits"
    assert await shop.fill() == [("a", 2)]


async def test_an_atomic_batch_has_the_fills_that_were_due_before_it(shop: Shop) -> None:
    await queue(shop, "a", "b")
    await shop.do(add(3))
    done = await all_at_once(shop, commit(name="a"), commit(1, "b"), add(1, TOASTERS))
    assert isinstance(done, Outcome)
    assert await shop.fills() == [("a", 2), ("b", 1)]
    parts = [event.cause.part for event in await events_of(shop.store)]
    assert parts[-5:] == [0, 0, 1, 2, 3]


async def test_an_atomic_batch_that_is_refused_leaves_no_fill(shop: Shop) -> None:
    await queue(shop, "a")
    await shop.do(add(2))
    assert isinstance(await all_at_once(shop, commit(name="a"), remove(1)), InsufficientStock)
    assert await shop.fills() == []


async def test_a_dry_run_records_no_fill(shop: Shop) -> None:
    await queue(shop, "a")
    await shop.do(add(2))
    submission = Submission.of(commit(name="a"))._replace(is_dry=True)
    [answer] = await together(shop, submission)
    assert isinstance(answer, DryRun)
    assert answer.streams[0].levels.on_hand == 0
    assert await shop.fills() == []


async def test_fills_that_are_discarded_end_a_batch_as_others_do(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fills, "MAX_FILLS", 2)
    monkeypatch.setattr(batch_module, "MAX_EVENTS", 4)
    await queue(shop, "a", "b", "c")
    await shop.do(add(6))
    answers = await together(shop, *[Submission.of(commit(name="c"))] * 5)
    assert [type(answer) for answer in answers] == [WritesRefused] * 2


async def test_a_ledger_fills_by_itself_and_gives_commands_a_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fills, "MAX_FILLS", 1)
    troubled = TroubledStore()
    shop = Shop(in_memory(troubled))
    await queue(shop, *(f"r{number}" for number in range(6)))
    await shop.do(add(12))
    async with running(assemble(shop.store)) as engine:
        sale = engine.ask(add(1, TOASTERS))
        async with asyncio.timeout(10):
            await sale
            at = len(await shop.fills())
            while (await shop.levels()).fills_due:
                await settle()
    assert at <= 2, "the command waited for one step, and not for all"
    assert at + len(await shop.fills()) == 6


async def test_a_ledger_that_starts_over_due_fills_records_them_without_a_command() -> None:
    troubled = TroubledStore()
    shop = Shop(in_memory(troubled))
    await queue(shop, "a")
    await shop.do(add(1))
    async with running(assemble(shop.store)), asyncio.timeout(10):
        while (await shop.levels()).fills_due:
            await settle()
    assert await shop.fills() == [("a", 1)]


async def test_of_a_step_that_failed_nothing_stays(shop: Shop) -> None:
    await queue(shop, "a")
    await shop.do(add(1))

    def work(batch: Batch) -> None:
        batch.fills.fill_due()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await shop.store.storage.transact(doing(work, shop.scribe.clock))
    assert await shop.fills() == []
    await shop.store.storage.transact(appending(add(1), clock=shop.scribe.clock))
    assert await shop.fill() == [("a", 2)]
