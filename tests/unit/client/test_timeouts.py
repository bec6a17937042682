"""A timeout is a finite number of seconds, or an error at once."""

import math
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from inventory_grpc.client import DeadlineExceeded, InventoryClient
from inventory_grpc.client.calls import MAX_TIMEOUT
from tests.unit.client.scripted import ScriptedServer


@pytest.mark.parametrize(
    "seconds",
    [0, -1, -0.0, math.nan, math.inf, -math.inf, 1e300, 10**400, MAX_TIMEOUT + 1],
    ids=str,
)
async def test_a_timeout_that_cannot_be_waited_for_is_refused(
    client: InventoryClient, server: ScriptedServer, seconds: float
) -> None:
    with pytest.raises(ValueError, match=r"timeout must be above 0 and at most 86,400 seconds"):
        InventoryClient("127.0.0.1:1", timeout=seconds)
    with pytest.raises(ValueError, match="timeout must be above 0"):
        await client.get_server_info(timeout=seconds)
    assert not server.asked


@pytest.mark.parametrize("seconds", [True, "5", timedelta(seconds=5), Decimal(5)], ids=repr)
async def test_a_timeout_is_a_number_of_seconds(client: InventoryClient, seconds: Any) -> None:  # noqa: ANN401  that is the story
    with pytest.raises(TypeError, match="timeout must be a number of seconds"):
        InventoryClient("127.0.0.1:1", timeout=seconds)
    with pytest.raises(TypeError, match="timeout must be a number of seconds"):
        await client.get_server_info(timeout=seconds)


def test_a_client_without_a_timeout_is_refused() -> None:
    with pytest.raises(TypeError, match="timeout must be a number of seconds, not None"):
        InventoryClient("127.0.0.1:1", timeout=None)  # type: ignore[arg-type]


@pytest.mark.parametrize("seconds", [MAX_TIMEOUT, 20, 20.5])
async def test_every_other_timeout_is_kept(client: InventoryClient, seconds: float) -> None:
    await client.get_server_info(timeout=seconds)


async def test_a_timeout_too_short_to_be_kept_is_over_at_once(client: InventoryClient) -> None:
    with pytest.raises(DeadlineExceeded):
        await client.get_server_info(timeout=5e-324)
