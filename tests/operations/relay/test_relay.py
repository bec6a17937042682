"""A relay in a process of its own, between a real server and a real broker."""

import json
import random
import shutil
import time
from pathlib import Path

from inventory_grpc import SyncInventoryClient
from inventory_grpc.testing import InventoryServer
from tests.operations.relay.relays import (
    Relay,
    add,
    check_complete,
    eventually,
    fill,
    log_of,
    page,
    page_port,
    read,
    selling,
)
from tests.support.brokers import Broker
from tests.support.effort import SEED, campaign, runs

SECONDS = 30.0


def test_kills_of_the_relay_and_of_the_target_lose_and_repeat_nothing(
    tmp_path: Path, server: InventoryServer, shop: SyncInventoryClient, broker: Broker
) -> None:
    kills, of_target = runs(least=3, ci=8, deep=100), runs(least=1, ci=2, deep=20)
    chance = random.Random(SEED)
    plan = ["relay"] * kills + ["target"] * of_target
    chance.shuffle(plan)
    with campaign("relay", relay=kills, target=of_target) as noted:
        with selling(server):
            relay = Relay(tmp_path, server, broker.url)
            for what in plan:
                time.sleep(chance.uniform(0.2, 1.5))
                if what == "target":
                    broker.kill()
                    time.sleep(chance.uniform(0, 0.5))
                    broker.start()
                else:
                    relay.kill()
                    relay = Relay(tmp_path, server, broker.url)
            time.sleep(0.5)
            relay.kill()
        assert Relay(tmp_path, server, broker.url, "--until-head").ended() == 0
        check_complete(broker, shop)
        noted["events"] = len(log_of(shop))


def test_of_two_relays_at_once_one_ends_and_nothing_is_there_twice(
    tmp_path: Path, server: InventoryServer, shop: SyncInventoryClient, broker: Broker
) -> None:
    times = runs(least=1, ci=1, deep=20)
    with campaign("two relays", times=times) as noted:
        for _ in range(times):
            with selling(server):
                relays = [Relay(tmp_path, server, broker.url) for _ in range(2)]
                eventually(lambda: any(relay.process.poll() is not None for relay in relays))  # noqa: B023  of this turn
            [refused] = [relay for relay in relays if relay.process.poll() is not None]
            [other] = [relay for relay in relays if relay is not refused]
            assert refused.ended() == 1
            assert "another relay publishes to this target" in refused.told()
            expected = len(log_of(shop))
            eventually(lambda: len(read(broker)) == expected)  # noqa: B023  of this turn
            assert other.stop() == 0
        check_complete(broker, shop)
        noted["events"] = expected


def test_a_relay_waits_for_its_target_and_tells_that_it_does(
    tmp_path: Path, server: InventoryServer, shop: SyncInventoryClient, broker: Broker
) -> None:
    add(shop, 3)
    relay = Relay(tmp_path, server, broker.url, "--metrics-listen", "127.0.0.1:0")
    port = page_port(relay)
    eventually(lambda: page(port, "healthz") == (200, "serving\n"))
    eventually(lambda: "inventory_relay_sent_total 3.0" in page(port, "metrics")[1])
    broker.kill()
    add(shop, 1)
    eventually(lambda: page(port, "healthz")[0] == 503)
    assert "inventory_relay_connected 0.0" in page(port, "metrics")[1]
    broker.start()
    eventually(lambda: page(port, "healthz")[0] == 200)
    eventually(lambda: "inventory_relay_position 4.0" in page(port, "metrics")[1])
    assert "inventory_relay_lag_events 0.0" in page(port, "metrics")[1]
    assert relay.stop() == 0
    check_complete(broker, shop)


def test_the_target_of_another_log_is_refused(
    tmp_path: Path, server: InventoryServer, shop: SyncInventoryClient, broker: Broker
) -> None:
    add(shop, 2)
    assert Relay(tmp_path, server, broker.url, "--until-head").ended() == 0
    log_id = log_of(shop)[0].event_id.rpartition("-")[0]
    with InventoryServer() as other:
        with other.client() as its:
            add(its, 5)
        relay = Relay(tmp_path, other, broker.url)
        assert relay.ended() == 1
    assert f"the target has the events of log {log_id}, which the server's is not" in relay.told()
    assert "publish to another target, which is empty" in relay.told()
    check_complete(broker, shop)


def test_a_target_ahead_of_the_log_is_refused(
    tmp_path: Path, server: InventoryServer, shop: SyncInventoryClient, broker: Broker
) -> None:
    """Such a log was restored from a backup, and will have other events at these positions."""
    add(shop, 1)
    server.stop()
    folder, backup = server.database.parent, tmp_path / "backup"
    shutil.copytree(folder, backup)
    server.start()
    add(shop, 2)
    assert Relay(tmp_path, server, broker.url, "--until-head").ended() == 0
    server.stop()
    for file in backup.iterdir():
        shutil.copy(file, folder)
    server.start()
    relay = Relay(tmp_path, server, broker.url)
    assert relay.ended() == 1
    assert "the last event in the target is 3, which is not in the log" in relay.told()
    assert "was a backup restored?" in relay.told()


def test_an_empty_target_may_begin_anywhere_and_only_with_some_events(
    tmp_path: Path, server: InventoryServer, shop: SyncInventoryClient, broker: Broker
) -> None:
    add(shop, 2)
    add(shop, 1, "porto")
    add(shop, 1)
    options = ["--after", "1", "--store", "lisbon", "--format", "json", "--until-head"]
    assert Relay(tmp_path, server, broker.url, *options).ended() == 0
    found = read(broker)
    assert [entry.position for entry in found] == [2, 4]
    event = log_of(shop)[1]
    told = {name.lower(): value for name, value in found[0].headers.items()}
    assert told["ce-id"] == event.event_id
    assert told["ce-type"] == "inventory.v1.StockAdded"
    assert told["ce-source"] == f"//inventory/{event.event_id.rpartition('-')[0]}"
    assert told["ce-time"] == event.record_time.ToJsonString()
    assert json.loads(found[0].body)["store_id"] == "lisbon"
    late = Relay(tmp_path, server, broker.url, "--after", "3")
    assert late.ended() == 1
    assert "the last event in the target is 4: --after 3 is for an empty target" in late.told()


def test_a_signal_ends_it_between_two_batches(
    tmp_path: Path, server: InventoryServer, shop: SyncInventoryClient, broker: Broker
) -> None:
    fill(shop, 30_000)
    relay = Relay(tmp_path, server, broker.url)
    eventually(lambda: bool(read(broker)))
    assert relay.stop() == 0
    last = int(relay.told().rpartition("published up to position ")[2].partition('"')[0])
    assert len(read(broker)) == last
    assert Relay(tmp_path, server, broker.url, "--until-head").ended() == 0
    check_complete(broker, shop)
