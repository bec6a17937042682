"""One stock in the independent model: its levels, by the table of the contract."""

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any, Final

from inventory_grpc_protos.v1.events_pb2 import Alert, StockTermsChanged
from inventory_grpc_protos.v1.stock_pb2 import FenceUnits, Levels, StateUnits

SELLABLE: Final = "sellable"

MOST_AT_ONCE: Final = 10**9
"""Units that one line of a request can ask for."""

MOST: Final = 10**15
"""Units on hand, and reserved ones."""


@dataclass
class Part:
    """One line of a promise; the held units are those that are left of it."""

    quantity: int = 0
    held: int = 0
    committed: int = 0
    released: int = 0
    expired: int = 0
    backordered: int = field(default=0, repr=False)
    """Held units that are recorded as waiting for goods."""
    fenced: int = field(default=0, repr=False)
    """Held units that came out of a fence."""

    @property
    def free(self) -> int:
        return self.held - self.backordered - self.fenced

    def move(self, fact: str, content: Any) -> None:  # noqa: ANN401  of that fact
        units, fenced = content.quantity, getattr(content, "fenced", 0)
        waiting: int = getattr(content, "backordered", 0)
        match fact:
            case "stock_reserved":
                self.quantity += units
                self.held += units
                self.backordered += waiting
                self.fenced += fenced
                return
            case "backorder_filled":
                self.backordered -= units
                return
            case "reservation_extended":
                return
            case "reservation_reacquired":
                self.expired -= units
                self.committed += units
                return
            case "reservation_committed":
                self.committed += units
            case "reservation_released":
                self.released += units
            case "reservation_expired":
                self.expired += units
        self.held -= units
        self.backordered -= waiting
        self.fenced -= fenced

    def check(self) -> None:
        parts = self.committed, self.released, self.expired
        assert self.quantity == self.held + sum(parts), "units are neither held nor ended"
        assert min(self.backordered, self.fenced, self.free, *parts) >= 0, "less than nothing"


@dataclass
class Shelf:
    on_hand: int = 0
    reserved: int = 0
    version: int = 0
    update_time: int = 0
    units: dict[str, int] = field(default_factory=dict, repr=False)
    """Units by state, `sellable` included: counted apart from those on hand."""
    waiting: int = field(default=0, repr=False)
    """Units that are recorded as backordered."""
    fences: Counter[str] = field(default_factory=Counter, repr=False)
    """Units left, by channel."""
    terms: StockTermsChanged = field(default_factory=StockTermsChanged, repr=False)
    is_low: bool = field(default=False, repr=False)
    is_out: bool = field(default=True, repr=False)
    short: int = field(default=0, repr=False)
    """The shortfall after the last event of which the alerts were told."""
    lines: dict[str, Part] = field(default_factory=dict, repr=False)
    """The lines that hold units of it, by reservation, the oldest one first."""
    held: int = field(default=0, repr=False)
    """Units in the lines; they and the next ones are counted apart from the levels."""
    held_waiting: int = field(default=0, repr=False)
    held_fenced: Counter[str] = field(default_factory=Counter, repr=False)
    set_aside: Counter[str] = field(default_factory=Counter, repr=False)
    """Units that were fenced in all, by channel, without those that were taken back."""
    used: Counter[str] = field(default_factory=Counter, repr=False)
    """Fenced units that have left the store."""

    def copy(self) -> "Shelf":
        """Return the levels as they are now, without the lines."""
        return replace(self, units=dict(self.units), fences=Counter(self.fences), lines={})

    @property
    def sellable(self) -> int:
        return self.units.get(SELLABLE, 0)

    @property
    def is_retired(self) -> bool:
        return self.terms.product_retired or self.terms.store_retired

    @property
    def ring_fenced(self) -> int:
        return self.fences.total()

    @property
    def beyond(self) -> int:
        """The promised units beyond those that may be promised; below 0, there is room."""
        return self.reserved + self.terms.safety_stock + self.ring_fenced - self.sellable

    @property
    def available(self) -> int:
        return 0 if self.is_retired else max(0, -self.beyond)

    @property
    def backordered(self) -> int:
        return min(self.waiting, max(0, self.beyond))

    @property
    def backorderable(self) -> int:
        room = self.terms.backorder_limit - self.backordered
        return 0 if self.is_retired else max(0, min(MOST_AT_ONCE, room))

    @property
    def fills_due(self) -> int:
        return self.waiting - self.backordered

    @property
    def shortfall(self) -> int:
        return max(0, self.reserved - self.backordered - self.sellable)

    def free(self, channel: str = "") -> int:
        """Return the sellable units promised to nobody, and set aside for nobody else."""
        others = sum(units for name, units in self.fences.items() if name != channel)
        return max(0, self.sellable - (self.reserved - self.backordered) - others)

    def own(self, channel: str = "") -> int:
        """Return the units that *channel* can have from stock."""
        if self.is_retired or not channel:
            return self.available
        return min(max(0, -self.beyond) + self.fences[channel], self.free(channel))

    def is_particular(self) -> bool:
        """Return whether it has terms, fences or units that wait."""
        return bool(self.waiting or self.ring_fenced or self.terms != StockTermsChanged())

    def states(self) -> list[tuple[str, int]]:
        """Return the other states that have units, by name."""
        others = (each for each in self.units.items() if each[0] != SELLABLE)
        return sorted((state, units) for state, units in others if units)

    def covered(self) -> dict[str, int]:
        """Return the held units of each line that wait no longer, the oldest line first.

        The fills that are due count as recorded.
        """
        due, found = self.fills_due, dict[str, int]()
        for name, part in self.lines.items():
            filled = min(due, part.backordered)
            due -= filled
            found[name] = part.held - part.backordered + filled
        return found

    def at_risk(self) -> dict[str, int]:
        """Return the units of each reservation that are short, the newest line first."""
        short, found = self.shortfall, dict[str, int]()
        for name, units in reversed(self.covered().items()):
            if risk := min(short, units):
                found[name] = risk
            short -= risk
        return found

    def shown(self) -> Levels:
        fences = sorted((name, units) for name, units in self.fences.items() if units)
        return Levels(
            on_hand=self.on_hand,
            reserved=self.reserved,
            available=self.available,
            shortfall=self.shortfall,
            states=[StateUnits(state=state, units=units) for state, units in self.states()],
            backordered=self.backordered,
            backorderable=self.backorderable,
            ring_fenced=self.ring_fenced,
            safety_stock=self.terms.safety_stock,
            low_stock=self.is_low,
            retired=self.is_retired,
            fences=[FenceUnits(channel=name, units=units) for name, units in fences],
        )

    def move(self, fact: str, content: Any) -> None:  # noqa: ANN401, C901  one case for each fact
        """Have *fact* change the levels; the lines are not touched."""
        for state, units in by_state(fact, content):
            self.units[state] = self.units.get(state, 0) + units
        channel, fenced = getattr(content, "channel", ""), getattr(content, "fenced", 0)
        match fact:
            case "stock_added":
                self.on_hand += content.quantity
            case "stock_adjusted":
                self.on_hand += content.delta
            case "stock_removed" | "reservation_reacquired":
                self.on_hand -= content.quantity
                self.fences[channel] -= fenced
                self.used[channel] += fenced
            case "stock_reserved":
                self.reserved += content.quantity
                self.waiting += content.backordered
                self.fences[channel] -= fenced
            case "reservation_committed":
                self.on_hand -= content.quantity
                self.reserved -= content.quantity
                self.used[channel] += fenced
            case "reservation_released" | "reservation_expired":
                self.reserved -= content.quantity
                self.waiting -= content.backordered
                self.fences[channel] += fenced
            case "backorder_filled":
                self.waiting -= content.quantity
            case "stock_fenced":
                self.fences[channel] += content.delta
                self.set_aside[channel] += content.delta
            case "stock_terms_changed":
                self.terms = content

    def check(self) -> None:
        assert min(self.units.values(), default=0) >= 0, "fewer units than none are in a state"
        assert self.on_hand == sum(self.units.values()), "the states are not all of it"
        assert 0 <= self.reserved <= MOST >= self.on_hand
        lines = self.held, self.held_waiting
        assert (self.reserved, self.waiting) == lines, "not the sums of the lines"
        for channel, left in self.fences.items():
            assert left >= 0, "a fence has less than nothing"
            gone = self.held_fenced[channel] + self.used[channel]
            assert left + gone == self.set_aside[channel], "fenced units were lost, or made"

    def alerts(self) -> list[Alert.ValueType]:
        """Return the alerts of the event that was folded last; ask once for each event."""
        terms, told = self.terms, list[Alert.ValueType]()
        short_before, self.short = self.short, self.shortfall
        mark = terms.low_stock_at if terms.HasField("low_stock_at") else -1
        if self.version == 1 and terms != StockTermsChanged():
            self.is_low = mark >= 0  # as it begins
            return []
        if self.is_low:
            if mark < 0 or self.available > mark + terms.alert_hysteresis:
                self.is_low = False
                told.append(Alert.ALERT_STOCK_RECOVERED)
        elif self.available <= mark:
            self.is_low = True
            told.append(Alert.ALERT_STOCK_LOW)
        if self.is_out:
            if self.available > terms.alert_hysteresis:
                self.is_out = False
                told.append(Alert.ALERT_BACK_IN_STOCK)
        elif not self.available:
            self.is_out = True
            told.append(Alert.ALERT_OUT_OF_STOCK)
        if self.short > short_before:
            told.append(Alert.ALERT_PROMISES_AT_RISK)
        elif short_before and not self.short:
            told.append(Alert.ALERT_PROMISES_SAFE)
        return told


def by_state(fact: str, content: Any) -> list[tuple[str, int]]:  # noqa: ANN401  of that fact
    """Return how many units came into which state, or went out of it."""
    match fact:
        case "stock_moved":
            return [
                (content.from_state or SELLABLE, -content.quantity),
                (content.to_state or SELLABLE, content.quantity),
            ]
        case "stock_removed":
            return [(content.state or SELLABLE, -content.quantity)]
        case "stock_added":
            return [(content.state or SELLABLE, content.quantity)]
        case "stock_adjusted":
            return [(content.state or SELLABLE, content.delta)]
        case "reservation_committed" | "reservation_reacquired":
            return [(SELLABLE, -content.quantity)]
    return []
