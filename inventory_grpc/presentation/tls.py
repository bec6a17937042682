"""How is a connection encrypted, and which certificates does a server take?

TLS 1.2 and 1.3: gRPC offers nothing older. Certificates that are replaced on disk are used
for new connections, without a restart.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import grpc

_log = logging.getLogger(__name__)


class BadCertificate(ValueError):
    """A certificate or its key cannot be used."""


@dataclass(frozen=True)
class Tls:
    """The files, in PEM: chain, its key, and who has to have signed for callers, if they must."""

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def credentials(self) -> grpc.ServerCredentials:
        """Return what a port is opened with.

        Raises:
            BadCertificate: a file cannot be read, or is not what it should be.
        """
        seen = self._read()

        def newer() -> grpc.ServerCertificateConfiguration | None:
            """Return what is new since; called by gRPC whenever somebody connects."""
            nonlocal seen
            try:
                found = self._read()
            except BadCertificate as error:
                _log.error("certificates are as before: %s", error)
                return None
            if found == seen:
                return None
            seen = found
            _log.info("certificates were read again from %s", self.certificate)
            return _configuration(found)

        return grpc.dynamic_ssl_server_credentials(
            _configuration(seen),
            newer,  # type: ignore[arg-type]  # None is "as before", which the stubs do not know
            require_client_authentication=self.client_ca is not None,
        )

    def _read(self) -> tuple[bytes, bytes, bytes | None]:
        """Return chain, key and authorities, which look as if they were."""
        chain = _pem(self.certificate, b"CERTIFICATE")
        key = _pem(self.key, b"PRIVATE KEY")
        return chain, key, _pem(self.client_ca, b"CERTIFICATE") if self.client_ca else None


def _pem(path: Path, kind: bytes) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadCertificate(f"{path}: {error.strerror}") from None
    if b"-----BEGIN " not in content or kind + b"-----" not in content:
        raise BadCertificate(f"{path}: has no {kind.decode().lower()} in PEM")
    return content


def _configuration(files: tuple[bytes, bytes, bytes | None]) -> grpc.ServerCertificateConfiguration:
    chain, key, authorities = files
    return grpc.ssl_server_certificate_configuration([(key, chain)], root_certificates=authorities)
