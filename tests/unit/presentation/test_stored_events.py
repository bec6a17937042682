"""Stored bytes are inserted into a response as if the events had been encoded into it."""

from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from inventory_grpc.presentation import stored_events
from inventory_grpc_protos.v1 import events_pb2 as pb

events = st.builds(
    pb.Event,
    position=st.integers(0, 2**63 - 1),
    product_id=st.text("abc", max_size=20),
    reason=st.text(st.characters(codec="utf-8"), max_size=200),
)
# one byte of length, two, and three
lengths = st.sampled_from([0, 1, 127, 128, 16_383, 16_384])


@given(st.lists(events, max_size=5), st.integers(0, 2**63 - 1), st.integers(0, 1))
def test_a_relayed_response_is_the_response_with_the_events(
    recorded: list[pb.Event], position: int, caught_up: int
) -> None:
    rest = pb.SubscribeResponse(
        position=position, caught_up=bool(caught_up), log_id="l", server_time=Timestamp(seconds=1)
    )
    relayed = stored_events.response([event.SerializeToString() for event in recorded], rest)
    rest.events.extend(recorded)
    assert pb.SubscribeResponse.FromString(relayed) == rest
    assert relayed == rest.SerializeToString()


@given(lengths)
def test_an_event_of_any_length_is_relayed(length: int) -> None:
    event = pb.Event(reason="x" * length)
    relayed = stored_events.response(
        [event.SerializeToString()], pb.ListEventsResponse(head_position=1)
    )
    assert pb.ListEventsResponse.FromString(relayed) == pb.ListEventsResponse(
        events=[event], head_position=1
    )


def test_events_have_the_same_number_in_every_response_that_relays_them() -> None:
    for response in (pb.SubscribeResponse, pb.ListEventsResponse):
        assert response.DESCRIPTOR.fields_by_name["events"].number == stored_events.EVENTS
