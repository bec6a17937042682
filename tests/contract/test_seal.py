"""Contract of stores on a seal: no write passes it, reads do, and its words name the new place."""

from collections.abc import Callable

import pytest

from inventory_grpc.application.outcomes import Answered, RequestKey
from inventory_grpc.application.ports import Fault, StorageError, Transaction
from inventory_grpc.domain.values import Instant
from tests.support.scribe import Scribe
from tests.support.stores import Store
from tests.support.world import KETTLES, NOON, add, policy

Work = Callable[[Transaction], None]

PLACE = "postgresql://db.example.com/ana's"


async def sealed(store: Store) -> None:
    await Scribe(store).record(add(5), request_id="one")
    assert store.seal is not None
    await store.seal(PLACE)


def is_told(error: StorageError) -> bool:
    return (error.fault, error.committing, error.public_message()) == (
        Fault.SEALED,
        False,
        f"the log has moved: it goes on at {PLACE}",
    )


def a_request(transaction: Transaction) -> None:
    answered = Answered(b"fingerprint", 1, None, NOON)
    transaction.write([], [(RequestKey("ana", "two"), answered)])


def forget(transaction: Transaction) -> None:
    transaction.forget(Instant(2**62), 10)


async def test_no_event_is_recorded_behind_a_seal(store: Store) -> None:
    await sealed(store)
    for command in (add(1), policy(safety_stock=1)):
        with pytest.raises(StorageError, check=is_told):
            await Scribe(store).record(command)
    assert await store.event_log.head() == 1


@pytest.mark.parametrize("work", [a_request, forget])
async def test_requests_are_neither_added_nor_forgotten(store: Store, work: Work) -> None:
    await sealed(store)
    with pytest.raises(StorageError, check=is_told):
        await store.storage.transact(work)
    asked = [RequestKey("", "one"), RequestKey("ana", "two")]
    found = await store.storage.observe(lambda transaction: transaction.answered(asked))
    assert [answer is not None for answer in found.values()] == [True, False]


async def test_a_seal_is_no_trouble_that_recovery_ends(store: Store) -> None:
    await sealed(store)
    for _ in range(2):
        with pytest.raises(StorageError, check=is_told):
            await store.storage.recover()
        assert (await store.storage.observe(lambda transaction: transaction.head())).position == 1
    with pytest.raises(StorageError, check=is_told):
        await Scribe(store).record(add(1))


async def test_reads_go_on_behind_a_seal(store: Store) -> None:
    await sealed(store)
    assert (await store.views.latest.get(KETTLES)).value.levels.on_hand == 5
    assert (await store.storage.observe(lambda transaction: transaction.head())).position == 1


async def test_the_first_place_stays(store: Store) -> None:
    await sealed(store)
    assert store.seal is not None
    await store.seal("elsewhere.db")
    with pytest.raises(StorageError, check=is_told):
        await Scribe(store).record(add(1))
