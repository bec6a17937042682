"""Unknown callers are refused; known ones are confined to their role and their stores."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc
import grpc.aio
import pytest
from grpc import StatusCode
from grpc_health.v1.health_pb2 import HealthCheckResponse

from inventory_grpc.application.access import Role
from inventory_grpc.choices import HealthAccess
from inventory_grpc.infrastructure.callers_file import new_token
from inventory_grpc.presentation.health import OPEN_METHODS
from inventory_grpc.presentation.services import PERMISSIONS
from inventory_grpc.server import serve
from inventory_grpc.settings import Settings
from inventory_grpc_protos.v1.admin_pb2 import GetServerInfoRequest
from inventory_grpc_protos.v1.events_pb2 import SubscribeRequest
from tests.robustness.rpcs import BESIDE, OURS, Rpc
from tests.support.caller import Caller, Refused, adding, calling, message, refused
from tests.support.keyring import Keyring, Metadata, bearing
from tests.support.opened import rows
from tests.support.server_process import server_process

UNREADABLE: Final = b"\xff\xff\xff"
"""No valid request of any rpc: a method that reads it answers `INVALID_ARGUMENT`."""

ALL: Final = [*OURS, *BESIDE]
_SUBSCRIBE: Final = next(rpc for rpc in OURS if rpc.name == "Subscribe")


@dataclass
class Guarded:
    """A server that authenticates callers."""

    keyring: Keyring
    caller: Caller
    tokens: dict[str, str]
    """By the name of their role, and one that is `expired`."""

    async def refused(
        self, rpc: Rpc, metadata: Metadata = (), request: bytes = UNREADABLE
    ) -> Refused:
        return await refused(rpc.answer(self.caller.channel, request, metadata))


@pytest.fixture
async def guarded(path: Path, tmp_path: Path) -> AsyncIterator[Guarded]:
    keyring = Keyring(tmp_path / "callers.toml")
    tokens = {role: keyring.add(f"{role}-1", role) for role in ("reader", "operator", "admin")}
    tokens["expired"] = keyring.add("admin-1", "admin", until="2026-01-01T00:00:00Z")
    settings = Settings(listen="127.0.0.1:0", database=path, callers=keyring.path)
    async with serve.serving(settings) as served, calling(served.address) as caller:
        yield Guarded(keyring, caller, tokens)


async def test_the_table_of_permissions_has_every_rpc_and_nothing_else() -> None:
    served = {rpc.method for rpc in ALL}
    assert set(PERMISSIONS) - served <= {"/grpc.health.v1.Health/List"}  # of newer libraries
    assert served <= set(PERMISSIONS)


async def test_every_rpc_refuses_an_unknown_caller_unread(guarded: Guarded) -> None:
    good = guarded.tokens["admin"]
    strangers: dict[str, Metadata] = {
        "nothing": (),
        "empty": (("authorization", ""),),
        "no token": (("authorization", "Bearer"),),
        "of nobody": bearing(new_token()),
        "expired": bearing(guarded.tokens["expired"]),
        "cut": bearing(good[:-1]),
        "in capitals": bearing(good.upper()),
        "twice": bearing(good) * 2,
        "another scheme": (("authorization", f"Basic {good}"),),
        "two in one": bearing(f"{good} {good}"),
        "long": bearing("x" * 7_000),
        "somewhere else": (("token", good), ("x-actor", "ana")),
    }
    told = set()
    for rpc in ALL:
        if rpc.method in OPEN_METHODS:
            continue
        for kind, metadata in strangers.items():
            seen = await guarded.refused(rpc, metadata)
            assert seen.code is StatusCode.UNAUTHENTICATED, (rpc.method, kind)
            assert seen.reason == "UNAUTHENTICATED"
            told.add((seen.message, *seen.facts))
    assert len(told) == 1, "who is refused learns why"


@pytest.mark.parametrize("health", HealthAccess)
async def test_health_needs_no_token_and_discloses_the_state_alone(
    path: Path, tmp_path: Path, health: HealthAccess
) -> None:
    keyring = Keyring(tmp_path / "callers.toml")
    token = keyring.add("probe", "reader")
    settings = Settings(listen="127.0.0.1:0", database=path, callers=keyring.path, health=health)
    async with serve.serving(settings) as served, calling(served.address) as caller:
        for rpc in (rpc for rpc in BESIDE if rpc.method in OPEN_METHODS):
            answers = [await rpc.answer(caller.channel, b"", bearing(token))]
            strangers: list[Metadata] = [(), bearing(new_token())]
            for stranger in strangers:
                if health is HealthAccess.TOKEN:
                    refusal = await refused(rpc.answer(caller.channel, b"", stranger))
                    assert refusal.code is StatusCode.UNAUTHENTICATED
                else:
                    answers.append(await rpc.answer(caller.channel, b"", stranger))
            serving = HealthCheckResponse(status=HealthCheckResponse.SERVING)
            assert set(answers) == {serving.SerializeToString()}, "the state, and nothing else"


async def test_every_rpc_admits_a_sufficient_role_and_refuses_others_unread(
    guarded: Guarded,
) -> None:
    codes = set[StatusCode]()
    for rpc in ALL:
        for role in Role:
            seen = await guarded.refused(rpc, bearing(guarded.tokens[role.name.lower()]))
            codes.add(seen.code)
            if role >= PERMISSIONS[rpc.method] or rpc.method in OPEN_METHODS:
                assert seen.code is StatusCode.INVALID_ARGUMENT, (rpc.method, role)
            else:
                assert seen.code is StatusCode.PERMISSION_DENIED, (rpc.method, role)
                assert (seen.reason, seen.facts) == ("PERMISSION_DENIED", {"method": rpc.method})
    assert codes == {StatusCode.INVALID_ARGUMENT, StatusCode.PERMISSION_DENIED}


async def test_the_actor_of_an_event_is_who_was_authenticated(guarded: Guarded) -> None:
    for role in ("operator", "admin"):
        pretending = (*bearing(guarded.tokens[role]), ("x-actor", "ana"), ("actor", "ana"))
        # the same request id of two callers is two requests
        added = await guarded.caller.commands.AddStock(
            adding(1, request_id="delivery-1"), metadata=pretending
        )
        assert not added.replayed, role
    follow = guarded.caller.events.Subscribe(
        SubscribeRequest(stop_at_head=True), metadata=bearing(guarded.tokens["reader"])
    )
    events = [event async for message in follow for event in message.events]
    assert [event.actor for event in events] == ["operator-1", "admin-1"]


async def test_a_stream_ends_when_its_token_is_revoked_or_its_caller_may_see_less(
    guarded: Guarded,
) -> None:
    streams = {}
    for role in ("reader", "operator", "admin"):
        streams[role] = guarded.caller.events.Subscribe(
            SubscribeRequest(), metadata=bearing(guarded.tokens[role])
        )
        await streams[role].read()
    guarded.keyring.entries["operator-1"]["stores"] = "['lisbon']"
    guarded.keyring.drop_first_token("reader-1")
    for role in ("reader", "operator"):
        async with asyncio.timeout(10):
            assert (await refused(_rest_of(streams[role]))).reason == "UNAUTHENTICATED"
    again = await guarded.refused(_SUBSCRIBE, bearing(guarded.tokens["reader"]))
    assert again.code is StatusCode.UNAUTHENTICATED
    assert not streams["admin"].done()
    streams["admin"].cancel()


async def test_a_stream_of_commands_of_a_revoked_token_may_have_recorded_some(
    guarded: Guarded,
) -> None:
    stream: Any = guarded.caller.commands.ExecuteStream(
        metadata=bearing(guarded.tokens["operator"])
    )
    await stream.write(message(adding(1, request_id="delivery-1")))
    follow: Any = guarded.caller.events.Subscribe(
        SubscribeRequest(), metadata=bearing(guarded.tokens["admin"])
    )
    async with asyncio.timeout(10):
        while not (await follow.read()).events:
            pass
    guarded.keyring.drop_first_token("operator-1")
    async with asyncio.timeout(10):
        assert (await refused(_rest_of(stream))).reason == "UNAUTHENTICATED"
    follow.cancel()


async def test_a_token_is_never_stored_or_logged(path: Path, tmp_path: Path) -> None:
    keyring = Keyring(tmp_path / "callers.toml")
    token = keyring.add("ana", "admin")
    canary = "inv_canary-that-nobody-may-ever-see"
    log = tmp_path / "server.log"
    errors: list[str] = []
    async with server_process(path, log, "--callers", str(keyring.path)) as server:
        async with calling(await server.address()) as caller:
            for rpc in ALL:
                for metadata in (bearing(token), bearing(canary), (("authorization", canary),)):
                    for request in (UNREADABLE, b""):
                        try:
                            await rpc.answer(caller.channel, request, metadata)
                        except grpc.aio.AioRpcError as error:
                            errors.append(f"{error} {error.trailing_metadata()}")
            await caller.commands.AddStock(
                adding(1, reason=canary, reference=canary), metadata=bearing(token)
            )
            failed = caller.commands.AddStock(
                adding(-1, canary * 9, canary * 9, reason=canary), metadata=bearing(token)
            )
            errors.append(str(await refused(failed)))
        server.terminate()
        assert await server.ended() == 0
    said = log.read_text("utf-8")
    for secret in (token, canary):
        assert secret not in said
        assert not any(secret in error for error in errors)
    assert [json.loads(line) for line in said.splitlines()]
    stored = b"".join(bytes(event) for (event,) in rows(path, "SELECT event FROM events"))
    assert token.encode() not in stored
    assert token.encode() not in await asyncio.to_thread(path.read_bytes)


async def test_without_callers_anybody_may_call_and_the_log_says_so(
    path: Path, tmp_path: Path
) -> None:
    log = tmp_path / "server.log"
    async with server_process(path, log) as server, calling(await server.address()) as caller:
        await caller.admin.GetServerInfo(GetServerInfoRequest())
    assert "is open: every user of this machine may call" in log.read_text("utf-8")


async def _rest_of(stream: Any) -> None:  # noqa: ANN401  the stubs do not name it
    while await stream.read() is not grpc.aio.EOF:
        pass
