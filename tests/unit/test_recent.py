"""The cache of numbers keeps at most its limit, evicting the least recently used."""

from inventory_grpc.infrastructure.log.recent import Recent


def test_what_was_used_longest_ago_goes_first() -> None:
    recent: Recent[str, int] = Recent(2)
    recent.put("a", 1)
    recent.put("b", 2)
    assert recent.get("a") == 1
    recent.put("c", 3)
    assert recent.get("b") is None
    assert (recent.get("a"), recent.get("c")) == (1, 3)
    assert len(recent) == 2


def test_putting_again_replaces() -> None:
    recent: Recent[str, int] = Recent(2)
    recent.put("a", 1)
    recent.put("b", 2)
    recent.put("a", 3)
    recent.put("c", 4)
    assert (recent.get("a"), recent.get("b")) == (3, None)


def test_clearing_leaves_nothing() -> None:
    recent: Recent[str, int] = Recent(2)
    recent.put("b", 2)
    recent.clear()
    assert recent.get("b") is None
    assert len(recent) == 0
