"""The changes of the tables in PostgreSQL since `log.sql`, each a `Migration` with a name.

To add one, append it to `MIGRATIONS`. `inventory-grpc migrate` makes it in a database that exists,
and a new database has it from the start, so `log.sql` stays as it is. Three kinds:

- An index of a table of `log.sql`: `Migration("requests-by-x", indexes=("CREATE INDEX …",))`. An
  index of a read model stands in the definition of that. One that changes gets another name.
- A table, column or trigger that servers of the release before need not know: `expand` and
  `rights`. Servers of this release refuse a database without it.
- A change that servers of the release before must not meet: also `contract` and `format`. This
  release writes as the one before until `migrate --finish`; `Begun.format` is what is in force.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Final

from inventory_grpc.application.ports import Fault, StorageError
from inventory_grpc.infrastructure.postgres import catalogue
from inventory_grpc.infrastructure.postgres.catalogue import Item
from inventory_grpc.infrastructure.postgres.read_models import READ_MODELS

FIRST_FORMAT: Final = 1
"""The format of `log.sql`."""


def _text(name: str) -> str:
    """Return the text of a file beside this one."""
    return files("inventory_grpc.infrastructure.postgres").joinpath(name).read_text("utf-8")


@dataclass(frozen=True)
class Migration:
    name: str
    expand: str = ""
    """Statements that servers may go on beside, in one transaction. Each can be repeated: it says
    `IF NOT EXISTS` or `OR REPLACE`."""
    indexes: Sequence[str] = ()
    """`CREATE INDEX name ON …`; made without a lock that stops writes, and again if INVALID."""
    move: str = ""
    """A statement that fills what is new, for rows of positions in `%(after)s < n <= %(upto)s`.
    It can be repeated."""
    contract: str = ""
    """Statements that servers of the release before cannot go on beside."""
    format: int | None = None
    """The format of the log after `--finish`, if servers of the release before must not go on."""
    rights: Mapping[str, str] = field(default_factory=dict)
    """The rights of the service's role on new tables."""

    @property
    def ddl(self) -> str:
        return ";\n".join((self.expand, *self.indexes))


MIGRATIONS: Final[tuple[Migration, ...]] = (
    Migration(
        "migrations",
        expand="""
CREATE TABLE IF NOT EXISTS migrations (
  name  text PRIMARY KEY,
  moved int8 NOT NULL  -- the position up to which its rows are moved
)
""",
        rights={"migrations": "SELECT"},
    ),
    Migration(
        "log-names",
        expand=_text("names.sql"),
        format=2,
        rights={"log_names": "SELECT, INSERT", "log_place": "SELECT, INSERT, UPDATE"},
    ),
)


def format_of(migrations: Sequence[Migration]) -> int:
    """Return the format of the log after *migrations*."""
    return max([FIRST_FORMAT, *(one.format for one in migrations if one.format is not None)])


def formats() -> frozenset[int]:
    """Return the formats that this release reads and writes."""
    newest = format_of(MIGRATIONS)
    return frozenset({newest, max(newest - 1, FIRST_FORMAT)})


def check_served(in_force: int) -> None:
    """Check that the format *in_force* is one of this release, at each batch and connection.

    `migrate --finish` raises it under the lock of the log, so no server of the release before
    writes afterwards; it ends when storage has failed for a minute.

    Raises:
        StorageError: it is another one.
    """
    if in_force not in formats():
        raise StorageError(
            Fault.BROKEN,
            detail=f"the log has format {in_force} now, and this program has {max(formats())}: "
            "use a newer inventory-grpc",
        )


def log_ddl() -> str:
    return _text("log.sql")


def read_model_ddl() -> str:
    return ";\n".join(model.ddl.rstrip().rstrip(";") for model in READ_MODELS)


def whole_ddl() -> str:
    """Return the statements that make all tables in an empty schema."""
    made = [one for migration in MIGRATIONS for one in (migration.ddl, migration.contract)]
    return ";\n".join([log_ddl().rstrip().rstrip(";"), read_model_ddl(), *filter(None, made)])


def expected(in_force: int) -> frozenset[Item]:
    """Return the objects that a log has with the format *in_force*."""
    items = catalogue.defined(f"{log_ddl()};\n{read_model_ddl()}")
    for migration in MIGRATIONS:
        items |= catalogue.defined(migration.ddl)
        if migration.format is not None and migration.format <= in_force:
            items = catalogue.without_dropped(items, migration.contract)
    return items


def made_by_migrations() -> frozenset[Item]:
    """Return the objects that `migrate` makes: not the columns of a table that is there."""
    items = frozenset[Item]().union(*(catalogue.defined(one.ddl) for one in MIGRATIONS))
    tables = {item.table for item in items if item.kind == "table"}
    return frozenset(
        item for item in items if item.table not in tables or item.kind not in {"column", "key"}
    )
