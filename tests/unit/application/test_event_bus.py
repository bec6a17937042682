"""The bus tells everybody who asked, in order, and one who fails harms nobody."""

import logging

import pytest

from inventory_grpc.application.ports import Skipped
from inventory_grpc.domain.stock import StockAdded, StockRemoved
from inventory_grpc.infrastructure.event_bus import InProcessBus
from tests.support.engine import Engine
from tests.support.history import event_of
from tests.support.world import KETTLES, add

ADDED = event_of(1, KETTLES, StockAdded(5))
REMOVED = event_of(2, KETTLES, StockRemoved(1), version=2)


def test_a_handler_hears_of_the_kinds_it_asked_for_in_order() -> None:
    bus, heard = InProcessBus(), list[object]()
    bus.subscribe(StockAdded, heard.append)
    bus.subscribe(Skipped, heard.append)
    for occurrence in (ADDED, REMOVED, Skipped(7), ADDED):
        bus.publish(occurrence)
    assert heard == [ADDED, Skipped(7), ADDED]


def test_all_handlers_of_a_kind_hear_of_it_in_the_order_in_which_they_asked() -> None:
    bus, heard = InProcessBus(), list[str]()
    bus.subscribe(StockAdded, lambda _: heard.append("first"))
    bus.subscribe(StockAdded, lambda _: heard.append("second"))
    bus.publish(ADDED)
    assert heard == ["first", "second"]


def test_what_nobody_asked_for_is_no_matter() -> None:
    InProcessBus().publish(ADDED)


def test_a_handler_that_raises_is_logged_and_the_others_hear_of_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bus, heard = InProcessBus(), list[object]()
    bus.subscribe(StockAdded, _raise)
    bus.subscribe(StockAdded, heard.append)
    with caplog.at_level(logging.ERROR):
        bus.publish(ADDED)
    assert heard == [ADDED]
    assert "StockAdded" in caplog.text
    assert "a bug of the listener" in caplog.text


def _raise(_: object) -> None:
    raise ValueError("a bug of the listener")


async def test_nobodys_answer_hangs_on_a_handler(engine: Engine) -> None:
    engine.bus.subscribe(StockAdded, _raise)
    assert (await engine.record(add(5))).position == 1
    assert engine.head.position == 1
