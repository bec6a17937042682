"""The file of callers: its syntax, its errors, and that it is reloaded."""

import errno
import re
from pathlib import Path
from typing import Never

import pytest

from inventory_grpc.application.access import EVERYWHERE, Caller, Role, Scope
from inventory_grpc.domain.values import StoreId
from inventory_grpc.infrastructure.callers_file import (
    MAX_BYTES,
    BadCallers,
    CallersFile,
    hash_of,
    new_token,
)
from inventory_grpc.server import serve
from inventory_grpc.settings import Settings
from tests.support.keyring import Keyring

HASH = hash_of("a token")


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return Keyring(tmp_path / "callers.toml")


def test_a_token_says_who_calls_and_what_they_may(keyring: Keyring) -> None:
    anas = keyring.add("ana", "admin")
    tills = keyring.add("till", "operator", stores=["lisbon", "porto"])
    callers = CallersFile(keyring.path)
    assert callers.by_token(anas) == Caller("ana", Role.ADMIN, EVERYWHERE)
    scope = Scope(frozenset({StoreId("lisbon"), StoreId("porto")}))
    assert callers.by_token(tills) == Caller("till", Role.OPERATOR, scope)
    assert callers.by_token(new_token()) is None
    assert callers.by_token("") is None


def test_a_token_is_good_until_its_time(keyring: Keyring) -> None:
    token = keyring.add("ana", "reader", until="2026-11-24T12:00:00Z")
    noon = 1_795_521_600.0
    assert CallersFile(keyring.path, lambda: noon - 0.001).by_token(token)
    assert CallersFile(keyring.path, lambda: noon).by_token(token) is None


def test_while_tokens_are_replaced_both_are_good(keyring: Keyring) -> None:
    old, new = keyring.add("ana", "reader"), keyring.add("ana", "reader")
    callers = CallersFile(keyring.path)
    assert callers.by_token(old) == callers.by_token(new) is not None
    keyring.drop_first_token("ana")
    callers.reload()
    assert callers.by_token(old) is None
    assert callers.by_token(new)


def test_a_certificate_says_who_calls_by_any_of_its_names(keyring: Keyring) -> None:
    keyring.add("ana", "reader", certificates=["ana.example.com", "spiffe://shop/ana"])
    callers = CallersFile(keyring.path)
    assert callers.by_certificate(["other", "spiffe://shop/ana"]) == Caller("ana", Role.READER)
    assert callers.by_certificate(["other"]) is None
    assert callers.by_certificate([]) is None


def test_a_file_that_has_become_bad_changes_nothing(
    keyring: Keyring, caplog: pytest.LogCaptureFixture
) -> None:
    token = keyring.add("ana", "reader")
    callers = CallersFile(keyring.path)
    keyring.path.write_text("ana = secret-words", encoding="utf-8")
    callers.reload()
    assert callers.by_token(token)
    assert "the callers are unchanged" in caplog.text
    assert "secret-words" not in caplog.text
    keyring.path.unlink()
    callers.reload()
    assert callers.by_token(token)
    keyring.write()
    callers.reload()
    assert callers.by_token(token)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("ana = 1", "must be a table"),
        ("[ana]", "role must be one of reader, operator, admin"),
        ('[ana]\nrole = "king"', "role must be one of"),
        ("[ana]\nrole = 3", "role must be one of"),
        ('[ana]\nrole = "reader"\nstore = ["lisbon"]', "has the unknown key store; known are"),
        # which must not be read as "all of them"
        ('[ana]\nrole = "reader"\nstores = []', "stores must be a list that is not empty"),
        ('[ana]\nrole = "reader"\nstores = "lisbon"', "stores must be a list"),
        ('[ana]\nrole = "reader"\nstores = ["lis bon"]', r"one has ' ' as character 4"),
        ('[ana]\nrole = "reader"\nstores = [1]', "stores must be names in quotes"),
        ('["a b"]\nrole = "reader"', r"the name has ' ' as character 2"),
        ('[ana]\nrole = "reader"\ntokens = ["inv_secret"]', "tokens must be like"),
        (f'[ana]\nrole = "reader"\ntokens = [{{ sha256 = "{HASH.upper()}" }}]', "tokens must be"),
        (f'[ana]\nrole = "reader"\ntokens = [{{ sha256 = "{HASH}", till = 1 }}]', "tokens must be"),
        (
            f'[ana]\nrole = "reader"\ntokens = [{{ sha256 = "{HASH}", until = 2027-01-31 }}]',
            "until must be a time with a zone",
        ),
        (
            (
                f'[ana]\nrole = "reader"\ntokens = [{{ sha256 = "{HASH}" }}]\n'
                f'[ben]\nrole = "admin"\ntokens = [{{ sha256 = "{HASH}" }}]'
            ),
            "a duplicate token",
        ),
        (
            (
                '[ana]\nrole = "reader"\ncertificates = ["x"]\n'
                '[ben]\nrole = "admin"\ncertificates = ["x"]'
            ),
            "a duplicate certificate",
        ),
        ('[ana]\nrole = "reader"\n[ana]\nrole = "admin"', "has an entry twice (at line 3"),
        ('[ana]\nrole = "reader"\nrole = "admin"', "has an entry twice"),
        ("ana = [", "is not TOML (at end of document)"),
        ("\udcff", "is not TOML"),
        (f"[ana]\nrole = {'1' * 5_000}", "is not TOML"),
        (f"ana = {'[' * 100_000}", "is not TOML"),
        ("#" * (MAX_BYTES + 1), "is larger than"),
    ],
)
def test_what_a_file_cannot_say_is_named(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "callers.toml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(BadCallers, match=re.escape(problem)) as bad:
        CallersFile(path)
    assert "inv_secret" not in str(bad.value)


def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "callers.toml"
    with pytest.raises(BadCallers, match=f"{path}: No such file"):
        CallersFile(path)
    with pytest.raises(BadCallers, match=f"{tmp_path}: Is a directory"):
        CallersFile(tmp_path)
    path.touch()

    def denied(*_: object) -> Never:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)  # whoever runs the tests may read everything
    with pytest.raises(BadCallers, match=f"{path}: Permission denied"):
        CallersFile(path)


async def test_a_server_does_not_start_with_callers_that_cannot_be_read(tmp_path: Path) -> None:
    settings = Settings(
        listen="127.0.0.1:0", database=tmp_path / "inventory.db", callers=tmp_path / "none.toml"
    )
    with pytest.raises(BadCallers, match=r"none\.toml: No such file"):
        async with serve.serving(settings):
            pass
