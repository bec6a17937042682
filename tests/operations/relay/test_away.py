"""A target that is away for a while, and a log that has grown meanwhile."""

import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from inventory_grpc import SyncInventoryClient
from inventory_grpc.testing import InventoryServer
from tests.operations.relay.relays import (
    Relay,
    check_complete,
    eventually,
    fill,
    page,
    page_port,
)
from tests.support.brokers import Broker
from tests.support.effort import DEEP, campaign, runs

MEGABYTES = 1024 * 1024
MORE = (12 if DEEP else 8) * MEGABYTES
"""A batch more or less, and the pieces that a heap is left in: more after a longer log."""

FULL_BATCHES = 5_000
"""Events with which a relay has had as much in memory as it ever will."""

CATCH_UP_SECONDS = 300.0

pytestmark = pytest.mark.timeout(600)


def is_at_the_end(port: int) -> bool:
    told = page(port, "metrics")[1]
    lag = "inventory_relay_lag_events 0.0" in told
    return lag and "inventory_relay_sent_total 0.0" not in told


def in_megabytes(*counts: int) -> Sequence[float]:
    return [round(count / MEGABYTES, 1) for count in counts]


@pytest.mark.parametrize("how", ["stopped", "ended"])
def test_a_target_that_was_away_while_the_log_grew_has_each_event_once_and_in_order(
    tmp_path: Path, server: InventoryServer, shop: SyncInventoryClient, broker: Broker, how: str
) -> None:
    """A stopped one has a batch in its buffers, whose answer the relay does not wait for."""
    # a relay waits for an answer for 10 seconds
    seconds = runs(least=11, ci=11, deep=60) if how == "stopped" else runs(least=1, ci=1, deep=60)
    count = runs(least=5_000, ci=10_000, deep=200_000)
    with campaign(f"target {how}", seconds_away=seconds, events=count) as noted:
        fill(shop, FULL_BATCHES)
        relay = Relay(tmp_path, server, broker.url, "--metrics-listen", "127.0.0.1:0")
        port = page_port(relay)
        eventually(lambda: is_at_the_end(port))
        before = relay.most_bytes()
        if how == "stopped":
            broker.pause()
        else:
            broker.kill()
        fill(shop, count)
        time.sleep(seconds)
        eventually(lambda: page(port, "healthz")[0] == 503)
        away = relay.most_bytes()
        if how == "stopped":
            broker.resume()
        else:
            broker.start()
        eventually(lambda: page(port, "healthz")[0] == 200)
        eventually(lambda: is_at_the_end(port), CATCH_UP_SECONDS)
        after = relay.most_bytes()
        assert relay.stop() == 0
        check_complete(broker, shop)
        noted["megabytes"] = in_megabytes(before, away, after)
        assert max(away, after) < before + MORE, noted


def test_to_catch_up_with_a_longer_log_takes_no_more_memory(
    tmp_path: Path, server: InventoryServer, shop: SyncInventoryClient, broker: Broker
) -> None:
    counts = FULL_BATCHES, runs(least=40_000, ci=40_000, deep=200_000)
    with campaign("memory of a relay", short=counts[0], long=counts[1]) as noted:
        most = []
        for count in counts:
            fill(shop, count)
            relay = Relay(tmp_path, server, broker.url, "--metrics-listen", "127.0.0.1:0")
            port = page_port(relay)
            eventually(lambda: is_at_the_end(port), CATCH_UP_SECONDS)  # noqa: B023  of this turn
            most.append(relay.most_bytes())
            assert relay.stop() == 0
        noted["megabytes"] = in_megabytes(*most)
        assert most[1] < most[0] + MORE, noted
