"""The cache of numbers keeps at most its limit, evicting what was put longest ago."""

from inventory_grpc.infrastructure.log.recent import Recent


def test_what_was_put_longest_ago_goes_first() -> None:
    recent: Recent[str, int] = Recent(2)
    recent.put("a", 1)
    recent.put("b", 2)
    recent.put("c", 3)
    assert recent == {"b": 2, "c": 3}


def test_putting_again_replaces() -> None:
    recent: Recent[str, int] = Recent(2)
    recent.put("a", 1)
    recent.put("b", 2)
    recent.put("a", 3)
    recent.put("c", 4)
    assert recent == {"a": 3, "c": 4}
