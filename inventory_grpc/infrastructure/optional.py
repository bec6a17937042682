"""Imports the modules that need a package of an extra."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any

from inventory_grpc.application.shared_cache import SharedCache
from inventory_grpc.application.store import Unusable


def with_driver(module: str) -> Any:  # noqa: ANN401  a module
    """Return a module of `infrastructure` that imports the driver of PostgreSQL.

    Raises:
        Unusable: the driver is missing.
    """
    return _with_extra("postgres", "the driver of PostgreSQL", module)


@asynccontextmanager
async def open_shared_cache(url: str | None) -> AsyncIterator[SharedCache | None]:
    """Return the shared cache at *url*, if there is one, which need not answer.

    Raises:
        Unusable: its client is missing.
    """
    if url is None:
        yield None
        return
    cache = _with_extra("cache", "the client of Valkey", "valkey_cache").ValkeyCache(url)
    try:
        await cache.start()
        yield cache
    finally:
        await cache.close()


def _with_extra(extra: str, package: str, module: str) -> Any:  # noqa: ANN401  a module
    try:
        return import_module(f"inventory_grpc.infrastructure.{module}")
    except ImportError as error:
        raise Unusable(
            f"{package} is missing ({error}): install inventory-grpc[{extra}]"
        ) from error
