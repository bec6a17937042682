"""A projector: it follows the events into a database of its own, each exactly once.

    python scripts/examples/projector.py levels.db

The table and the place in the log change in one transaction. So the projector may be killed at any
moment: it goes on behind the last event whose effect is in the table.

INVENTORY_SERVER names the server, by default 127.0.0.1:50051. With a second argument `to-head` it
ends at the end of the log.
"""

import os
import sqlite3
import sys
from contextlib import closing
from typing import Final, NamedTuple

from inventory_grpc import OtherLog, SyncInventoryClient
from inventory_grpc_protos.v1.events_pb2 import SubscribeResponse

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS levels
  (product TEXT, store TEXT, on_hand INT, available INT, events INT, PRIMARY KEY (product, store));
CREATE TABLE IF NOT EXISTS place (one INT PRIMARY KEY, log_id TEXT, position INT);
INSERT OR IGNORE INTO place VALUES (1, '', 0);
"""

_SET: Final = """
INSERT INTO levels VALUES (?, ?, ?, ?, 1) ON CONFLICT DO UPDATE
SET on_hand = excluded.on_hand, available = excluded.available, events = events + 1
"""


class Place(NamedTuple):
    log_id: str
    position: int


class Projection:
    """The levels of all stocks, as of a place in the log."""

    def __init__(self, path: str) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.executescript(_TABLES)

    def place(self) -> Place:
        [row] = self._db.execute("SELECT log_id, position FROM place")
        return Place(*row)

    def apply(self, batch: SubscribeResponse) -> None:
        """Record the effect of *batch* and its place together, or neither."""
        rows = [
            (event.product_id, event.store_id, event.after.on_hand, event.after.available)
            for event in batch.events
            if event.HasField("after")
        ]
        self._db.execute("BEGIN IMMEDIATE")
        with self._db:
            self._db.executemany(_SET, rows)
            self._db.execute(
                "UPDATE place SET log_id = ?, position = ?", (batch.log_id, batch.position)
            )


def follow(projection: Projection, inventory: SyncInventoryClient, *, to_head: bool) -> None:
    log_id, position = projection.place()
    batches = inventory.subscribe(log_id=log_id, after_position=position, stop_at_head=to_head)
    with closing(batches) as following:
        for batch in following:
            projection.apply(batch)


def main(database: str, until: str = "") -> None:
    with SyncInventoryClient(os.environ.get("INVENTORY_SERVER", "127.0.0.1:50051")) as inventory:
        try:
            projection = Projection(database)
            follow(projection, inventory, to_head=until == "to-head")
            print(f"{database} has the levels as of position {projection.place().position}")
        except OtherLog as other:
            sys.exit(f"{database} follows another log: {other}. Begin a new file for it.")


if __name__ == "__main__":
    main(*sys.argv[1:])
