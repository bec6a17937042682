"""The command that runs a server."""

import asyncio
import logging
import os
import sys
from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated

import typer

from inventory_grpc.application import failpoints
from inventory_grpc.cli.calls.options import SERVER_VARIABLE
from inventory_grpc.cli.common import errors, show_error
from inventory_grpc.cli.options import takes_settings
from inventory_grpc.server.environment import load, unknown, variable
from inventory_grpc.server.log_queue import queued
from inventory_grpc.server.logs import set_up_logging
from inventory_grpc.server.service_manager import ServiceManager
from inventory_grpc.server.supervisor import supervise
from inventory_grpc.server.worker_link import Link
from inventory_grpc.settings import Settings

_log = logging.getLogger(__name__)


@takes_settings
def serve(
    *, worker: Annotated[int | None, typer.Option(hidden=True)] = None, **settings: object
) -> None:
    """Serve the API until SIGTERM or Ctrl-C, then drain; a second signal exits at once.

    Each option is also an environment variable: INVENTORY_ and its name in capitals, such as
    INVENTORY_MAX_QUERIES for --max-queries. An option overrides its variable.

    Example: `inventory-grpc serve --listen 127.0.0.1:50051 -d shop.db`
    """
    sys.stderr = queued(sys.stderr)
    with errors():
        link = Link.of_worker(worker) if worker else None
    with errors(link.report_failure if link else show_error):
        loaded = load(os.environ, **settings)
        loaded.check_engine()
        _serve(loaded, link)


def _serve(settings: Settings, link: Link | None) -> None:
    set_up_logging(settings.log_format, link.worker if link else None)
    failpoints.arm(os.environ.get(failpoints.VARIABLE, ""))
    # otherwise gRPC logs malformed requests of any caller, in a format of its own
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    manager = ServiceManager.taken_from(os.environ)
    if not link:
        _warn_of_unknown(os.environ)
        if settings.workers > 1:
            asyncio.run(supervise(settings, manager))
            return
    from inventory_grpc.server import lifetime  # noqa: PLC0415  grpc imports slowly; `--help` and a supervisor do without

    lifetime.serve(settings, link, manager)


def _warn_of_unknown(environ: Mapping[str, str]) -> None:
    """Warn about unknown variables with our prefix, which are mostly misspelt."""
    ours = (failpoints.VARIABLE, SERVER_VARIABLE)
    known = [*(variable(setting.name) for setting in fields(Settings)), *ours]
    for name, meant in unknown(environ, known).items():
        hint = f"; did you mean {meant}?" if meant else "; see `inventory-grpc serve --help`"
        _log.warning("%s is not a setting, and has no effect%s", name, hint)
