"""The metrics of a process that serves calls."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from inventory_grpc.application.tally import Tally
from inventory_grpc.bootstrap import Engine, Service
from inventory_grpc.server.metrics_page import check_installed, metrics_page
from inventory_grpc.server.tls import Tls
from inventory_grpc.settings import Settings
from inventory_grpc.telemetry.merge import merge
from inventory_grpc.telemetry.page import Rendered


@asynccontextmanager
async def metrics(  # noqa: PLR0913  what is measured
    settings: Settings,
    engine: Engine,
    service: Service,
    loop_lag: Tally,
    tls: Tls | None,
    *,
    is_worker: bool,
) -> AsyncIterator[str | None]:
    """Serve the metrics while inside, if they are wanted; yield their address.

    Those of a worker are for its supervisor, which gives them the label `worker`. A server without
    workers does that by itself, so that the names are the same.

    Raises:
        BadSetting: the extra is missing.
        OSError: the address cannot be bound.
    """
    if settings.metrics_listen is None:
        yield None
        return
    check_installed(settings)
    from inventory_grpc.telemetry.collector import Metrics, Sources  # noqa: PLC0415  of an extra

    ends = tls.certificates.ends if tls else lambda: None
    made = Metrics(Sources(settings, engine, service, loop_lag, ends))

    async def of_one(accept: str) -> Rendered:
        return merge({1: await made.render(accept)}, {1: 0})

    render = made.render if is_worker else of_one
    try:
        async with metrics_page(settings, render, service.callers) as address:
            yield address
    finally:
        made.close()
