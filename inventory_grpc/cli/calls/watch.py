"""Shows the levels of stocks as they change: in place on a terminal, as JSON lines into a pipe."""

import json
from contextlib import closing
from typing import Final, NamedTuple

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from inventory_grpc.cli.calls.options import Output
from inventory_grpc.cli.calls.session import Session
from inventory_grpc.client import SyncInventoryClient
from inventory_grpc.server.logs import printable
from inventory_grpc_protos.v1.events_pb2 import Event

MAX_ROWS: Final = 200
"""The most stocks that are shown; one that moves takes the place of another."""

LEVELS: Final = ("available", "on_hand", "reserved")


class Filter(NamedTuple):
    product_ids: list[str]
    store_ids: list[str]


def watch(session: Session, only: Filter) -> None:
    """Show the levels of the stocks in *only* until Ctrl-C."""
    with session.client() as client:
        if session.output is Output.TABLE:
            _watch_in_place(client, only)
        else:
            _watch_lines(client, only)


def _watch_in_place(client: SyncInventoryClient, only: Filter) -> None:
    page = client.list_stock(**only._asdict(), page_size=MAX_ROWS)
    levels = {
        (stock.product_id, stock.store_id): [getattr(stock, level) for level in LEVELS]
        for stock in page.stocks
    }
    console = Console(highlight=False, markup=False, emoji=False)
    following = client.events(**only._asdict(), after_position=page.as_of_position)
    with Live(_table(levels), console=console) as live, closing(following) as events:
        for event in events:
            if event.HasField("after"):
                key = event.product_id, event.store_id
                levels.pop(key, None)
                levels[key] = [getattr(event.after, level) for level in LEVELS]
                if len(levels) > MAX_ROWS:
                    del levels[next(iter(levels))]
                live.update(_table(levels, moved=key))


def _table(levels: dict[tuple[str, str], list[int]], moved: object = None) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", caption="Ctrl-C ends this")
    for column in ("product", "store", *LEVELS):
        justify = "right" if column in LEVELS else "left"
        table.add_column(column.replace("_", " "), justify=justify)  # type: ignore[arg-type]
    for key in sorted(levels):
        cells = [Text(printable(text)) for text in (*key, *map(str, levels[key]))]
        table.add_row(*cells, style="bold" if key == moved else "")
    return table


def _watch_lines(client: SyncInventoryClient, only: Filter) -> None:
    with closing(client.events(**only._asdict(), from_now=True)) as events:
        for event in events:
            if event.HasField("after"):
                print(json.dumps(_line(event), ensure_ascii=False), flush=True)  # noqa: T201  the answer


def _line(event: Event) -> dict[str, object]:
    return {
        "position": event.position,
        "product_id": event.product_id,
        "store_id": event.store_id,
        **{level: getattr(event.after, level) for level in LEVELS},
    }
