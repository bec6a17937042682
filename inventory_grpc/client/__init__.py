"""The Python client of the inventory service.

    async with InventoryClient("127.0.0.1:50051") as inventory:
        await inventory.add_stock(product_id="kettle", store_id="lisbon", quantity=5)
        try:
            await inventory.reserve_stock(
                lines=[Line("kettle", "lisbon", 6)], customer_id="ana"
            )
        except InsufficientStock as refused:
            print(refused.lines[0].available)

`SyncInventoryClient` has the same calls for programs without an event loop. Both share only the
generated code of the protos, and `uuid7`, with the server.
"""

from inventory_grpc.client.bulk_messages import Result
from inventory_grpc.client.client import InventoryClient
from inventory_grpc.client.errors import (
    Cancelled,
    DeadlineExceeded,
    Internal,
    InventoryError,
    LogDamaged,
    NotProcessed,
    OutcomeUnknown,
    Overloaded,
    PermissionDenied,
    ReadsRefused,
    Refused,
    ShuttingDown,
    StorageFull,
    Unauthenticated,
    Unavailable,
    Untrusted,
    WritesRefused,
)
from inventory_grpc.client.messages import Key, Line
from inventory_grpc.client.refusals import (
    AlreadyReversed,
    CommandTooLarge,
    ExceedsReservation,
    InsufficientStock,
    InvalidValue,
    LevelTooHigh,
    NotInCatalogue,
    NotReversible,
    OtherLog,
    PositionAhead,
    RequestIdReused,
    ReservationClosed,
    ReservationExists,
    ReservationNotFound,
    Retired,
    StockNotFound,
    SubjectNotFound,
    VersionConflict,
    Violation,
)
from inventory_grpc.client.sync_client import SyncInventoryClient

__all__ = [
    "AlreadyReversed",
    "Cancelled",
    "CommandTooLarge",
    "DeadlineExceeded",
    "ExceedsReservation",
    "InsufficientStock",
    "Internal",
    "InvalidValue",
    "InventoryClient",
    "InventoryError",
    "Key",
    "LevelTooHigh",
    "Line",
    "LogDamaged",
    "NotInCatalogue",
    "NotProcessed",
    "NotReversible",
    "OtherLog",
    "OutcomeUnknown",
    "Overloaded",
    "PermissionDenied",
    "PositionAhead",
    "ReadsRefused",
    "Refused",
    "RequestIdReused",
    "ReservationClosed",
    "ReservationExists",
    "ReservationNotFound",
    "Result",
    "Retired",
    "ShuttingDown",
    "StockNotFound",
    "StorageFull",
    "SubjectNotFound",
    "SyncInventoryClient",
    "Unauthenticated",
    "Unavailable",
    "Untrusted",
    "VersionConflict",
    "Violation",
    "WritesRefused",
]
