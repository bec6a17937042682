"""The shared cache on a real Valkey: what it keeps, and what it does without an answer."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator

import pytest

from inventory_grpc.application.shared_cache import Kept, Unanswered
from inventory_grpc.infrastructure import valkey_cache
from inventory_grpc.infrastructure.optional import open_shared_cache
from inventory_grpc.infrastructure.valkey_cache import MAX_BYTES, MAX_NAMES, ValkeyCache
from tests.support.brokers import ValkeyServer
from tests.support.stock_caches import PATIENCE_SECONDS, be_patient

KETTLES = b"kettles"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    server = ValkeyServer(tmp_path_factory.mktemp("valkey"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def caches(
    server: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[ValkeyCache, ValkeyCache]]:
    """Those of two servers."""
    be_patient(monkeypatch)
    await server.flush()
    async with open_shared_cache(server.url) as one, open_shared_cache(server.url) as other:
        assert isinstance(one, ValkeyCache)
        assert isinstance(other, ValkeyCache)
        yield one, other


async def test_of_many_values_at_once_the_newest_stays(
    caches: tuple[ValkeyCache, ValkeyCache],
) -> None:
    positions = [*range(1, 400)]
    random.Random(1).shuffle(positions)

    async def keep(cache: ValkeyCache, positions: list[int]) -> list[int]:
        seen = [0]
        for position in positions:
            cache.keep(KETTLES, Kept(position, b"%d" % position))
            found = await cache.find(KETTLES)
            assert found is not None
            assert found.value == b"%d" % found.position
            assert found.position >= position
            seen.append(found.position)
        return seen

    halves = positions[::2], positions[1::2]
    for seen in await asyncio.gather(*map(keep, caches, halves)):
        assert seen == sorted(seen)
    assert await caches[0].find(KETTLES) == Kept(399, b"399")


async def test_the_same_value_stays_at_the_position_at_which_it_was_first_read(
    caches: tuple[ValkeyCache, ValkeyCache],
) -> None:
    one, other = caches
    one.keep(KETTLES, Kept(5, b"value"))
    assert await one.find(KETTLES) == Kept(5, b"value")
    other.keep(KETTLES, Kept(9, b"value"))
    assert await other.find(KETTLES) == Kept(5, b"value")


async def test_a_value_has_an_end_and_one_that_is_too_large_is_not_kept(
    caches: tuple[ValkeyCache, ValkeyCache], server: ValkeyServer
) -> None:
    cache, _ = caches
    cache.keep(KETTLES, Kept(1, b"x" * MAX_BYTES))
    cache.keep(b"toasters", Kept(1, b"x" * (MAX_BYTES + 1)))
    assert await cache.find(KETTLES) == Kept(1, b"x" * MAX_BYTES)
    assert await cache.find(b"toasters") is None
    async with server.client() as client:
        assert 0 < await client.pttl(KETTLES) <= valkey_cache.TTL_SECONDS * 1_000


@pytest.mark.parametrize("value", [b"", b":", b"one:value", b"\xff", b"-1:value"])
async def test_what_is_no_value_of_a_server_is_not_found_and_gives_way(
    caches: tuple[ValkeyCache, ValkeyCache], server: ValkeyServer, value: bytes
) -> None:
    cache, _ = caches
    async with server.client() as client:
        await client.set(KETTLES, value)
    assert await cache.find(KETTLES) is None
    cache.keep(KETTLES, Kept(1, b"5"))
    assert await cache.find(KETTLES) == Kept(1, b"5")


async def test_a_value_at_what_is_no_position_is_not_found(
    caches: tuple[ValkeyCache, ValkeyCache], server: ValkeyServer
) -> None:
    async with server.client() as client:
        await client.set(KETTLES, b"9" * 5_000 + b":value")
    assert await caches[0].find(KETTLES) is None


async def test_one_call_is_made_at_a_time_and_more_than_its_names_are_not_asked_for(
    caches: tuple[ValkeyCache, ValkeyCache], server: ValkeyServer
) -> None:
    cache, _ = caches
    names = [b"%d" % number for number in range(MAX_NAMES + 10)]
    found = await asyncio.gather(*map(cache.find, names), return_exceptions=True)
    assert found[:MAX_NAMES] == [None] * MAX_NAMES
    assert {type(one) for one in found[MAX_NAMES:]} == {Unanswered}
    async with server.client() as client:
        script = (await client.info("commandstats"))["cmdstat_evalsha"]["calls"]
        await asyncio.gather(*map(cache.find, names[:50]), *map(cache.find, names[:50]))
        again = (await client.info("commandstats"))["cmdstat_evalsha"]["calls"]
        assert again == script + 1
        ours = [one for one in await client.client_list() if one["cmd"] == "evalsha"]
        assert len(ours) == len(caches)


async def test_a_server_that_is_silent_is_asked_once_and_then_by_one_caller_at_a_time(
    server: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(valkey_cache, "REST_SECONDS", 0.0)
    monkeypatch.setattr(valkey_cache, "CALL_SECONDS", PATIENCE_SECONDS)
    async with open_shared_cache(server.url) as cache:
        assert isinstance(cache, ValkeyCache)
        server.pause()
        try:
            first = asyncio.ensure_future(_is_silent(cache))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert not cache._asked, "the call with the first name is not under way"
            async with asyncio.timeout(PATIENCE_SECONDS / 3):  # long before the call itself ends
                assert await _is_silent(cache, b"toasters")
                assert await first
            with monkeypatch.context() as patched:
                be_patient(patched)
                async with asyncio.timeout(PATIENCE_SECONDS / 3):
                    for name in (KETTLES, b"toasters", b"kettles in Porto"):
                        assert await _is_silent(cache, name)
                        cache.keep(name, Kept(1, b"5"))
                        assert not cache._kept
        finally:
            server.resume()
        be_patient(monkeypatch)
        async with asyncio.timeout(20):
            while await _is_silent(cache):  # noqa: ASYNC110  no event tells
                await asyncio.sleep(0.01)
        cache.keep(KETTLES, Kept(1, b"5"))
        assert await cache.find(KETTLES) == Kept(1, b"5")


async def _is_silent(cache: ValkeyCache, name: bytes = KETTLES) -> bool:
    try:
        await cache.find(name)
    except Unanswered:
        return True
    return False
