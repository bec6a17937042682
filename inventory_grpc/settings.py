"""The settings of a server: their names, defaults and bounds."""

import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

from inventory_grpc.addresses import AUTO, METRICS_ADDRESS, UNIX, Address
from inventory_grpc.application.store import Durability
from inventory_grpc.bad_setting import BadSetting, shown
from inventory_grpc.choices import (
    Catalogue,
    EventLoop,
    Failover,
    HealthAccess,
    LogFormat,
    Notify,
    Prepare,
    Reflection,
)
from inventory_grpc.database_urls import check_cache_url, check_urls, in_schema, is_postgres
from inventory_grpc.domain.values import (
    DEFAULT_TTL,
    MAX_TTL,
    MIN_TTL,
    Instant,
    Malformed,
    UnitState,
    own_states,
)
from inventory_grpc.setting import Group, setting

MAX_COUNT: Final = 1_000_000_000
"""The maximum of a setting that is a count."""

_COUNT: Final = (1, MAX_COUNT)

MAX_REMEMBER_DAYS: Final = 36_500
MAX_DRAIN_SECONDS: Final = 86_400
MAX_BATCH: Final = 512

OF_POSTGRES: Final = ("schema", "prepare", "notify", "shared_cache")
"""The settings that only a database in PostgreSQL has."""

_ENDPOINT: Final = re.compile(r"https?://[^/?#@\s]+:[0-9]{1,5}/?", re.ASCII)


@dataclass(frozen=True)
class Settings:
    """The settings of a server; each has a variable, `INVENTORY_` and its name in capitals.

    Raises:
        BadSetting: one of them is invalid.
    """

    listen: str = setting(
        "127.0.0.1:50051", "address and port to serve on; port 0 is any", Group.ADDRESS
    )
    workers: int = setting(
        1, "processes that serve together; see [Workers](#workers)", Group.ADDRESS, (1, 64)
    )
    reflection: Reflection = setting(
        Reflection.LOOPBACK,
        "describe the API to callers: on a `loopback` address, `on`, `off`",
        Group.ADDRESS,
    )
    metrics_listen: str | None = setting(
        None,
        "address of the metrics; see [Metrics](#metrics); `auto`: `127.0.0.1:9464` if free",
        Group.ADDRESS,
    )
    database: str | Path = setting(
        Path("inventory.db"),
        "the file that holds everything, or the URL of a PostgreSQL database",
        Group.STORAGE,
    )
    database_replicas: str | None = setting(
        None,
        "the URL of standbys of that database, from which lists and history are read",
        Group.STORAGE,
    )
    create: bool = setting(
        default=True,
        doc="make a new database where there is none; `0`: refuse to start there",
        group=Group.STORAGE,
    )
    durability: Durability = setting(
        Durability.FULL,
        "`full`: a commit is on disk before its answer; `relaxed`: soon after",
        Group.STORAGE,
    )
    failover: Failover = setting(
        Failover.REFUSE,
        "after a failover of PostgreSQL: `refuse` writes until `inventory-grpc adopt`, or go on, "
        "if failovers are `trusted` to lose nothing",
        Group.STORAGE,
    )
    head_poll_seconds: float = setting(
        0.02,
        "seconds after which events of other processes are looked for",
        Group.STORAGE,
        (0.001, 60),
    )
    schema: str = setting(
        "",
        "PostgreSQL: the schema of the tables; by default the first in the search path",
        Group.STORAGE,
    )
    prepare: Prepare = setting(
        Prepare.AUTO,
        "PostgreSQL: keep prepared statements: `on`, `off`, `auto`: unless a pooler is in the way",
        Group.STORAGE,
    )
    notify: Notify = setting(
        Notify.OFF,
        "PostgreSQL: `on`: commits notify the other servers, which then look at once; `off`",
        Group.STORAGE,
    )
    shared_cache: str | None = setting(
        None,
        "PostgreSQL: the URL of a Valkey or Redis that servers share as a second cache of stocks",
        Group.STORAGE,
    )
    tls_certificate: Path | None = setting(
        None, "PEM file of the certificate chain to serve TLS 1.2 and 1.3 with", Group.ACCESS
    )
    tls_key: Path | None = setting(None, "PEM file of its private key", Group.ACCESS)
    tls_client_ca: Path | None = setting(
        None,
        "PEM file of authorities; callers must then show a certificate of theirs",
        Group.ACCESS,
    )
    callers: Path | None = setting(
        None, "TOML file of callers and their roles; see [Security](#security)", Group.ACCESS
    )
    health: HealthAccess = setting(
        HealthAccess.OPEN,
        "`open`: health checks need no token; `token`: they need one, as all other calls do",
        Group.ACCESS,
    )
    allow_plaintext: bool = setting(
        default=False, doc="serve other machines without encryption", group=Group.ACCESS
    )
    allow_anonymous: bool = setting(
        default=False, doc="serve other machines without authentication", group=Group.ACCESS
    )
    hold_seconds: float = setting(
        DEFAULT_TTL / Instant.SECOND,
        "length of a hold whose request names none",
        Group.COMMANDS,
        (MIN_TTL / Instant.SECOND, MAX_TTL / Instant.SECOND),
    )
    remember_days: float = setting(
        7.0, "days for which a request id is remembered", Group.COMMANDS, (0, MAX_REMEMBER_DAYS)
    )
    states: str = setting(
        "",
        "states of units beside the built-in ones, separated by commas: `refurbished,on_display`",
        Group.COMMANDS,
    )
    catalogue: Catalogue = setting(
        Catalogue.OPEN,
        "`open`: any stock may begin; `required`: only one of a known product and store",
        Group.COMMANDS,
    )
    max_commands: int = setting(
        2_000, "most commands in progress in a worker; more are refused", Group.LIMITS, _COUNT
    )
    max_queries: int = setting(1_000, "most queries in progress in a worker", Group.LIMITS, _COUNT)
    max_streams: int = setting(1_000, "most subscriptions in a worker", Group.LIMITS, _COUNT)
    max_batch: int = setting(
        MAX_BATCH,
        "most commands in a transaction; fewer let other servers write sooner",
        Group.LIMITS,
        (1, MAX_BATCH),
    )
    caller_share: float = setting(
        0.5,
        "share of each of these limits that one authenticated caller may take",
        Group.LIMITS,
        (0, 1),
    )
    cached_answers: int = setting(
        1_000_000,
        "stocks in the cache for `GetStock`, a quarter of a KiB each",
        Group.LIMITS,
        _COUNT,
    )
    cached_stocks: int = setting(100_000, "stocks in the cache for commands", Group.LIMITS, _COUNT)
    cached_reservations: int = setting(
        20_000, "reservations in the cache for commands", Group.LIMITS, _COUNT
    )
    warm_stocks: int = setting(
        0,
        "stocks of the last events that are read into the cache for `GetStock` at start",
        Group.LIMITS,
        (0, MAX_COUNT),
    )
    trace_endpoint: str | None = setting(
        None,
        "URL of an OTLP collector (gRPC) that traces go to; see [Traces](#traces)",
        Group.PROCESS,
    )
    trace_ratio: float = setting(
        0.01,
        "share of the calls that are traced, where callers do not decide",
        Group.PROCESS,
        (0, 1),
    )
    drain_seconds: float = setting(
        10.0, "seconds that calls have to end after SIGTERM", Group.PROCESS, (0, MAX_DRAIN_SECONDS)
    )
    log_format: LogFormat = setting(
        LogFormat.AUTO, "`json`, `console`, or `auto`: console on a terminal", Group.PROCESS
    )
    event_loop: EventLoop = setting(
        EventLoop.AUTO,
        "`asyncio`, `uvloop`, or `auto`: `uvloop` if `inventory-grpc[uvloop]` is installed",
        Group.PROCESS,
    )

    def __post_init__(self) -> None:
        if isinstance(self.database, str) and not is_postgres(self.database):
            object.__setattr__(self, "database", Path(self.database))
        check_urls(self.database, self.database_replicas, self.schema)
        check_cache_url(self.shared_cache)
        for one in fields(self):
            least, most = one.metadata["bounds"] or (None, None)
            value = getattr(self, one.name)
            if least is not None and not least <= value <= most:  # NaN is never between
                bounds = f"from {least:,g} to {most:,.0f}"
                raise BadSetting(f"{one.name}: must be {bounds}, and is {shown(value)}")
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise BadSetting("tls_certificate and tls_key: one needs the other")
        if self.tls_client_ca is not None and self.tls_certificate is None:
            raise BadSetting("tls_client_ca: needs tls_certificate and tls_key")
        if self.trace_endpoint is not None and not _ENDPOINT.fullmatch(self.trace_endpoint):
            raise BadSetting(
                f"trace_endpoint: {shown(self.trace_endpoint)} is not http://HOST:PORT or "
                "https://HOST:PORT, such as http://127.0.0.1:4317"
            )
        try:
            own_states(self.states)
        except Malformed as error:
            raise BadSetting(f"states: {error}") from None
        if not self.is_loopback:
            self._check_openness("listen", "any caller could do anything")
        if self.metrics_address and not self.metrics_address.is_loopback:
            self._check_openness("metrics_listen", "any caller could read the turnover")

    def check_engine(self) -> None:
        """Refuse settings that would have no effect on a file.

        Raises:
            BadSetting: one of them is set.
        """
        if isinstance(self.database, str):
            return
        for one in fields(self):
            if one.name in OF_POSTGRES and getattr(self, one.name) != one.default:
                raise BadSetting(
                    f"{one.name}: needs the URL of a PostgreSQL database, and the setting "
                    f"database is the file {self.database}"
                )

    def _check_openness(self, setting: str, harm: str) -> None:
        """Refuse an open address that the operator has not explicitly allowed."""
        address = getattr(self, setting)
        reached = f"{setting}: {address} can be reached from other machines, and"
        if self.tls_certificate is None and not self.allow_plaintext:
            raise BadSetting(
                f"{reached} nothing would be encrypted; set INVENTORY_TLS_CERTIFICATE and "
                "INVENTORY_TLS_KEY, choose a loopback address, or set INVENTORY_ALLOW_PLAINTEXT=1 "
                "if something before this server encrypts"
            )
        if self.callers is None and not self.allow_anonymous:
            raise BadSetting(
                f"{reached} {harm}; set INVENTORY_CALLERS, choose a loopback "
                "address, or set INVENTORY_ALLOW_ANONYMOUS=1 if the network is yours alone"
            )

    @property
    def file(self) -> Path:
        """The database file.

        Raises:
            BadSetting: the database is not a file.
        """
        if isinstance(self.database, str):
            raise BadSetting(f"database: {shown(self.database)} is not a file, which this needs")
        return self.database

    @property
    def place(self) -> Path | str:
        """The database file, or the URL of a database, with the schema in its options."""
        if isinstance(self.database, Path) or not self.schema:
            return self.database
        return in_schema(self.database, self.schema)

    @property
    def replicas(self) -> str | None:
        """The URL of the replicas, with the schema in its options; None if there are none."""
        if self.database_replicas is None or not self.schema:
            return self.database_replicas
        return in_schema(self.database_replicas, self.schema)

    @property
    def address(self) -> Address:
        return Address.read("listen", self.listen)

    @property
    def is_loopback(self) -> bool:
        return self.address.is_loopback

    @property
    def metrics_address(self) -> Address | None:
        """The address of the metrics; None if there is none, or it is that of a Unix socket."""
        if self.metrics_listen is None or self.metrics_listen.startswith(UNIX):
            return None
        text = METRICS_ADDRESS if self.metrics_listen == AUTO else self.metrics_listen
        return Address.read("metrics_listen", text)

    @property
    def own_states(self) -> frozenset[UnitState]:
        return own_states(self.states)

    @property
    def serves_reflection(self) -> bool:
        return self.reflection is Reflection.ON or (
            self.reflection is Reflection.LOOPBACK and self.is_loopback
        )
