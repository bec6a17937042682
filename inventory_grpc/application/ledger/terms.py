"""The terms of stocks as they are in force, while stocks may have others recorded.

A change of a policy is recorded in the policy's own stream, and walks to the stocks afterwards. A
command is decided on the terms in force meanwhile, and they are recorded before its events.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Final, Self

from inventory_grpc.application.outcomes import State
from inventory_grpc.application.ports import Pending, Walk
from inventory_grpc.domain.event import Cause, Change, Key, SubjectKey
from inventory_grpc.domain.policy import sources_of, terms_in_force
from inventory_grpc.domain.stock import Inventory, StockTermsChanged
from inventory_grpc.domain.values import StockId

if TYPE_CHECKING:  # the workbook shows stocks with the terms in force
    from inventory_grpc.application.ledger.workbook import Workbook

MAX_WALKS: Final = 256
"""Walks that are read in a transaction; with more, each stock may have other terms in force."""

MAX_LOOKED_AT: Final = 1_000
"""Stocks that one step of walks looks at; its last page may exceed it."""

MAX_RECORDED: Final = 100
"""Stocks whose terms one step of walks records; it takes about as long as a batch of commands."""

PAGE: Final = 100
"""Stocks that a walk reads together."""


class TermsInForce:
    """The terms that stocks may have other than recorded.

    It exists only if a policy sets something, or a change has not reached all of its stocks;
    otherwise commands look nothing up.
    """

    __slots__ = ("_covered", "_everywhere", "looked_at", "moved", "walks")

    def __init__(self, walks: Sequence[Walk] = (), *, is_all: bool = True) -> None:
        self.walks = walks
        """The oldest walks at the start of the transaction."""
        self.moved: dict[Key, Walk | None] = {}
        """The walks that begin or go on by this batch; None for one that ends."""
        self.looked_at = 0
        """Stocks that the walks have looked at in this batch."""
        self._covered = {walk.subject.covers for walk in walks}
        self._everywhere = not is_all
        """Whether there are more walks than were read, so that any stock may differ."""

    @classmethod
    def of(cls, pending: Pending, read: Callable[[int], Sequence[Walk]]) -> Self | None:
        """Return the terms if there may be any, with the walks that *read* returns."""
        walks = read(MAX_WALKS) if pending.walks else ()
        if pending.has_terms or walks:
            return cls(walks, is_all=len(walks) < MAX_WALKS)
        return None

    def copy(self) -> Self:
        copied = type(self)(self.walks, is_all=not self._everywhere)
        copied.moved |= self.moved
        copied._covered |= self._covered  # noqa: SLF001  of the same class
        return copied

    def begin(self, subject: SubjectKey, position: int) -> None:
        """Begin the walk of the change at *position*; one of the same subject begins again."""
        self.moved[subject] = Walk(subject, position, None)
        self._covered.add(subject.covers)

    def change(
        self, stock: Inventory, book: "Workbook", subject: SubjectKey | None = None
    ) -> StockTermsChanged | None:
        """Return the fact that records the terms in force of *stock*; None if they are recorded."""
        if not self._may_differ(stock):
            return None
        sources = sources_of(stock.stock_id)
        book.require(sources)
        *policies, product, store = map(book.recorded_state, sources)
        terms = terms_in_force(policies, product, store)
        if terms == stock.levels.terms:
            return None
        self._covered.add(stock.stock_id)  # also if it has a history before its terms are recorded
        return StockTermsChanged.to(terms, subject)

    def require(self, keys: Iterable[Key], book: "Workbook") -> Sequence[StockId]:
        """Have all states read together of the stocks among *keys*, and of what sets their terms.

        Return the stocks, each once.
        """
        stock_ids = [*dict.fromkeys(key for key in keys if type(key) is StockId)]
        book.require(stock_ids)
        stocks: Iterable[State] = map(book.recorded_state, stock_ids)
        sources = (sources_of(stock.stock_id) for stock in stocks if self._may_differ(stock))
        book.require({key: None for keys in sources for key in keys})
        return stock_ids

    def _may_differ(self, stock: Inventory) -> bool:
        """Return whether *stock* may have other terms recorded than those in force."""
        if self._everywhere or not stock.version:
            return True
        if not (covered := self._covered):
            return False
        product_id, store_id = stock.stock_id
        return (
            (product_id, store_id) in covered
            or (product_id, "") in covered
            or ("", store_id) in covered
            or ("", "") in covered
        )


def record_terms(
    book: "Workbook",
    keys: Iterable[Key],
    subject: SubjectKey | None = None,
    limit: int = MAX_LOOKED_AT,
) -> Sequence[StockId]:
    """Record the terms in force of the stocks among *keys*, where they changed.

    *subject* is the change that they follow. Return the stocks up to the *limit* of recorded terms.
    """
    if (terms := book.terms) is None:
        return []
    stock_ids = terms.require(keys, book)
    changes: list[Change] = []
    for place, stock_id in enumerate(stock_ids):
        if len(changes) == limit:
            stock_ids = stock_ids[:place]
            break
        if fact := terms.change(book.recorded_state(stock_id), book, subject):
            changes.append((stock_id, fact))
    book.append_own(changes, Cause())
    return stock_ids


def changed_before_terms(book: "Workbook") -> Collection[Key]:
    """Return the stocks of the events since the fork whose terms in force are not recorded."""
    if (terms := book.terms) is None:
        return ()
    stock_ids = terms.require((event.key for event in book.recorded), book)
    return [one for one in stock_ids if terms.change(book.recorded_state(one), book)]


def walk(book: "Workbook", next_stocks: Callable[[Walk], Sequence[StockId]]) -> None:
    """Do one step of the walks, the oldest of which goes first.

    *next_stocks* returns the next page of a walk, or raises `NotRead`. The next call then goes on
    with that page.
    """
    if (terms := book.terms) is None:
        return
    for one in terms.walks:
        subject = one.subject
        while (now := terms.moved.get(subject, one)) is not None:
            left = MAX_RECORDED - len(book.recorded)
            if left <= 0 or terms.looked_at >= MAX_LOOKED_AT:
                return
            page = next_stocks(now)
            done = record_terms(book, page, subject, left)
            terms.looked_at += len(done)
            is_over = len(done) == len(page) < PAGE
            terms.moved[subject] = None if is_over else now._replace(after=done[-1])
