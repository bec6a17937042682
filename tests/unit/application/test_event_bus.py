"""The bus notifies every listener in order, and one that fails harms no other."""

import logging
from collections.abc import Sequence

import pytest

from inventory_grpc.domain.event import Event, Key
from inventory_grpc.domain.stock import StockAdded, StockRemoved
from inventory_grpc.infrastructure.event_bus import InProcessBus
from tests.support.engine import Engine
from tests.support.history import event_of
from tests.support.world import KETTLES, TOASTERS, add

ADDED = event_of(1, KETTLES, StockAdded(5))
REMOVED = event_of(2, KETTLES, StockRemoved(1), version=2)


class Ear:
    """A listener that records the events it receives, and then raises on demand."""

    def __init__(self, heard: list[object], *, name: str = "", fails: bool = False) -> None:
        self._heard = heard
        self._name = name
        self._fails = fails

    def recorded(self, events: Sequence[Event]) -> None:
        self._heard += [self._name or event for event in events]
        if self._fails:
            raise ValueError("a bug of the listener")

    def recorded_elsewhere(self, streams: Sequence[Key]) -> None:
        self._heard += streams
        if self._fails:
            raise ValueError("a bug of the listener")

    def skipped(self, upto: int) -> None:
        self._heard.append(upto)
        if self._fails:
            raise ValueError("a bug of the listener")


def test_a_listener_hears_of_batches_and_of_gaps_in_order() -> None:
    bus, heard = InProcessBus(), list[object]()
    bus.subscribe(Ear(heard))
    bus.publish([ADDED, REMOVED])
    bus.skip(7)
    bus.publish_elsewhere([KETTLES, TOASTERS], 9)
    bus.publish_elsewhere([], 9)
    bus.publish([ADDED])
    assert heard == [ADDED, REMOVED, 7, KETTLES, TOASTERS, ADDED]


def test_listeners_hear_in_the_order_in_which_they_subscribed() -> None:
    bus, heard = InProcessBus(), list[object]()
    bus.subscribe(Ear(heard, name="first"))
    bus.subscribe(Ear(heard, name="second"))
    bus.publish([ADDED])
    assert heard == ["first", "second"]


def test_a_batch_without_events_is_not_told() -> None:
    bus, heard = InProcessBus(), list[object]()
    bus.subscribe(Ear(heard, fails=True))
    bus.publish([])
    assert heard == []


def test_a_listener_that_raises_is_logged_and_the_others_hear_of_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bus, heard = InProcessBus(), list[object]()
    bus.subscribe(Ear([], fails=True))
    bus.subscribe(Ear(heard))
    with caplog.at_level(logging.ERROR):
        bus.publish([ADDED])
        bus.skip(7)
    assert heard == [ADDED, 7]
    assert caplog.text.count("ValueError: a bug of the listener") == 3  # told to forget, as well


def test_a_listener_that_raises_is_told_to_forget_what_it_knew() -> None:
    bus, heard = InProcessBus(), list[object]()
    bus.subscribe(Ear(heard, fails=True))
    bus.publish([ADDED, REMOVED])
    bus.publish_elsewhere([KETTLES], 3)
    assert heard == [ADDED, REMOVED, 2, KETTLES, 3]


async def test_no_answer_depends_on_a_listener(engine: Engine) -> None:
    engine.bus.subscribe(Ear([], fails=True))
    assert (await engine.record(add(5))).position == 1
    assert engine.head.position == 1
