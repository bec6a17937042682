"""The kinds of streams by who may see their events, as lists in SQL."""

from typing import Final

from inventory_grpc.domain.book import Audience
from inventory_grpc.domain.registry import NOUNS


def _kinds(audience: Audience) -> str:
    return ", ".join(str(noun.kind) for noun in NOUNS if noun.audience is audience)


SHOWN_TO_ALL: Final = _kinds(Audience.EVERYBODY)
SHOWN_IN_STORE: Final = _kinds(Audience.ITS_STORE)
SHOWN_IN_NO_OTHER: Final = _kinds(Audience.NO_OTHER_STORE)
