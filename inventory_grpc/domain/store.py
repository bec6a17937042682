"""A store of the catalogue: its key, its fact, its state and its command."""

from collections.abc import Sequence
from enum import IntEnum
from typing import ClassVar, Final, NamedTuple, Self

from inventory_grpc.domain.book import Audience, Book, Noun
from inventory_grpc.domain.event import Change, Fact, SubjectKey
from inventory_grpc.domain.refusals import SubjectNotFound, VersionConflict
from inventory_grpc.domain.values import EntryState, Instant, StoreId, immutable


@immutable
class StoreKey(SubjectKey):
    kind: ClassVar[str] = "store"

    @property
    def covers(self) -> tuple[str, str]:
        return "", self.id

    @property
    def store_id(self) -> StoreId:
        return StoreId(self.id)


class StoreKind(IntEnum):
    """The numbers are stored, and those of the contract."""

    STORE = 1
    WAREHOUSE = 2
    VIRTUAL = 3


@immutable
class StoreChanged(Fact):
    """All of the content of a store, as from now on."""

    store_id: StoreId
    name: str
    kind: StoreKind
    groups: tuple[str, ...]
    state: EntryState = EntryState.ACTIVE


FACTS: Final = (StoreChanged,)


class Store(NamedTuple):
    """The state of a store after its last event; version 0 does not exist."""

    key: StoreKey
    name: str = ""
    kind: StoreKind = StoreKind.STORE
    groups: tuple[str, ...] = ()
    version: int = 0
    create_time: Instant | None = None
    update_time: Instant | None = None
    state: EntryState = EntryState.ACTIVE

    @property
    def levels(self) -> None:
        """Return None: a store has no levels."""

    @property
    def imposes(self) -> EntryState:
        return self.state

    def then(self, fact: Fact, time: Instant) -> Self:
        assert isinstance(fact, StoreChanged)
        return type(self)(
            self.key,
            fact.name,
            fact.kind,
            fact.groups,
            self.version + 1,
            self.create_time or time,
            time,
            fact.state,
        )


NOUN: Final = Noun(
    4,
    StoreKey.kind,
    StoreKey,
    FACTS,
    stream=Store,
    audience=Audience.ITS_STORE,
    is_whole=True,
)


@immutable
class PutStore:
    """Replace the content of a store, or make the store; the same content records nothing.

    It leaves the state alone: a nightly import must not bring back what was retired.

    The groups are in order, and each of them is there once.
    """

    store_id: StoreId
    name: str
    kind: StoreKind
    groups: tuple[str, ...]
    expected_version: int | None = None

    @property
    def key(self) -> StoreKey:
        return StoreKey(self.store_id)

    @property
    def touches(self) -> Sequence[StoreKey]:
        return (self.key,)

    @property
    def about(self) -> None:
        """Return None: the command makes the store."""

    def decide(self, book: Book) -> Sequence[Change]:
        store: Store = book.get(self.key)
        expected = self.expected_version
        if expected is not None and expected != store.version:
            raise VersionConflict(expected, store)
        content = self.name, self.kind, self.groups
        if store.version and content == (store.name, store.kind, store.groups):
            return []
        return [(self.key, StoreChanged(self.store_id, *content, store.state))]


@immutable
class RetireStore:
    """Retire a store, or restore it; if it is so already, nothing is recorded."""

    store_id: StoreId
    restore: bool
    expected_version: int | None = None

    @property
    def key(self) -> StoreKey:
        return StoreKey(self.store_id)

    @property
    def touches(self) -> Sequence[StoreKey]:
        return (self.key,)

    @property
    def about(self) -> None:
        """Return None: only who may change the store can ask."""

    def decide(self, book: Book) -> Sequence[Change]:
        store: Store = book.get(self.key)
        if not store.version:
            raise SubjectNotFound(self.key)
        expected = self.expected_version
        if expected is not None and expected != store.version:
            raise VersionConflict(expected, store)
        state = EntryState.ACTIVE if self.restore else EntryState.RETIRED
        if state is store.state:
            return []
        content = store.name, store.kind, store.groups
        return [(self.key, StoreChanged(self.store_id, *content, state))]
