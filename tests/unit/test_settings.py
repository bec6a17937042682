"""What an operator has set holds in every process of the service."""

from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory_grpc.infrastructure.sqlite.connection import Durability
from inventory_grpc.settings import BadSetting, EventLoop, LogFormat, Reflection, Settings

_FILES = st.builds(Path, st.text("abc .-_/=ä", min_size=1))
_COUNTS = st.integers(1, 10**9)
_CHOSEN = st.fixed_dictionaries(
    {
        "listen": st.sampled_from(["127.0.0.1:0", "[::1]:50051", "localhost:65535"]),
        "workers": st.integers(1, 64),
        "database": _FILES,
        "durability": st.sampled_from(Durability),
        "tls_certificate": st.just(Path("chain.pem")),
        "tls_key": st.just(Path("key.pem")),
        "tls_client_ca": st.none() | _FILES,
        "callers": st.none() | _FILES,
        "allow_plaintext": st.booleans(),
        "allow_anonymous": st.booleans(),
        "reflection": st.sampled_from(Reflection),
        "remember_days": st.floats(0, 1e9),
        "cached_stocks": _COUNTS,
        "cached_reservations": _COUNTS,
        "warm_stocks": st.integers(0, 10**9),
        "max_commands": _COUNTS,
        "max_queries": _COUNTS,
        "max_streams": _COUNTS,
        "caller_share": st.floats(0, 1),
        "drain_seconds": st.floats(0, 1e9),
        "log_format": st.sampled_from(LogFormat),
        "event_loop": st.sampled_from(EventLoop),
    }
).map(lambda chosen: Settings(**chosen))


@given(_CHOSEN)
def test_whatever_is_set_another_process_reads_the_same_from_its_environment(
    settings: Settings,
) -> None:
    told = settings.to_environment()
    assert len(told) == len(fields(Settings))
    assert Settings.load(told) == settings


@pytest.mark.parametrize("workers", [0, 65])
def test_there_are_one_to_64_workers(workers: int) -> None:
    with pytest.raises(BadSetting, match="workers: must be at"):
        Settings(workers=workers)
