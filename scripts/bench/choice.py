"""What is there to measure?"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from scripts.bench import (
    bulk,
    carts,
    catch_up,
    commands,
    disk,
    followers,
    growth,
    h2load,
    histories,
    in_process,
    processor_time,
    reads,
    sweep,
    workers,
)
from scripts.bench.measuring import Bench, Case

BRIEF: Final[Mapping[str, Callable[[Bench], Case]]] = {
    "reads": reads.case,
    "commands": commands.case,
    "carts": carts.case,
    "bulk": bulk.case,
    "catch-up": catch_up.case,
    "followers": followers.case,
    "workers": workers.case,
}
LONG: Final[Mapping[str, Callable[[Bench], Case]]] = {
    "growth": growth.case,
    "disk": disk.case,
    "histories": histories.case,
}
CASES: Final[Mapping[str, Callable[[Bench], Case]]] = {
    **BRIEF,
    "sweep": sweep.case,
    **LONG,
    "h2load": h2load.case,
    "in-process": in_process.case,
    "profile": processor_time.case,
}


class NoSuchCase(ValueError):
    """Something else is to be measured than there is."""


def chosen(only: Sequence[str], *more: str) -> Sequence[str]:
    """Return the names in *only*, or where there are none those that take little, and *more*.

    Raises:
        NoSuchCase: there is nothing of that name.
    """
    if unknown := set(only) - set(CASES):
        raise NoSuchCase(f"there is no {', '.join(sorted(unknown))}; choose from {' '.join(CASES)}")
    wanted = {*(only or BRIEF), *more}
    return [name for name in CASES if name in wanted]
