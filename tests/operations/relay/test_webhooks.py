"""Webhooks: at least once, in order, signed, and nothing skipped."""

import base64
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import pytest

from inventory_grpc.relay.place_file import read_place, write_place
from inventory_grpc.relay.signatures import read_secrets, signature
from inventory_grpc.relay.target import Place, Unfit
from inventory_grpc.relay.targets import Kept, target_of
from inventory_grpc.testing import InventoryServer
from tests.operations.relay.receivers import (
    SECRET,
    Delivery,
    Example,
    Received,
    Recorder,
    receiving,
)
from tests.operations.relay.relays import Relay, add, eventually, log_of, page, page_port, selling
from tests.support.effort import SEED, campaign, runs

OTHER_SECRET = "whsec_" + base64.b64encode(b"o" * 32).decode()


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    file = tmp_path / "relay.secret"
    file.write_text(f"{SECRET}\n")
    return file


@pytest.fixture
def example(tmp_path: Path, secrets: Path) -> Iterator[Example]:
    folder = tmp_path / "receiver"
    folder.mkdir()
    made = Example(folder, secrets)
    made.start()
    yield made
    made.kill()


def kill_both(
    relay_of: Callable[..., Relay], receiver: Example | Recorder, server: InventoryServer
) -> int:
    """Kill relay and receiver at random while there are sales; return how often."""
    plan = ["relay"] * runs(least=2, ci=4, deep=100) + ["receiver"] * runs(least=1, ci=1, deep=20)
    chance = random.Random(SEED)
    chance.shuffle(plan)
    with selling(server):
        relay = relay_of()
        for what in plan:
            time.sleep(chance.uniform(0.2, 1.5))
            if what == "receiver":
                receiver.kill()
                receiver.start()
            else:
                relay.kill()
                relay = relay_of()
        time.sleep(0.5)
        relay.kill()
    assert relay_of("--until-head").ended() == 0
    return len(plan) + 1


@pytest.mark.parametrize("kept", ["by the receiver", "in a file"])
def test_kills_of_relay_and_receiver_lose_nothing_and_the_receiver_keeps_each_event_once(
    tmp_path: Path, server: InventoryServer, secrets: Path, example: Example, kept: str
) -> None:
    options = ["--secret-file", str(secrets)]
    if kept == "in a file":
        options += ["--place-file", str(tmp_path / "place")]
    with campaign(f"webhooks, place {kept}") as noted:
        noted["kills"] = kill_both(
            partial(Relay, tmp_path, server, example.url, *options), example, server
        )
        with server.client() as shop:
            events = log_of(shop)
        assert example.positions() == [event.position for event in events]
        noted["events"] = len(events)


@pytest.mark.parametrize("kept", ["by the receiver", "in a file"])
def test_after_kills_only_the_last_batch_comes_again_and_its_events_have_their_ids(
    tmp_path: Path, server: InventoryServer, secrets: Path, kept: str
) -> None:
    """From a receiver that tells what it has, nothing comes again."""
    receiver = Recorder(tmp_path, tells=kept == "by the receiver")
    receiver.start()
    options = ["--secret-file", str(secrets)]
    if kept == "in a file":
        options += ["--place-file", str(tmp_path / "place")]
    with campaign(f"deliveries, place {kept}") as noted:
        try:
            noted["kills"] = kill_both(
                partial(Relay, tmp_path, server, receiver.url, *options), receiver, server
            )
        finally:
            receiver.kill()
        deliveries = receiver.deliveries()
        with server.client() as shop:
            ids = {event.position: event.event_id for event in log_of(shop)}
        noted["events"] = len(ids)
        noted["again"] = check_deliveries(deliveries, ids)
        most = noted["kills"] if kept == "in a file" else 0
        assert noted["again"] <= most, noted


def check_deliveries(deliveries: Sequence[Delivery], ids: Mapping[int, str]) -> int:
    """Check that all events came in order; return how often the batch before came again."""
    first = last = again = 0
    for one in deliveries:
        assert one.ids == [ids[position] for position in one.positions]
        assert one.positions == [*range(one.after + 1, one.positions[-1] + 1)]
        if one.after != last:
            assert one.after == first, "neither the next one nor the last one again"
            again += 1
        first, last = one.after, one.positions[-1]
    assert last == len(ids)
    return again


def test_what_the_receiver_refuses_for_good_is_parked_and_told_and_never_skipped(
    tmp_path: Path, server: InventoryServer, secrets: Path
) -> None:
    received = Received()
    received.poison = 3
    place = tmp_path / "place"
    options = ["--secret-file", str(secrets), "--place-file", str(place)]
    with server.client() as shop, receiving(received) as url:
        relay = Relay(tmp_path, server, url, *options, "--metrics-listen", "127.0.0.1:0")
        port = page_port(relay)
        add(shop, 2)
        eventually(lambda: read_place(place).position == 2)
        add(shop, 1)
        eventually(lambda: "inventory_relay_parked 1.0" in page(port, "metrics")[1])
        assert "inventory_relay_lag_events 1.0" in page(port, "metrics")[1]
        status, why = page(port, "healthz")
        parked = "422 Unprocessable Entity: the events 3 to 3 are parked"
        assert (status, parked in why) == (503, True)
        add(shop, 1)
        assert read_place(place).position == 2
        received.poison = 0
        eventually(lambda: page(port, "healthz")[0] == 200)
        assert "inventory_relay_parked 0.0" in page(port, "metrics")[1]
        eventually(lambda: read_place(place).position == 4)
        assert relay.stop() == 0
    assert all(batch[0] == 3 for batch in received.positions if 3 in batch)
    assert received.positions[-1][-1] == 4


def test_while_a_secret_is_replaced_both_sign(
    tmp_path: Path, server: InventoryServer, secrets: Path
) -> None:
    received = Received()
    options = ["--secret-file", str(secrets), "--place-file", str(tmp_path / "place")]
    with server.client() as shop, receiving(received) as url:
        relay = Relay(tmp_path, server, url, *options)
        add(shop, 1)
        eventually(lambda: len(received.signatures) == 1)
        secrets.write_text(f"{SECRET}\n{OTHER_SECRET}\n")
        add(shop, 1)
        eventually(lambda: len(received.signatures) == 2)
        assert relay.stop() == 0
    assert [len(one.split()) for one in received.signatures] == [1, 2]


def test_a_receiver_that_does_not_tell_the_place_needs_a_file(
    tmp_path: Path, server: InventoryServer, secrets: Path
) -> None:
    with receiving(Received()) as url:
        relay = Relay(tmp_path, server, url, "--secret-file", str(secrets))
        assert relay.ended() == 1
    assert "name a --place-file to keep the place in" in relay.told()


def test_the_signature_is_that_of_the_rules() -> None:
    """The figures are those of the reference library."""
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signed = signature(
        [secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b'{"test": 2432232314}'
    )
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "has 0 secrets"),
        ("secret", "is not whsec_ and the base64 of at least 24 bytes"),
        ("whsec_c2hvcnQ=", "is not whsec_"),
        (f"{SECRET}\n" * 5, "has 5 secrets: it must have 1 to 4"),
    ],
)
def test_bad_secrets_are_told(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "secrets"
    file.write_text(text)
    with pytest.raises(Unfit, match=why):
        read_secrets(file)


def test_the_place_in_a_file_is_that_which_was_written(tmp_path: Path) -> None:
    file = tmp_path / "place"
    assert read_place(file) == Place()
    for place in (Place(1, "abcdefghjkmn-1"), Place(300, "abcdefghjkmn-300")):
        write_place(file, place)
        assert read_place(file) == place
    file.write_text("{}")
    with pytest.raises(Unfit, match="has no place"):
        read_place(file)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://lisbon.example/events", "http:// is for this machine alone"),
        ("https://a", "signed"),
    ],
)
def test_a_receiver_is_signed_and_encrypted(url: str, why: str, secrets: Path) -> None:
    with pytest.raises(Unfit, match=why):
        target_of(url, Kept(secrets if url.startswith("http:") else None))
