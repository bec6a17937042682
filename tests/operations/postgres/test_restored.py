"""A log that an administrator has moved: to an earlier time, from a dump, to a newer PostgreSQL."""

import asyncio
from dataclasses import replace

import pytest

from inventory_grpc.choices import Failover
from inventory_grpc.server import serve
from inventory_grpc.settings import Settings
from tests.operations.postgres.adoption import adopt, insist
from tests.support import postgres
from tests.support.caller import adding, calling, refused
from tests.support.opened import differences, events
from tests.support.postgres_server import PostgresServer, own_folder, own_server

AT_ANY_PORT = Settings(listen="127.0.0.1:0")


async def test_a_restored_dump_is_refused_until_it_is_adopted() -> None:
    with own_server() as server, own_server() as other:
        settings = replace(AT_ANY_PORT, database=server.url)
        restored = replace(settings, database=other.url, failover=Failover.TRUSTED)
        async with serve.serving(settings) as served, calling(served.address) as caller:
            await caller.commands.AddStock(adding(1, request_id="kept"))
            other.restore_dump_of(server)
            await caller.commands.AddStock(adding(1, request_id="lost"))
        async with serve.serving(restored) as served, calling(served.address) as caller:
            answer = await refused(caller.commands.AddStock(adding(1, request_id="lost")))
            assert "restored from a dump" in answer.message
            await asyncio.to_thread(adopt, other.url)
            assert await insist(caller, "lost") == 2
        assert not differences(other.url)
        async with serve.serving(settings) as served, calling(served.address) as caller:
            await caller.commands.AddStock(adding(1))  # the original is where it was


async def test_a_log_of_an_earlier_time_is_refused_until_it_is_adopted() -> None:
    with own_server() as server, own_folder() as folder:
        settings = replace(AT_ANY_PORT, database=server.url)
        async with serve.serving(settings) as served, calling(served.address) as caller:
            await caller.commands.AddStock(adding(1, request_id="in-the-base-backup"))
            earlier = server.base_backup(folder)
            await caller.commands.AddStock(adding(1, request_id="kept"))
            server.query("SELECT pg_create_restore_point('before the accident')")
            await caller.commands.AddStock(adding(1, request_id="lost"))
        server.kill()
        earlier.recover_to("before the accident", archive=server.data / "pg_wal")
        restored = replace(settings, database=earlier.url)
        async with serve.serving(restored) as served, calling(served.address) as caller:
            answer = await refused(caller.commands.AddStock(adding(1, request_id="lost")))
            assert "restored to an earlier time" in answer.message
            await asyncio.to_thread(adopt, earlier.url)
            assert await insist(caller, "lost") == 3
            repeated = await caller.commands.AddStock(adding(1, request_id="kept"))
            assert (repeated.position, repeated.replayed) == (2, True)
        assert [event.request_id for event in events(earlier.url)] == [
            "in-the-base-backup",
            "kept",
            "lost",
        ]
        assert not differences(earlier.url)


@pytest.mark.skipif(
    not {"15", "18"} <= {*postgres.binaries()}, reason="pg_upgrade needs two versions of PostgreSQL"
)
async def test_after_pg_upgrade_a_log_is_refused_until_it_is_adopted() -> None:
    older, newer = (postgres.binaries()[version] for version in ("15", "18"))
    with own_folder() as before, own_folder() as after:
        server, upgraded = PostgresServer(older, before), PostgresServer(newer, after)
        server.initialize()
        server.start()
        settings = replace(AT_ANY_PORT, database=server.url)
        async with serve.serving(settings) as served, calling(served.address) as caller:
            await caller.commands.AddStock(adding(1, request_id="before"))
        server.stop()
        upgraded.upgrade(server)
        # as in a failover that loses nothing; PostgreSQL is another system all the same
        settings = replace(settings, database=upgraded.url, failover=Failover.TRUSTED)
        async with serve.serving(settings) as served, calling(served.address) as caller:
            answer = await refused(caller.commands.AddStock(adding(1, request_id="after")))
            assert "was moved to another server" in answer.message
            await asyncio.to_thread(adopt, upgraded.url)
            assert await insist(caller, "after") == 2
            repeated = await caller.commands.AddStock(adding(1, request_id="before"))
            assert (repeated.position, repeated.replayed) == (1, True)
        assert not differences(upgraded.url)
