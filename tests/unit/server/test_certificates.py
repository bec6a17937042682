"""A bad certificate is refused at start, with its file and the reason."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from inventory_grpc.server import certificates
from inventory_grpc.server.certificates import BadCertificate, Paths, check
from inventory_grpc.server.tls import Tls
from inventory_grpc.server.x509 import facts_of
from tests.support.certificates import Issued, p256

GOOD: Final = Issued.of()
OTHER: Final = Issued.of()


def key_only(kind: Callable[[], Any]) -> bytes:
    made = kind()
    pem: bytes = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """Return where good files are."""
    found = Paths(tmp_path / "chain.pem", tmp_path / "key.pem", tmp_path / "ca.pem")
    GOOD.write(found.chain, found.key)
    (tmp_path / "ca.pem").write_bytes(OTHER.pem())
    return found


def problem_of(paths: Paths) -> str:
    with pytest.raises(BadCertificate) as refused:
        check(paths.read(), paths)
    return str(refused.value)


def test_what_is_good_is_taken_without_a_word(paths: Paths) -> None:
    assert check(paths.read(), paths) == []


@pytest.mark.parametrize("name", ["chain.pem", "key.pem", "ca.pem"])
@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf" + GOOD.pem() + GOOD.key_pem(), "byte order mark"),
        ((GOOD.pem() + GOOD.key_pem()).decode().encode("utf-16"), "byte order mark"),
        (GOOD.der(), "in PEM; it looks like DER"),
        (b"kettles", "in PEM"),
    ],
    ids=["empty", "utf-8", "utf-16", "DER", "text"],
)
def test_a_file_of_something_else_is_named(
    paths: Paths, name: str, content: bytes, problem: str
) -> None:
    path = paths.chain.with_name(name)
    path.write_bytes(content)
    said = problem_of(paths)
    assert said.startswith(f"{path}: ")
    assert problem in said


@pytest.mark.parametrize("name", ["chain.pem", "key.pem", "ca.pem"])
def test_a_file_that_cannot_be_read_is_named(paths: Paths, name: str) -> None:
    path = paths.chain.with_name(name)
    path.unlink()
    assert problem_of(paths) == f"{path}: No such file or directory"
    path.mkdir()
    assert problem_of(paths) == f"{path}: Is a directory"


@pytest.mark.parametrize("name", ["chain.pem", "ca.pem"])
@pytest.mark.parametrize("before", [b"", OTHER.pem()], ids=["first", "second"])
def test_a_certificate_that_is_none_is_named(paths: Paths, name: str, before: bytes) -> None:
    path = paths.chain.with_name(name)
    block = b"-----BEGIN CERTIFICATE-----\nnothing\n-----END CERTIFICATE-----\n"
    path.write_bytes(before + block)
    assert problem_of(paths).startswith(f"{path}: a certificate cannot be read")


@pytest.mark.parametrize(
    "key",
    [OTHER.key_pem(), key_only(lambda: rsa.generate_private_key(65_537, 2_048))],
    ids=["same kind", "another kind"],
)
def test_a_key_of_another_certificate_is_named(paths: Paths, key: bytes) -> None:
    paths.key.write_bytes(key)
    said = problem_of(paths)
    assert said == f"{paths.key}: is not the key of the first certificate in {paths.chain}"


def test_a_chain_that_does_not_begin_with_its_own_certificate_is_named(paths: Paths) -> None:
    paths.chain.write_bytes(OTHER.pem() + GOOD.pem())
    assert "is not the key of the first certificate" in problem_of(paths)


def test_a_passphrase_is_named_and_never_asked_for(paths: Paths) -> None:
    paths.key.write_bytes(GOOD.key_pem(b"secret"))
    assert problem_of(paths).startswith(f"{paths.key}: has a passphrase")


def test_a_key_that_is_none_is_named(paths: Paths) -> None:
    paths.key.write_bytes(b"-----BEGIN PRIVATE KEY-----\nnone\n-----END PRIVATE KEY-----\n")
    assert problem_of(paths).startswith(f"{paths.key}: cannot be read")


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (lambda: ec.generate_private_key(ec.SECP224R1()), "EC P-224"),
        (lambda: ec.generate_private_key(ec.SECP256K1()), "EC secp256k1"),
        (lambda: ec.generate_private_key(ec.BrainpoolP256R1()), "of an unknown kind"),
        (ed448.Ed448PrivateKey.generate, "Ed448"),
        (lambda: dsa.generate_private_key(2_048), "DSA"),
    ],
    ids=["P-224", "secp256k1", "brainpool", "Ed448", "DSA"],
)
def test_a_kind_of_key_that_grpc_does_not_know_is_named(
    paths: Paths, kind: Callable[[], Any], name: str
) -> None:
    Issued.of(kind()).write(paths.chain, paths.key)
    assert problem_of(paths).startswith(
        f"{paths.chain}: gRPC cannot serve with its key, {name}; use EC P-256"
    )


def test_an_rsa_key_that_is_too_short_is_named(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificates, "MIN_RSA_BITS", 2_049)
    Issued.of(rsa.generate_private_key(65_537, 2_048)).write(paths.chain, paths.key)
    assert "RSA key of 2048 bits is too short" in problem_of(paths)


@pytest.mark.parametrize(
    ("issued", "note"),
    [
        (Issued.of(p256(), begins_in=-3, ends_in=-1), "has expired at "),
        (Issued.of(p256(), begins_in=1, ends_in=3), "is not valid before "),
        (Issued.of(ed25519.Ed25519PrivateKey.generate()), "its key is Ed25519, with which clients"),
        (Issued.of(ec.generate_private_key(ec.SECP521R1())), "its key is EC P-521, with which"),
    ],
    ids=["expired", "not yet", "Ed25519", "P-521"],
)
def test_what_some_clients_will_refuse_is_served_with_a_warning(
    paths: Paths, issued: Issued, note: str
) -> None:
    issued.write(paths.chain, paths.key)
    [said] = check(paths.read(), paths)
    assert said.startswith(f"{paths.chain}: {note}")


def test_a_key_that_everybody_can_read_is_served_with_a_warning(paths: Paths) -> None:
    paths.key.chmod(0o644)
    assert check(paths.read(), paths) == [
        f"{paths.key}: every user of this machine can read the key"
    ]


def test_without_files_in_memory_the_same_is_checked(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("os.memfd_create", raising=False)
    assert check(paths.read(), paths) == []
    paths.key.write_bytes(OTHER.key_pem())
    assert "is not the key" in problem_of(paths)


def test_certificates_that_are_damaged_do_no_more_than_that() -> None:
    whole = GOOD.der()
    assert facts_of(whole).key == "EC P-256"
    for at in range(len(whole)):
        for damaged in (whole[:at], whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]):
            try:
                facts_of(damaged)
            except (ValueError, IndexError, StopIteration):
                continue


def test_what_cannot_be_served_is_said_once_a_change_and_what_was_good_goes_on(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[Callable[[], object]] = []
    monkeypatch.setattr(
        grpc, "dynamic_ssl_server_credentials", lambda _, newer, **__: asked.append(newer)
    )
    Tls(*paths).credentials()
    [newer] = asked
    caplog.set_level(logging.INFO)
    for content in (OTHER.key_pem(), GOOD.key_pem(b"secret"), None, GOOD.key_pem()):
        if content is None:
            paths.key.unlink()
        else:
            paths.key.write_bytes(content)
        assert [newer(), newer()] == [None, None]
    assert [record.getMessage() for record in caplog.records] == [
        f"the certificates are unchanged: {paths.key}: {problem}"
        for problem in (
            f"is not the key of the first certificate in {paths.chain}",
            "has a passphrase, which a server cannot enter; remove it with `openssl pkey`",
            "No such file or directory",
        )
    ]
    OTHER.write(paths.chain, paths.key)
    assert newer() is not None
    assert newer() is None
    assert "reloaded the certificates" in caplog.messages[-1]
