"""The role that each rpc needs. What is not in this table, nobody may call."""

from collections.abc import Mapping
from typing import Final

from inventory_grpc.application.access import Role

PERMISSIONS: Final[Mapping[str, Role]] = {
    "/grpc.health.v1.Health/Check": Role.READER,
    "/grpc.health.v1.Health/List": Role.READER,
    "/grpc.health.v1.Health/Watch": Role.READER,
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": Role.READER,
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": Role.READER,
    "/inventory.v1.InventoryAdmin/GetServerInfo": Role.ADMIN,
    "/inventory.v1.InventoryCommands/AddStock": Role.OPERATOR,
    "/inventory.v1.InventoryCommands/AdjustStock": Role.OPERATOR,
    "/inventory.v1.InventoryCommands/CommitReservation": Role.OPERATOR,
    "/inventory.v1.InventoryCommands/ExecuteBatch": Role.OPERATOR,
    "/inventory.v1.InventoryCommands/ExecuteStream": Role.OPERATOR,
    "/inventory.v1.InventoryCommands/ExtendReservation": Role.OPERATOR,
    "/inventory.v1.InventoryCommands/ReleaseReservation": Role.OPERATOR,
    "/inventory.v1.InventoryCommands/RemoveStock": Role.OPERATOR,
    "/inventory.v1.InventoryCommands/ReserveStock": Role.OPERATOR,
    "/inventory.v1.InventoryEvents/ListEvents": Role.READER,
    "/inventory.v1.InventoryEvents/Subscribe": Role.READER,
    "/inventory.v1.InventoryQueries/BatchGetStock": Role.READER,
    "/inventory.v1.InventoryQueries/CheckAvailability": Role.READER,
    "/inventory.v1.InventoryQueries/GetProductInventory": Role.READER,
    "/inventory.v1.InventoryQueries/GetReservation": Role.READER,
    "/inventory.v1.InventoryQueries/GetStock": Role.READER,
    "/inventory.v1.InventoryQueries/ListReservations": Role.READER,
    "/inventory.v1.InventoryQueries/ListStock": Role.READER,
}
"""The least role, by full method."""

OPEN_HEALTH: Final = frozenset({"/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"})
"""What probes and load balancers call, which have no token: it tells the state and no more."""
