"""Binds a server's port, with or without TLS 1.2 and 1.3, the versions that gRPC offers.

Certificates that are replaced on disk apply to new connections, without a restart.
"""

from pathlib import Path
from typing import Self

import grpc
import grpc.aio

from inventory_grpc.bad_setting import BadSetting
from inventory_grpc.server.address import cannot_listen, is_free
from inventory_grpc.server.certificates import BadCertificate, Certificates, Files
from inventory_grpc.settings import Settings


def listen(server: grpc.aio.Server, settings: Settings, tls: "Tls | None") -> str:
    """Bind *server* as in *settings*; return the address, with the chosen port.

    Raises:
        OSError: the address cannot be bound.
        BadSetting: gRPC cannot use the certificate.
    """
    try:
        if tls:
            port = server.add_secure_port(settings.listen, tls.credentials())
        else:
            port = server.add_insecure_port(settings.listen)
    except RuntimeError as error:
        # gRPC gives no reason; with several workers, the supervisor has reserved the port
        if tls and (settings.workers > 1 or is_free(settings)):
            raise BadSetting(
                f"tls: gRPC cannot serve with {settings.tls_certificate} and {settings.tls_key}"
            ) from error
        raise cannot_listen(settings) from error
    host, _, _ = settings.listen.rpartition(":")
    return f"{host}:{port}"


class Tls:
    """The certificate of a port, and the authorities of client certificates."""

    def __init__(self, certificate: Path, key: Path, client_ca: Path | None = None) -> None:
        """Read and check the files.

        Raises:
            BadCertificate: one of them cannot be read or used.
        """
        self.certificates = Certificates(certificate, key, client_ca)

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """Return that of *settings*; None if they name none.

        Raises:
            BadSetting: it cannot be used.
        """
        if settings.tls_certificate is None or settings.tls_key is None:
            return None
        try:
            return cls(settings.tls_certificate, settings.tls_key, settings.tls_client_ca)
        except BadCertificate as error:
            raise BadSetting(f"tls: {error}") from None

    def credentials(self) -> grpc.ServerCredentials:
        """Return the credentials for a port; gRPC reloads the files through them."""

        def reload() -> grpc.ServerCertificateConfiguration | None:
            """Return the new configuration, if the files changed; called at each connection."""
            files = self.certificates.news()
            return None if files is None else _configuration(files)

        return grpc.dynamic_ssl_server_credentials(
            _configuration(self.certificates.served),
            reload,  # type: ignore[arg-type]  # the stubs lack None, which means unchanged
            require_client_authentication=self.certificates.paths.authorities is not None,
        )


def _configuration(files: Files) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(files.key, files.chain)], root_certificates=files.authorities
    )
