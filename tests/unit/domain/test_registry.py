"""Numbers and names in the registry are unique, and keys of different nouns never equal."""

from itertools import combinations
from typing import Any

import pytest

from inventory_grpc.domain.book import Noun
from inventory_grpc.domain.registry import NOUNS
from inventory_grpc.domain.values import StockId


def _key(noun: Noun) -> Any:  # noqa: ANN401  of whichever class
    return noun.key("x", "x") if noun.key is StockId else noun.key("x")


def test_no_number_and_no_name_is_given_twice() -> None:
    assert len({noun.kind for noun in NOUNS}) == len(NOUNS)
    assert len({noun.name for noun in NOUNS}) == len(NOUNS)
    facts = [fact.__name__ for noun in NOUNS for fact in noun.facts]
    assert len({*facts}) == len(facts)


@pytest.mark.parametrize("nouns", [*combinations(NOUNS, 2)])
def test_keys_of_two_nouns_are_never_equal(nouns: tuple[Noun, Noun]) -> None:
    assert len({_key(noun) for noun in nouns}) == 2, "one would be taken for the other"


def test_a_key_is_its_name() -> None:
    assert {str(_key(noun)) for noun in NOUNS if noun.key is not StockId} == {"x"}


def test_the_numbers_stay_what_they_are() -> None:
    assert {noun.name: noun.kind for noun in NOUNS[:2]} == {"stock": 1, "reservation": 2}
