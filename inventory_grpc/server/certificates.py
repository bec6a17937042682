"""Checks a certificate, its key and its authorities before they are served.

gRPC reports every refused certificate as a failure to listen, and accepts some with which no
handshake succeeds. OpenSSL, through Python's `ssl`, gives the reason; the key type is read from
the certificate itself.
"""

import logging
import os
import re
import ssl
import stat
from base64 import b64decode
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final, NamedTuple

from inventory_grpc.server.x509 import Facts, facts_of

_log = logging.getLogger(__name__)
_silent = logging.Logger("silent", logging.CRITICAL + 1)  # noqa: LOG001  it must not propagate

MIN_RSA_BITS: Final = 1_024
"""With a shorter key, gRPC cannot sign a handshake."""

_USABLE: Final = ("RSA", "EC P-256", "EC P-384")
_USABLE_BY_SOME: Final = ("EC P-521", "Ed25519")
"""Key types that gRPC serves, but that clients on its C core (as in Python) refuse."""

_OTHER_KEY: Final = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED")
"""OpenSSL's reasons for a key that does not belong to the certificate."""

_BYTE_ORDER_MARKS: Final = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_DER: Final = b"\x30"
_FIRST: Final = re.compile(
    rb"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----\s(.*?)-----END ", re.DOTALL
)

_USE: Final = "use EC P-256, EC P-384, or RSA of 2,048 bits"


class BadCertificate(ValueError):
    """A certificate or its key cannot be used; the message names the file and the reason."""


class Files(NamedTuple):
    chain: bytes
    key: bytes
    authorities: bytes | None


class Paths(NamedTuple):
    chain: Path
    key: Path
    authorities: Path | None

    def read(self) -> Files:
        """Return the contents of the files, each of which has a PEM header.

        Raises:
            BadCertificate: one of them cannot be read, or is not PEM.
        """
        chain = _pem(self.chain, b"CERTIFICATE")
        key = _pem(self.key, b"PRIVATE KEY")
        return Files(
            chain, key, _pem(self.authorities, b"CERTIFICATE") if self.authorities else None
        )


class Certificates:
    """The files, as they were when they could last be served."""

    def __init__(
        self, certificate: Path, key: Path, client_ca: Path | None = None, *, silent: bool = False
    ) -> None:
        """Read and check them; a *silent* one leaves it to another to log what it finds.

        Raises:
            BadCertificate: a file cannot be read or used.
        """
        self.paths = Paths(certificate, key, client_ca)
        self.served = self.paths.read()
        self._seen: Files | str = self.served
        self._log = _silent if silent else _log
        self._check(self.served)

    def ends(self) -> float | None:
        """Return when the first certificate ends, in seconds since 1970, if that can be read."""
        facts = _facts_of_first(self.served.chain)
        return facts.ends.timestamp() if facts else None

    def news(self) -> Files | None:
        """Return the new contents, if the files were replaced and can be served."""
        found = self._found()
        if found == self._seen:
            return None  # a problem is logged only once
        self._seen = found
        if found == self.served:
            return None
        problem = found if isinstance(found, str) else self._problem_of(found)
        if isinstance(found, str) or problem:
            self._log.error("the certificates are unchanged: %s", problem)
            return None
        self.served = found
        self._log.info("reloaded the certificates from %s", self.paths.chain)
        return found

    def _found(self) -> Files | str:
        """Return the current contents of the files, or why they cannot be read."""
        try:
            return self.paths.read()
        except BadCertificate as error:
            return str(error)

    def _problem_of(self, files: Files) -> str:
        """Return why *files* cannot be used; an empty text if they can."""
        try:
            self._check(files)
        except BadCertificate as error:
            return str(error)
        return ""

    def _check(self, files: Files) -> None:
        for note in check(files, self.paths):
            self._log.warning("%s", note)


def check(files: Files, paths: Paths) -> list[str]:
    """Return warnings about *files*, which can be served.

    Raises:
        BadCertificate: they cannot be served.
    """
    _check_certificates(files.chain, paths.chain)
    if files.authorities is not None and paths.authorities is not None:
        _check_certificates(files.authorities, paths.authorities)
    _check_pair(files, paths)
    return [*_leaf_warnings(files.chain, paths.chain), *_key_warnings(paths.key)]


def _pem(path: Path, kind: bytes) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadCertificate(f"{path}: {error.strerror}") from None
    what = kind.decode().lower()
    if not content:
        raise BadCertificate(f"{path}: is empty")
    if content.startswith(_BYTE_ORDER_MARKS):
        raise BadCertificate(f"{path}: begins with a byte order mark; save it as plain ASCII")
    if b"-----BEGIN " not in content or kind + b"-----" not in content:
        der = "; it looks like DER, convert it with openssl" if content.startswith(_DER) else ""
        raise BadCertificate(f"{path}: has no {what} in PEM{der}")
    return content


def _check_certificates(content: bytes, path: Path) -> None:
    """Check that all blocks of *content* are certificates that can be decoded."""
    try:
        _context().load_verify_locations(cadata=content.decode("ascii", "replace"))
    except (ssl.SSLError, ValueError) as error:
        raise BadCertificate(f"{path}: a certificate cannot be read{_why(error)}") from None


def _check_pair(files: Files, paths: Paths) -> None:
    """Check that the key can be read and belongs to the first certificate of the chain."""

    def no_passphrase() -> str:
        raise BadCertificate(
            f"{paths.key}: has a passphrase, which a server cannot enter; remove it with "
            "`openssl pkey`"
        )

    with ExitStack() as stack:
        chain, key = (stack.enter_context(in_memory(each)) for each in (files.chain, files.key))
        try:
            _context().load_cert_chain(chain, key, no_passphrase)
        except ssl.SSLError as error:
            if error.reason in _OTHER_KEY:
                raise BadCertificate(
                    f"{paths.key}: is not the key of the first certificate in {paths.chain}"
                ) from None
            raise BadCertificate(f"{paths.key}: cannot be read{_why(error)}") from None


def _context() -> ssl.SSLContext:
    """Return a context that accepts whatever gRPC may accept; it is not for handshakes."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def _why(error: Exception) -> str:
    reason = getattr(error, "reason", None)
    return f" ({reason.replace('_', ' ').lower()})" if reason else ""


@contextmanager
def in_memory(content: bytes) -> Iterator[str]:
    """Yield a path to *content* for `ssl`, so that the checked bytes are those that are served."""
    with (
        open(os.memfd_create("pem"), "wb")  # noqa: PTH123  no path
        if hasattr(os, "memfd_create")
        else NamedTemporaryFile()  # readable by this user only
    ) as file:
        file.write(content)
        file.flush()
        yield f"/dev/fd/{file.fileno()}" if hasattr(os, "memfd_create") else str(file.name)


def _facts_of_first(chain: bytes) -> Facts | None:
    first = _FIRST.search(chain)
    try:
        return facts_of(b64decode(first[1])) if first else None
    except (ValueError, IndexError, StopIteration):
        return None


def _leaf_warnings(chain: bytes, path: Path) -> list[str]:
    """Return warnings about the first certificate, which the server presents.

    Raises:
        BadCertificate: gRPC cannot serve with its key.
    """
    facts = _facts_of_first(chain)
    if facts is None:  # OpenSSL has read it, so gRPC may read it too
        return []
    if facts.key not in _USABLE + _USABLE_BY_SOME:
        raise BadCertificate(f"{path}: gRPC cannot serve with its key, {facts.key}; {_USE}")
    if facts.rsa_bits and facts.rsa_bits < MIN_RSA_BITS:
        raise BadCertificate(
            f"{path}: its RSA key of {facts.rsa_bits} bits is too short for gRPC; {_USE}"
        )
    notes = []
    if facts.key in _USABLE_BY_SOME:
        notes.append(
            f"{path}: its key is {facts.key}, with which clients on gRPC's C core, as in Python, "
            f"cannot connect; {_USE}"
        )
    now = datetime.now(UTC)
    if now > facts.ends:
        notes.append(f"{path}: has expired at {facts.ends:%Y-%m-%d %H:%M} UTC; clients refuse it")
    elif now < facts.begins:
        notes.append(f"{path}: is not valid before {facts.begins:%Y-%m-%d %H:%M} UTC")
    return notes


def _key_warnings(key: Path) -> list[str]:
    with suppress(OSError):
        if key.stat().st_mode & stat.S_IROTH:
            return [f"{key}: every user of this machine can read the key"]
    return []
