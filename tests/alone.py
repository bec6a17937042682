"""Files of tests that load the machine, or judge by time: with two processes, they run alone."""

from typing import Final

ALONE: Final = frozenset(
    (
        "tests/robustness/test_breaker_under_load.py",
        "tests/robustness/test_drain_under_load.py",
        "tests/robustness/test_http2_floods.py",
        "tests/robustness/test_overload.py",
    )
)
