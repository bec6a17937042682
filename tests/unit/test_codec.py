"""Events are stored in unchanged bytes and decode to what was recorded."""

import gzip
from dataclasses import fields
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory_grpc.domain.alerts import Alert
from inventory_grpc.domain.event import Cause, Event, Fact, Key
from inventory_grpc.domain.levels import (
    FenceUnits,
    Levels,
    Particulars,
    StateUnits,
    Terms,
)
from inventory_grpc.domain.policy import Policy, PolicyChanged
from inventory_grpc.domain.product import ProductChanged
from inventory_grpc.domain.registry import FACTS
from inventory_grpc.domain.reservation_facts import (
    BackorderFilled,
    ReservationCommitted,
    ReservationExpired,
    ReservationExtended,
    ReservationReacquired,
    ReservationReleased,
    StockReserved,
)
from inventory_grpc.domain.stock import (
    StockAdded,
    StockAdjusted,
    StockFenced,
    StockMoved,
    StockRemoved,
    StockTermsChanged,
)
from inventory_grpc.domain.store import StoreChanged, StoreKind
from inventory_grpc.domain.values import SELLABLE, Channel, Instant, ProductId, StoreId
from inventory_grpc.infrastructure.codec import UnknownFact, decode, encoded
from inventory_grpc_protos.v1 import events_pb2 as pb
from tests.support.opened import stored
from tests.support.world import ANA, DAMAGED, KETTLES, LISBON, ORDER, R1, RETURNED, TOASTERS

TIME: Final = Instant(1_795_886_891_871_035)
CAUSE: Final = Cause("request-1", "ana", "a gift", "order 7", Instant(1_795_886_000_000_000))
BEFORE_THE_FACT: Final = (
    "080c12066c6f672d31321a066b6574746c6522066c6973626f6e2807320c08ab9eacd80610f8e0ab9f03380b42"
    "09726571756573742d314a060809100418055203616e615a0661206769667462076f7264657220376a0608b097"
    "acd806"
)
WEB: Final = Channel("web")
KEPT: Final = Path(__file__).parents[1] / "robustness" / "releases"

CONTENT: Final = "0a066b6574746c6512034b2d311a064b6574746c65"

STORED: Final[tuple[tuple[Fact, str], ...]] = (
    (StockAdded(5), "a201020805"),
    (StockRemoved(3), "aa01020803"),
    (StockAdded(5, RETURNED), "a2010c0805120872657475726e6564"),
    (StockRemoved(3, DAMAGED), "aa010b0803120764616d61676564"),
    (StockAdjusted(0, 0), "b201021000"),
    (StockAdjusted(-1, 4, state=SELLABLE), "b2011708ffffffffffffffffff011004220873656c6c61626c65"),
    (StockMoved(2, None, DAMAGED), "e2010b08021a0764616d61676564"),
    (StockMoved(2, RETURNED, DAMAGED), "e201150802120872657475726e65641a0764616d61676564"),
    (StockAdjusted(-3, None), "b2010b08fdffffffffffffffff01"),
    (StockAdjusted(2, 7, unconditional=True), "b20106080210071801"),
    (StockAdjusted(-5, None, reverses=3), "7803b2010b08fbffffffffffffffff01"),
    (
        StockReserved(R1, ANA, ORDER, 3, TIME),
        "ba01220a0272311203616e611a076f726465722d3120032a0c08ab9eacd80610f8e0ab9f03",
    ),
    (StockReserved(R1, ANA, None, 3, None), "ba010b0a0272311203616e612003"),
    (ReservationCommitted(R1, ORDER, 2), "c2010f0a02723112076f726465722d311802"),
    (ReservationCommitted(R1, None, 2), "c201060a0272311802"),
    (ReservationReleased(R1, 2), "ca01060a0272311002"),
    (ReservationExpired(R1, 2), "d201060a0272311002"),
    (StockRemoved(3, None, WEB, 2), "aa010908031a037765622002"),
    (StockFenced(WEB, -2), "fa01100a0377656210feffffffffffffffff01"),
    (StockFenced(WEB, 2, reverses=3), "7803fa01070a037765621002"),
    (
        StockTermsChanged(2, 5, 0, 1, product_retired=True, store_retired=False),
        "82020a08021005180020012801",
    ),
    (
        StockTermsChanged(0, 0, None, 0, product_retired=False, store_retired=True, subject=LISBON),
        "720c73746f72652f6c6973626f6e8202023001",
    ),
    (
        StockReserved(R1, ANA, None, 3, None, 1, WEB, 2),
        "ba01140a0272311203616e61200330013a037765624002",
    ),
    (ReservationCommitted(R1, None, 2, WEB, 1), "c2010d0a027231180222037765622801"),
    (
        ReservationReacquired(R1, ORDER, 2, WEB, 1),
        "ea01160a02723112076f726465722d31180222037765622801",
    ),
    (ReservationReleased(R1, 2, 1, WEB, 1), "ca010f0a0272311002180122037765622801"),
    (ReservationExpired(R1, 2, 1), "d201080a02723110021801"),
    (BackorderFilled(R1, 2), "f201060a0272311002"),
    (ReservationExtended(R1, 2, TIME), "da01140a02723110021a0c08ab9eacd80610f8e0ab9f03"),
    (ReservationExtended(R1, 2, None), "da01060a0272311002"),
    (
        ProductChanged(ProductId("kettle"), "K-1", "Kettle", {"colour": "red", "weight": ""}),
        f"c20230{CONTENT}220d0a06636f6c6f75721203726564220a0a067765696768741200",
    ),
    (ProductChanged(ProductId("kettle"), "", "", {}), "c202080a066b6574746c65"),
    (
        PolicyChanged(None, StoreId("lisbon"), Policy(2, 0, None, 1)),
        "d2021012066c6973626f6e1a06080210002001",
    ),
    (PolicyChanged(None, None, Policy()), "d202021a00"),
    (
        StoreChanged(StoreId("lisbon"), "Lisbon", StoreKind.WAREHOUSE, ("coast", "north")),
        "ca02200a066c6973626f6e12064c6973626f6e18022205636f61737422056e6f727468",
    ),
    (StoreChanged(StoreId("lisbon"), "", StoreKind.STORE, ()), "ca020a0a066c6973626f6e1801"),
)


PARTICULARS: Final = (
    None,
    Particulars((StateUnits(DAMAGED, 2),)),
    Particulars((StateUnits(DAMAGED, 1), StateUnits(RETURNED, 1))),
    Particulars(fences=(FenceUnits(WEB, 1),), waiting=1, terms=Terms(1, 5, 3)),
    Particulars(terms=Terms(product_retired=True), is_low=True),
)


def _event(fact: Fact) -> Event:
    return Event(12, 11, KETTLES, 7, TIME, CAUSE, fact, Levels(9, 4))


def _encoded(event: Event, log_id: str = "log") -> bytes:
    return next(encoded(log_id, [event]))


@pytest.mark.parametrize(("fact", "data"), STORED, ids=[str(fact) for fact, _ in STORED])
def test_a_fact_has_the_bytes_that_it_always_had(fact: Fact, data: str) -> None:
    expected = bytes.fromhex(BEFORE_THE_FACT + data)
    assert _encoded(_event(fact)) == expected
    assert decode(expected) == _event(fact)


_events = st.builds(
    Event,
    st.integers(1, 300),
    st.integers(1, 300),
    st.sampled_from([KETTLES, TOASTERS]),
    st.integers(1, 9),
    st.sampled_from([TIME, Instant(TIME + 1)]),
    st.sampled_from([CAUSE, Cause(), Cause("request-2", "ben")]),
    st.sampled_from([fact for fact, _ in STORED]),
    st.builds(Levels, st.integers(2, 3), st.integers(0, 2), st.sampled_from(PARTICULARS)),
    st.sampled_from([(), (Alert.OUT_OF_STOCK,), (Alert.STOCK_LOW, Alert.PROMISES_AT_RISK)]),
)


@given(st.lists(_events, max_size=8))
def test_nothing_of_an_event_stays_in_the_bytes_of_the_next(events: list[Event]) -> None:
    one_by_one = [_encoded(event) for event in events]
    assert list(encoded("log", events)) == one_by_one
    read = [decode(data) for data in one_by_one]
    assert [_shown(event) for event in read] == [_shown(event) for event in events]


def _shown(event: Event) -> Event:
    return event._replace(after=event.after.shown)


def test_the_entries_of_a_map_are_stored_in_order() -> None:
    names = [f"attribute-{number:02}" for number in range(50)]
    facts = [
        ProductChanged(ProductId("kettle"), "", "", dict.fromkeys(order, "red"))
        for order in (names, names[::-1])
    ]
    assert _encoded(_event(facts[0])) == _encoded(_event(facts[1]))
    found = decode(_encoded(_event(facts[1]))).fact
    assert isinstance(found, ProductChanged)
    assert list(found.attributes) == names


def test_every_fact_is_in_the_table() -> None:
    assert {type(fact) for fact, _ in STORED} == set(FACTS)


def test_a_message_and_its_fields_are_named_as_the_fact_is() -> None:
    messages = {
        field.message_type.name: [*field.message_type.fields_by_name]
        for field in pb.Event.DESCRIPTOR.oneofs_by_name["fact"].fields
        if field.message_type
    }
    assert {name: sorted(found) for name, found in messages.items()} == {
        fact.__name__: sorted(
            field.name for field in fields(fact) if field.name not in {"reverses", "subject"}
        )
        for fact in FACTS
    }


@pytest.mark.parametrize("kept", sorted(KEPT.glob("*.db.gz")), ids=lambda kept: kept.name)
def test_what_any_release_has_stored_is_stored_the_same_today(kept: Path, tmp_path: Path) -> None:
    path = tmp_path / "kept.db"
    path.write_bytes(gzip.decompress(kept.read_bytes()))
    levels: dict[Key, Levels] = {}
    for data in stored(path):
        log_id = pb.Event.FromString(data).event_id.rpartition("-")[0]
        event = decode(data)
        if event.after is not None:
            folded = levels.get(event.key, Levels(0, 0)).after(event.fact)
            levels[event.key] = folded
            event = event._replace(after=folded)
        assert _encoded(event, log_id) == data


def test_levels_by_state_have_the_bytes_that_they_always_had() -> None:
    levels = Levels(9, 4, Particulars((StateUnits(DAMAGED, 6), StateUnits(RETURNED, 1))))
    event = _event(StockAdded(5))._replace(after=levels)
    assert pb.Event.FromString(_encoded(event)).after.SerializeToString().hex() == (
        "0809100420022a0b0a0764616d6167656410062a0c0a0872657475726e65641001"
    )
    assert decode(_encoded(event)) == _shown(event)


def test_a_count_that_agrees_is_stored_as_a_fact() -> None:
    assert decode(_encoded(_event(StockAdjusted(0, None)))).fact == StockAdjusted(0, None)


def test_a_fact_of_a_newer_release_is_named() -> None:
    with pytest.raises(UnknownFact, match="event 12"):
        decode(pb.Event(position=12).SerializeToString())
