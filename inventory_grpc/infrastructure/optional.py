"""Imports the modules that need the driver of PostgreSQL, which is optional."""

from importlib import import_module
from typing import Any

from inventory_grpc.application.store import Unusable


def with_driver(module: str) -> Any:  # noqa: ANN401  a module
    """Return a module of `infrastructure` that imports the driver.

    Raises:
        Unusable: the driver is missing.
    """
    try:
        return import_module(f"inventory_grpc.infrastructure.{module}")
    except ImportError as error:
        raise Unusable(
            f"the driver of PostgreSQL is missing ({error}): install inventory-grpc[postgres]"
        ) from error
