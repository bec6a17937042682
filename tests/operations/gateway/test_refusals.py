"""A refusal comes as JSON with the status that its code has in HTTP, and with its details."""

import asyncio
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from grpc import StatusCode

from inventory_grpc.presentation.errors import STATUS, reason_of_kind
from tests.operations.gateway import troubled
from tests.operations.gateway.refusals import REFUSALS
from tests.operations.gateway.troubled import Call, Shop, open_shop
from tests.support.caller import CODES
from tests.support.documents import API, rows_of, text_of

WITHOUT_A_REASON: Final[Mapping[str, tuple[int, StatusCode]]] = {
    "a deadline that has passed": (504, StatusCode.DEADLINE_EXCEEDED),
    "a message that is too long": (429, StatusCode.RESOURCE_EXHAUSTED),
    "a server that stops in the middle": (503, StatusCode.UNAVAILABLE),
    "no server": (503, StatusCode.UNAVAILABLE),
}
"""Errors that are not of the service, by their cause."""

NOT_TRIED: Final = {
    "CANCELLED": "gRPC cancels only calls that arrive while it closes its port, a moment too short",
}
"""Errors that no test raises through the gateway, with the reason."""

Answers = Mapping[str, httpx.Response]


async def _answers(folder: Path) -> Answers:
    async with open_shop(folder) as shop:
        large = Call("POST", "/v1/stocks:batchGet", {"keys": [{"product_id": "x" * 2_000_000}]})
        shop.others["a message that is too long"] = await shop.ask(large)
        impatient = troubled.DELIVER._replace(headers={"grpc-timeout": "100m"})
        async with troubled.slow(shop):
            shop.others["a deadline that has passed"] = await shop.ask(impatient)
        answers = {name: await _answer(shop, name) for name in REFUSALS}
    return answers | shop.others


async def _answer(shop: Shop, name: str) -> httpx.Response:
    refused = REFUSALS[name]
    async with refused.trouble(shop):
        return await shop.ask(refused.call)


@pytest.fixture(scope="module")
def answers(folder: Path) -> Answers:
    """Ask for all refusals, one after the other."""
    return asyncio.run(_answers(folder))


def _told(answer: httpx.Response) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/json"
    told: dict[str, Any] = answer.json()
    assert told["message"]
    return told


def _agree(told: object, expected: object) -> bool:
    if isinstance(expected, re.Pattern):
        return isinstance(told, str) and bool(expected.fullmatch(told))
    if isinstance(expected, Mapping) and isinstance(told, Mapping):
        return all(_agree(told.get(name), value) for name, value in expected.items())
    if isinstance(expected, list) and isinstance(told, list):
        return len(told) == len(expected) and all(map(_agree, told, expected))
    return told == expected


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_comes_with_its_details(answers: Answers, name: str) -> None:
    expected, answer = REFUSALS[name], answers[name]
    assert answer.status_code == expected.status, answer.text
    told = _told(answer)
    assert told["code"] == expected.code
    details = {one.pop("@type").rpartition("/")[2]: one for one in told["details"]}
    info = details.pop("google.rpc.ErrorInfo")
    assert (info["reason"], info["domain"]) == (expected.reason, "inventory.v1")
    assert info["metadata"].keys() == expected.metadata.keys()
    assert _agree(info["metadata"], expected.metadata), info["metadata"]
    assert set(details) == ({expected.detail} if expected.detail else set())
    assert _agree(details.get(expected.detail or "", {}), expected.fields), details


def test_every_refusal_of_the_service_is_tried() -> None:
    tried = {(one.reason, one.code) for one in REFUSALS.values()}
    kinds = {(reason_of_kind(kind), code.value[0]) for kind, (code, _) in STATUS.items()}
    assert tried == kinds


@pytest.mark.parametrize("name", WITHOUT_A_REASON)
def test_an_error_without_a_reason_has_a_status_and_no_details(answers: Answers, name: str) -> None:
    status, code = WITHOUT_A_REASON[name]
    told = _told(answers[name])
    assert (answers[name].status_code, told["code"]) == (status, code.value[0]), told
    assert told["details"] == []


def test_every_error_of_the_table_is_tried() -> None:
    rows = rows_of(text_of(API), "code", "reason", "when", "do")
    tried = {one.reason for one in REFUSALS.values()}
    tried |= {code.name for _, code in WITHOUT_A_REASON.values()} - {"RESOURCE_EXHAUSTED"}
    assert {reason or code for code, reason, *_ in rows} == tried | {*NOT_TRIED, "any other"}


def _documented() -> Iterator[tuple[str, int]]:
    for status, codes in rows_of(text_of(API), "status", "codes"):
        statuses = re.findall(r"\w+", status)
        for at, code in enumerate(re.findall(r"\w+", codes)):
            yield code, int(statuses[min(at, len(statuses) - 1)])


def test_the_statuses_are_those_of_the_table() -> None:
    tried = {CODES[one.code].name: one.status for one in REFUSALS.values()}
    tried |= {code.name: status for status, code in WITHOUT_A_REASON.values()}
    assert tried == {code: one for code, one in _documented() if code not in NOT_TRIED}
