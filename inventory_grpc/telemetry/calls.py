"""Metrics of calls, named as in go-grpc-prometheus, and of the limits on calls."""

from collections.abc import Iterable, Mapping
from typing import Final

from grpc import StatusCode
from prometheus_client.core import Metric

from inventory_grpc.bootstrap import Service
from inventory_grpc.presentation.interceptors.counting import MethodCalls
from inventory_grpc.telemetry.families import Labels, counter, gauge, histogram

_METHOD: Final = ("grpc_type", "grpc_service", "grpc_method")
_TYPES: Final = {
    (False, False): "unary",
    (False, True): "server_stream",
    (True, False): "client_stream",
    (True, True): "bidi_stream",
}
_OK: Final = "OK"
_CODES: Final = {
    StatusCode.OK: _OK,
    StatusCode.CANCELLED: "Canceled",  # the spelling of Go, which dashboards use
}


def calls_of(methods: Mapping[str, MethodCalls]) -> Iterable[Metric]:
    named = {_method(name, calls): calls for name, calls in methods.items()}
    yield counter(
        "grpc_server_started_total",
        "Calls that have started.",
        _METHOD,
        [(labels, calls.started) for labels, calls in named.items()],
    )
    handled = [
        ((*labels, code), count) for labels, calls in named.items() for code, count in _ended(calls)
    ]
    yield counter(
        "grpc_server_handled_total",
        "Calls that have ended, by status code.",
        (*_METHOD, "grpc_code"),
        handled,
    )
    yield histogram(
        "grpc_server_handling_seconds",
        "Duration of unary calls.",
        _METHOD,
        [(labels, calls.seconds) for labels, calls in named.items() if calls.is_unary],
    )


def _method(name: str, calls: MethodCalls) -> Labels:
    _, service, method = name.split("/")
    return (_TYPES[calls.requests_stream, calls.responses_stream], service, method)


def _ended(calls: MethodCalls) -> Iterable[tuple[str, int]]:
    yield _OK, calls.succeeded
    for code, count in calls.failed.copy().items():
        yield _CODES.get(code) or code.name.title().replace("_", ""), count


def callers_and_rooms_of(service: Service) -> Iterable[Metric]:
    controls = service.controls
    yield counter(
        "inventory_caller_calls_total",
        "Calls by authenticated caller; the empty name stands for all callers beyond a hundred.",
        ("actor",),
        {(actor,): count for actor, count in controls.authentication.calls.copy().items()}.items(),
    )
    rooms = controls.admission.rooms.items()
    yield gauge(
        "inventory_calls_in_flight",
        "Running calls, by the limit that they count against.",
        ("room",),
        {(name,): room.taken for name, room in rooms}.items(),
    )
    yield gauge(
        "inventory_calls_limit",
        "The most calls that may run at a time.",
        ("room",),
        {(name,): room.most for name, room in rooms}.items(),
    )
