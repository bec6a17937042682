"""A setting holds in every process of the service; a bad one is named."""

import os
from dataclasses import Field, fields
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory_grpc.application.store import Durability
from inventory_grpc.bad_setting import MAX_SHOWN, BadSetting
from inventory_grpc.choices import (
    Catalogue,
    EventLoop,
    HealthAccess,
    LogFormat,
    Notify,
    Prepare,
    Reflection,
)
from inventory_grpc.server.environment import (
    kinds_of_settings,
    load,
    to_environment,
    unknown,
    variable,
)
from inventory_grpc.settings import Settings

_FILES = st.builds(Path, st.text("abc .-_/=ä", min_size=1))
CACHES: Final = (
    "valkey://cache",
    "valkey://127.0.0.1:6379",
    "valkeys://ana:secret@cache.example.com:6380/3",
    "redis://:secret@cache/",
    "rediss://cache:1",
)
_COUNTS = st.integers(1, 10**9)
_CHOSEN = st.fixed_dictionaries(
    {
        "listen": st.sampled_from(["127.0.0.1:0", "[::1]:50051", "localhost:65535"]),
        "workers": st.integers(1, 64),
        "trace_endpoint": st.sampled_from([None, "http://127.0.0.1:4317", "https://[::1]:1/"]),
        "trace_ratio": st.floats(0, 1),
        "metrics_listen": st.sampled_from([None, "auto", "127.0.0.1:0", "unix:/run/metrics"]),
        "database": _FILES,
        "create": st.booleans(),
        "durability": st.sampled_from(Durability),
        "tls_certificate": st.just(Path("chain.pem")),
        "tls_key": st.just(Path("key.pem")),
        "tls_client_ca": st.none() | _FILES,
        "callers": st.none() | _FILES,
        "health": st.sampled_from(HealthAccess),
        "allow_plaintext": st.booleans(),
        "allow_anonymous": st.booleans(),
        "reflection": st.sampled_from(Reflection),
        "hold_seconds": st.floats(1, 2_592_000),
        "remember_days": st.floats(0, 36_500),
        "cached_answers": _COUNTS,
        "cached_stocks": _COUNTS,
        "cached_reservations": _COUNTS,
        "warm_stocks": st.integers(0, 10**9),
        "states": st.sampled_from(["", "refurbished", "refurbished,on_display"]),
        "catalogue": st.sampled_from(Catalogue),
        "max_commands": _COUNTS,
        "max_queries": _COUNTS,
        "max_streams": _COUNTS,
        "caller_share": st.floats(0, 1),
        "max_batch": st.integers(1, 512),
        "head_poll_seconds": st.floats(0.001, 60),
        "schema": st.sampled_from(["", "shop", 'Lisbon\'s "shop"']),
        "prepare": st.sampled_from(Prepare),
        "shared_cache": st.sampled_from([None, *CACHES]),
        "notify": st.sampled_from(Notify),
        "drain_seconds": st.floats(0, 86_400),
        "log_format": st.sampled_from(LogFormat),
        "event_loop": st.sampled_from(EventLoop),
    }
).map(lambda chosen: Settings(**chosen))


@given(_CHOSEN)
def test_whatever_is_set_another_process_reads_the_same_from_its_environment(
    settings: Settings,
) -> None:
    told = to_environment(settings)
    assert len(told) == len(fields(Settings))
    assert load(told) == settings


@pytest.mark.parametrize("workers", [0, 65])
def test_there_are_one_to_64_workers(workers: int) -> None:
    with pytest.raises(BadSetting, match=f"workers: must be from 1 to 64, and is {workers}"):
        Settings(workers=workers)


KINDS: Final = kinds_of_settings()
NUMBERS: Final = [setting for setting in fields(Settings) if KINDS[setting.name] in (int, float)]
NO_NUMBERS: Final = ("inf", "-inf", "nan", "1e400", "-1", "1e12", "9" * 5_000, "ten", "1,5")


@pytest.mark.parametrize("setting", NUMBERS, ids=lambda setting: str(setting.name))
def test_every_number_has_bounds_and_what_is_beyond_is_refused_by_name(setting: Field[Any]) -> None:
    name = setting.name
    for bound in setting.metadata["bounds"]:
        loaded = load({variable(name): str(KINDS[name](bound))})
        assert getattr(loaded, name) == bound
    for text in NO_NUMBERS:
        with pytest.raises(BadSetting) as refused:
            load({variable(name): text})
        assert name in str(refused.value).lower(), text
        assert len(str(refused.value)) < 100 + MAX_SHOWN


@pytest.mark.parametrize(
    ("states", "problem"),
    [
        ("refurbished,", "is missing"),
        ("on display", "has ' ' as character 3"),
        ("refurbished,damaged", "damaged is built in"),
        ("sellable", "sellable is built in"),
        (",".join(f"grade-{number}" for number in range(16)), "has 16 states; at most 15"),
    ],
)
def test_states_of_ones_own_are_15_names_that_are_not_built_in(states: str, problem: str) -> None:
    with pytest.raises(BadSetting, match=f"states: {problem}"):
        Settings(states=states)
    assert Settings(states="refurbished, on_display").own_states == {"refurbished", "on_display"}
    assert Settings().own_states == frozenset()


@pytest.mark.parametrize(
    "name",
    [
        *("DURABILITY", "CATALOGUE", "REFLECTION", "LOG_FORMAT", "ALLOW_PLAINTEXT"),
        *("PREPARE", "NOTIFY"),
    ],
)
def test_a_choice_that_is_none_is_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(BadSetting, match=rf"INVENTORY_{name}: must be .*, and is 'perhaps'"):
        load({f"INVENTORY_{name}": "perhaps"})


@pytest.mark.parametrize(
    "listen", ["127.0.0.1:²", "127.0.0.1:65536", "127.0.0.1:-1", "50051", f"a:{'9' * 5_000}", "a:"]
)
def test_an_address_without_a_usable_port_is_refused(listen: str) -> None:
    with pytest.raises(BadSetting, match=r"listen: .* is not HOST:PORT"):
        Settings(listen=listen)


def test_a_variable_that_nothing_reads_is_named_with_the_closest_that_is_read() -> None:
    known = [variable(setting.name) for setting in fields(Settings)]
    typed = {"INVENTORY_MAX_QUERY": "9", "INVENTORY_COLOUR": "red", "OTHER_LISTEN": "x"}
    assert unknown({**typed, "INVENTORY_LISTEN": "x"}, known) == {
        "INVENTORY_COLOUR": "",
        "INVENTORY_MAX_QUERY": "INVENTORY_MAX_QUERIES",
    }


def test_addresses_of_services_that_kubernetes_sets_are_no_settings() -> None:
    services = {
        "INVENTORY_SERVICE_HOST": "10.0.0.1",
        "INVENTORY_SERVICE_PORT_GRPC": "50051",
        "INVENTORY_PORT": "tcp://10.0.0.1:50051",
        "INVENTORY_PORT_50051_TCP_ADDR": "10.0.0.1",
        "INVENTORY_GRPC_SERVICE_PORT": "50051",
        "INVENTORY_GRPC_PORT": "tcp://10.0.0.1:50051",
    }
    assert unknown(services, []) == {}
    assert unknown({"INVENTORY_PORT": "50051"}, []) == {"INVENTORY_PORT": ""}


def test_a_path_that_is_not_utf_8_reaches_other_processes() -> None:
    settings = Settings(database=Path(os.fsdecode(b"/data/\xff.db")))
    assert load(to_environment(settings)) == settings


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "127.0.0.1:4317",
        "http://127.0.0.1",
        "http://:4317",
        "grpc://127.0.0.1:4317",
        "http://a:1/v1",
    ],
)
def test_an_endpoint_of_traces_is_the_url_of_a_host_and_a_port(endpoint: str) -> None:
    with pytest.raises(BadSetting, match=r"trace_endpoint: .* is not http://HOST:PORT"):
        Settings(trace_endpoint=endpoint)


@pytest.mark.parametrize(
    "chosen",
    [
        {"schema": "shop"},
        {"prepare": Prepare.OFF},
        {"notify": Notify.ON},
        {"shared_cache": CACHES[0]},
    ],
)
def test_what_only_postgresql_has_is_refused_with_a_file(chosen: dict[str, Any]) -> None:
    [name] = chosen
    with pytest.raises(BadSetting, match=f"{name}: needs the URL of a PostgreSQL database"):
        Settings(database=Path("shop.db"), **chosen).check_engine()
    Settings(database="postgresql:///shop", **chosen).check_engine()
    Settings(database=Path("shop.db")).check_engine()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:6379",
        "http://cache:6379",
        "valkey://",
        "valkey://:6379",
        "valkey://cache:65536",
        "valkey://cache:secret",
        "valkey://cache/0?socket_timeout=9",
        "valkey://cache/stocks",
        "valkey://ana:secret@one@two",
    ],
)
def test_a_shared_cache_is_the_url_of_a_valkey_and_no_error_has_its_password(url: str) -> None:
    with pytest.raises(BadSetting, match=r"shared_cache: must be valkey://HOST:PORT") as refused:
        Settings(shared_cache=url)
    assert "secret" not in str(refused.value)


ONE: Final = "-csearch_path%3D%22one%22"


@pytest.mark.parametrize(
    ("url", "schema", "place"),
    [
        ("postgresql:///shop", "", "postgresql:///shop"),
        ("postgresql:///shop", "one", f"postgresql:///shop?options={ONE}"),
        (
            "postgresql://a,b/shop?options=-cwork_mem%3D1MB&sslmode=require",
            "one",
            f"postgresql://a,b/shop?sslmode=require&options=-cwork_mem%3D1MB%20{ONE}",
        ),
        (
            "postgresql:///shop",
            'a "b" \\',
            "postgresql:///shop?options=-csearch_path%3D%22a%5C%20%22%22b%22%22%5C%20%5C%5C%22",
        ),
    ],
)
def test_a_schema_is_the_search_path_of_the_url(url: str, schema: str, place: str) -> None:
    assert Settings(database=url, schema=schema).place == place


def test_a_schema_that_no_database_can_have_is_refused() -> None:
    for schema in ("a" * 64, "ä" * 32, "a\0"):
        with pytest.raises(BadSetting, match="schema: must be a name of at most 63 bytes"):
            Settings(database="postgresql:///shop", schema=schema)
