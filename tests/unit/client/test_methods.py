"""Every method of the client: its keywords, its documentation, and the lists it takes."""

import builtins
import inspect
import re
import typing
from collections.abc import AsyncIterable, Callable, Iterable
from pathlib import Path
from typing import Any, Final, Literal

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from inventory_grpc import client as public
from inventory_grpc.client import InventoryClient
from tests.unit.client.scripted import RPCS, ScriptedServer

PROTOS: Final = Path(__file__).parents[3] / "protos" / "inventory" / "v1"
METHODS: Final = {
    name: method
    for name, method in inspect.getmembers(InventoryClient, inspect.isfunction)
    if not name.startswith("_")
}
CALLS: Final = {name: method for name, method in METHODS.items() if name != "close"}
BULK: Final = {"execute_batch", "execute_atomic", "execute_stream"}
"""Methods that take whole requests."""

ITERABLES: Final = {Iterable, AsyncIterable}
SAMPLES: Final = {str: "kettle", int: 1}


def rpc_of(method: str) -> str:
    others = {"events": "Subscribe", "execute_atomic": "ExecuteBatch"}
    return others.get(method, method.title().replace("_", ""))


def lists_of(method: Callable[..., Any]) -> list[str]:
    """Return the parameters that take a list."""
    kinds = typing.get_type_hints(method)
    return [name for name in inspect.signature(method).parameters if takes_a_list(kinds.get(name))]


def takes_a_list(kind: object) -> bool:
    choices = typing.get_args(kind) if typing.get_origin(kind) not in ITERABLES else (kind,)
    return any(typing.get_origin(choice) in ITERABLES for choice in choices)


def sample_of(kind: Any) -> object:  # noqa: ANN401  a type hint
    if takes_a_list(kind):
        return []
    return typing.get_args(kind)[0] if typing.get_origin(kind) is Literal else SAMPLES[kind]


async def called(client: InventoryClient, name: str, **given: object) -> None:
    """Call a method with *given*, and a sample for whatever else it requires."""
    method = CALLS[name]
    kinds = typing.get_type_hints(method)
    for parameter in list(inspect.signature(method).parameters.values())[1:]:
        if parameter.default is parameter.empty:
            given.setdefault(parameter.name, sample_of(kinds[parameter.name]))
    positional = [given.pop(name) for name in ("requests", "batches") if name in given]
    answer = getattr(client, name)(*positional, **given)
    if inspect.isasyncgen(answer):
        await anext(answer)
    else:
        await answer


def test_every_rpc_has_a_method() -> None:
    assert {rpc_of(name) for name in CALLS} == {rpc.name for rpc in RPCS.values()}


@pytest.mark.parametrize("name", METHODS)
def test_a_keyword_that_is_not_known_is_a_type_error(name: str) -> None:
    client = InventoryClient("127.0.0.1:1")
    with pytest.raises(TypeError, match="unexpected keyword argument 'requestid'"):
        getattr(client, name)(requestid="delivery-7")


@pytest.mark.parametrize("name", CALLS)
def test_its_keywords_are_the_fields_of_the_request(name: str) -> None:
    if name in BULK:
        return
    [request] = [rpc.input_type for rpc in RPCS.values() if rpc.name == rpc_of(name)]
    signature = inspect.signature(CALLS[name])
    kinds = {parameter.kind for parameter in list(signature.parameters.values())[1:]}
    assert kinds <= {inspect.Parameter.KEYWORD_ONLY}
    assert set(signature.parameters) - {"self", "timeout"} == set(fields(request))


def fields(request: Descriptor | None) -> Iterable[str]:
    """Return the names of the fields; those of a filter or policy stand beside the others."""
    assert request
    for field in request.fields:
        if field.name in {"filter", "policy"} and field.type == FieldDescriptor.TYPE_MESSAGE:
            yield from fields(field.message_type)
        else:
            yield field.name


LISTS: Final = [(name, given) for name, method in CALLS.items() for given in lists_of(method)]


def test_there_are_lists() -> None:
    assert ("list_stock", "store_ids") in LISTS
    assert ("execute_stream", "batches") in LISTS
    assert ("subscribe", "event_types") in LISTS
    assert ("reserve_stock", "lines") in LISTS


@pytest.mark.parametrize(("name", "parameter"), LISTS)
@pytest.mark.parametrize("wrong", ["kettle", b"kettle", None, 7], ids=repr)
async def test_what_is_no_list_is_a_type_error_that_says_so(
    client: InventoryClient, server: ScriptedServer, name: str, parameter: str, wrong: object
) -> None:
    with pytest.raises(TypeError, match=rf"{parameter} must be a list of .*, not {wrong!r}"):
        await called(client, name, **{parameter: wrong})
    assert not [request for request in server.requests() if request.ByteSize()]


@pytest.mark.parametrize("name", METHODS)
def test_its_documentation_names_its_errors(name: str) -> None:
    said = inspect.getdoc(METHODS[name]) or ""
    _, _, raises = said.partition("Raises:\n")
    assert raises, f"{name} does not say how it fails"
    for error in re.findall(r"^    (\w+):", raises, re.MULTILINE):
        kind = getattr(public, error, None) or getattr(builtins, error)
        assert issubclass(kind, Exception)


@pytest.mark.parametrize("name", CALLS)
def test_every_refusal_that_the_contract_names_is_named(name: str) -> None:
    said = inspect.getdoc(CALLS[name]) or ""
    promised = refusals()[rpc_of(name)]
    assert {one for one in promised if one not in said} == set()


def refusals() -> dict[str, set[str]]:
    """Return the errors that the comment of each rpc names."""
    found: dict[str, set[str]] = {}
    for file in PROTOS.glob("*.proto"):
        comment = ""
        for line in file.read_text(encoding="utf-8").splitlines():
            stripped = line.strip()
            if stripped.startswith("//"):
                comment += stripped
                continue
            if rpc := re.match(r"rpc (\w+)", stripped):
                reasons = re.findall(r"\(`([A-Z_]+)`", comment)
                found[rpc[1]] = {reason.title().replace("_", "") for reason in reasons}
            comment = ""
    return found
