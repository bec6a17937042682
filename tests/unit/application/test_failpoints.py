"""Fail points do nothing when off; armed, they act as named, where that is possible."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import inventory_grpc
from inventory_grpc.application import failpoints
from inventory_grpc.application.failpoints import FAIL_POINTS, BadFailPoint, arm, pause, reach
from inventory_grpc.application.ports import Fault, StorageError


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    arm("")


async def test_nothing_happens_at_points_that_are_not_armed() -> None:
    arm("before_commit=error:full")
    reach("batch_open")
    await pause("admit")


def test_a_point_fails_as_storage_does() -> None:
    arm("before_commit=error:full")
    with pytest.raises(StorageError) as failed:
        reach("before_commit")
    assert failed.value.fault is Fault.FULL


async def test_a_point_takes_its_time() -> None:
    arm(" admit = pass ; drain_1=sleep:0.05; ".replace(" = ", "="))
    now = asyncio.get_running_loop().time
    begun = now()
    await pause("drain_1")
    assert 0.049 < now() - begun < 0.06


def test_that_a_point_was_passed_is_noted_once(caplog: pytest.LogCaptureFixture) -> None:
    arm("admit=pass")
    caplog.clear()
    reach("admit")
    reach("admit")
    assert [record.getMessage() for record in caplog.records] == ["fail point admit was passed"]


def test_now_and_then() -> None:
    arm("before_commit=error:busy@0.5")
    failed = 0
    for _ in range(200):
        try:
            reach("before_commit")
        except StorageError:
            failed += 1
    assert 50 < failed < 150


@pytest.mark.parametrize(
    "text",
    [
        "before_comit=exit",
        "before_commit",
        "before_commit=explode",
        "before_commit=sleep",
        "before_commit=sleep:-1",
        "before_commit=exit@often",
        "before_commit=error:odd",
        # what was committed must not be told as failed
        "after_commit=error:full",
    ],
)
def test_what_cannot_be_armed_is_named(text: str) -> None:
    with pytest.raises(BadFailPoint, match=re.escape(text)):
        arm(f"admit=pass; {text}")
    reach("admit")


def test_every_point_has_one_place_or_one_in_each_engine() -> None:
    package = Path(inventory_grpc.__path__[0])
    engines = [package / "infrastructure" / name for name in ("sqlite", "postgres")]
    for point in FAIL_POINTS:
        places = [
            next((engine for engine in engines if engine in path.parents), None)
            for path in package.rglob("*.py")
            for _ in re.findall(rf'(?:reach|pause)\("{point}"\)', path.read_text("utf-8"))
        ]
        assert places, point
        assert len(places) == len(set(places)), point


def test_off_a_point_is_one_look_at_an_empty_dict() -> None:
    assert not failpoints._armed
