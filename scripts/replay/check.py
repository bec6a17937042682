"""Comparison of every number of a replay with what pandas computes from the same sales."""

import asyncio
import random
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import aclosing
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeVar

import pandas as pd

from inventory_grpc.client import InventoryClient, InventoryError, Key
from inventory_grpc_protos.v1.events_pb2 import Event
from inventory_grpc_protos.v1.stock_pb2 import ReservationState
from scripts.replay.findings import Findings
from scripts.replay.plan import Fate, Plan
from scripts.replay.sales import Basket, Sales

PAGE: Final = 1_000
EXPIRY_SECONDS: Final = 60.0
STREAM_SECONDS: Final = 3_600.0

Advance = Callable[[int], object]
Item = TypeVar("Item")


def expected_stocks(sales: Sales, plan: Plan) -> pd.DataFrame:
    """Return the initial units, the final units and the events of each store and product."""
    fates = {basket_id: plan.fate(basket_id) for basket_id in sales.lines.basket_id.unique()}
    lines = sales.lines.assign(fate=sales.lines.basket_id.map(fates))
    keys = [lines.store_id, lines.product_id]
    sold = lines.quantity.where(lines.fate == Fate.COMMITTED, 0)
    stocked = lines.quantity.groupby(keys).sum()
    # One event for the delivery, and two for every line: the reservation, and its end.
    events = 1 + 2 * lines.groupby(["store_id", "product_id"]).basket_id.nunique()
    return pd.DataFrame(
        {"stocked": stocked, "on_hand": stocked - sold.groupby(keys).sum(), "version": events}
    )


async def until_nothing_is_held(client: InventoryClient, findings: Findings) -> None:
    """Wait until the last basket that should expire has expired."""
    end = time.monotonic() + EXPIRY_SECONDS
    while (await client.list_reservations(states=["ACTIVE"], page_size=1)).reservations:
        if time.monotonic() > end:
            findings.add(f"reservations are still active {EXPIRY_SECONDS:g} s after the last one")
            return
        await asyncio.sleep(0.1)


async def compare_stocks(
    client: InventoryClient, expected: pd.DataFrame, findings: Findings, advance: Advance
) -> None:
    """Compare every stock with its expected levels."""
    for page in _pages(expected.itertuples(), PAGE):
        keys = [Key(str(row.Index[1]), str(row.Index[0])) for row in page]
        answer = await client.batch_get_stock(keys=keys)
        found = {(stock.product_id, stock.store_id): stock for stock in answer.stocks}
        for key, row in zip(keys, page, strict=True):
            stock = found.get(key)
            levels = stock and (stock.on_hand, stock.reserved, stock.available, stock.version)
            findings.compare(f"{key}", (row.on_hand, 0, row.on_hand, row.version), levels)
        advance(len(page))


async def compare_log(
    client: InventoryClient, expected: pd.DataFrame, findings: Findings, advance: Advance
) -> None:
    """Read the whole log, and compare its sums."""
    on_hand: defaultdict[tuple[int, int], int] = defaultdict(int)
    reserved: defaultdict[tuple[int, int], int] = defaultdict(int)
    position = 0
    async with (
        asyncio.timeout(STREAM_SECONDS),
        aclosing(client.subscribe(stop_at_head=True)) as batches,
    ):
        async for batch in batches:
            for event in batch.events:
                findings.compare("the next position", position + 1, event.position)
                position = event.position
                key = (int(event.store_id), int(event.product_id))
                here, promised = movement(event)
                on_hand[key] += here
                reserved[key] += promised
            advance(len(batch.events))
    findings.compare("events in the log", int(expected.version.sum()), position)
    findings.compare("stocks in the log", len(expected), len(on_hand))
    for row in expected.itertuples():
        found = (on_hand[row.Index], reserved[row.Index])
        findings.compare(f"the log of {row.Index}", (row.on_hand, 0), found)


def movement(event: Event) -> tuple[int, int]:
    """Return the changes of on hand and reserved."""
    match event.WhichOneof("fact"):
        case "stock_added":
            return event.stock_added.quantity, 0
        case "stock_reserved":
            return 0, event.stock_reserved.quantity
        case "reservation_committed":
            return -event.reservation_committed.quantity, -event.reservation_committed.quantity
        case "reservation_released":
            return 0, -event.reservation_released.quantity
        case "reservation_expired":
            return 0, -event.reservation_expired.quantity
        case other:
            raise ValueError(f"unexpected event at {event.position}: {other}")


async def compare_reservations(
    client: InventoryClient,
    sample: Iterable[Basket],
    plan: Plan,
    findings: Findings,
    advance: Advance,
) -> None:
    """Compare the reservation of each basket in *sample*, line by line."""
    for basket in sample:
        fate = plan.fate(basket.basket_id)
        try:
            answer = await client.get_reservation(reservation_id=basket.reservation_id)
        except InventoryError as error:
            findings.add(f"{basket.reservation_id}: {error}")
            continue
        found = answer.reservation
        state = ReservationState.Name(found.state).removeprefix("RESERVATION_STATE_")
        findings.compare(f"the state of {basket.reservation_id}", fate.name, state)
        findings.compare(
            f"the lines of {basket.reservation_id}",
            [(*line, 0, line.quantity) for line in basket.lines],
            [
                (
                    line.product_id,
                    line.store_id,
                    line.quantity,
                    line.held,
                    getattr(line, fate.value),
                )
                for line in found.lines
            ],
        )
        advance(1)


async def verified(database: Path) -> str:
    """Return the first errors of `inventory-grpc verify`, or an empty string."""
    verify = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "inventory_grpc", "verify", "--database", str(database)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await verify.communicate()
    return "; ".join(said.decode().splitlines()[:3]) if verify.returncode else ""


def sampled(baskets: Iterable[Basket], size: int, seed: int) -> list[Basket]:
    """Return a uniform sample of *size* baskets, or all if there are fewer."""
    draw = random.Random(seed)
    chosen: list[Basket] = []
    for seen, basket in enumerate(baskets):
        if seen < size:
            chosen.append(basket)
        elif (place := draw.randrange(seen + 1)) < size:
            chosen[place] = basket
    return chosen


def _pages(rows: Iterable[Any], size: int) -> Iterator[list[Any]]:
    rows = iter(rows)
    while page := list(islice(rows, size)):
        yield page
