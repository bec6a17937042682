"""Makes the answers to commands again from their events, those of many commands together."""

from collections.abc import Collection, Sequence
from itertools import groupby, islice

from inventory_grpc.application.outcomes import Outcome, PartOutcome, State
from inventory_grpc.domain.event import Event
from inventory_grpc.domain.registry import SUBJECTS
from inventory_grpc.infrastructure.postgres import events as log
from inventory_grpc.infrastructure.postgres import subjects
from inventory_grpc.infrastructure.postgres.folding import states_after
from inventory_grpc.infrastructure.postgres.wire import Wire


def replayed(wire: Wire, positions: Collection[int]) -> dict[int, Outcome]:
    """Return the answers to the commands whose first events are at *positions*."""
    commands = dict(zip(positions, log.events_of_commands(wire, positions), strict=True))
    whole = [events for events in commands.values() if not events[0].cause.part]
    answers = {
        position: _together(events) for position, events in commands.items() if events[0].cause.part
    }
    last = [[*{event.key: event for event in events}.values()] for events in whole]
    streams = iter(states_after(wire, [event for events in last for event in events]))
    folded = _subjects_after(wire, whole)
    for events, of_streams, states in zip(whole, last, folded, strict=True):
        after = [*islice(streams, len(of_streams))]
        answers[events[0].position] = Outcome(events[-1].position, after, states)
    return answers


def _together(events: Sequence[Event]) -> Outcome:
    """Return the answer to an atomic batch."""
    parts = groupby(events, key=lambda event: event.cause.part)
    outcomes = tuple(PartOutcome.of([*part]) for _, part in parts)
    return Outcome(events[-1].position, [], [], parts=outcomes)


def _subjects_after(wire: Wire, commands: Sequence[Sequence[Event]]) -> Sequence[list[State]]:
    """Return the states right after each command of the subjects that it is about."""
    about = [
        [
            key
            for key in dict.fromkeys(event.fact.subject for event in events)
            if type(key) in SUBJECTS
        ]
        for events in commands
    ]
    asked = [
        one
        for keys, events in zip(about, commands, strict=True)
        if keys
        for one in subjects.ask(keys, events[-1].position)
    ]
    results = iter(wire.run(asked) if asked else [])
    states = list[list[State]]()
    for keys in about:
        folded = subjects.fold(keys, next(results), next(results)) if keys else ()
        by_key = {found.key: found.state for found in folded}
        states.append([by_key[key] for key in keys])
    return states
