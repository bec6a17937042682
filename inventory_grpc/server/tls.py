"""Binds a server's port, with or without TLS 1.2 and 1.3, the versions that gRPC offers.

Certificates that are replaced on disk apply to new connections, without a restart.
"""

import logging
from pathlib import Path

import grpc
import grpc.aio

from inventory_grpc.server.address import cannot_listen, is_free
from inventory_grpc.server.certificates import BadCertificate, Files, Paths, check
from inventory_grpc.settings import BadSetting, Settings

_log = logging.getLogger(__name__)


def listen(server: grpc.aio.Server, settings: Settings) -> str:
    """Bind *server* as in *settings*; return the address, with the chosen port.

    Raises:
        OSError: the address cannot be bound.
        BadSetting: the certificate cannot be used.
    """
    certificate, key = settings.tls_certificate, settings.tls_key
    try:
        if certificate and key:
            tls = Tls(certificate, key, settings.tls_client_ca)
            port = server.add_secure_port(settings.listen, tls.credentials())
        else:
            port = server.add_insecure_port(settings.listen)
    except BadCertificate as error:
        raise BadSetting(f"tls: {error}") from None
    except RuntimeError as error:
        # gRPC gives no reason; with several workers, the supervisor has reserved the port
        if certificate and key and (settings.workers > 1 or is_free(settings)):
            raise BadSetting(f"tls: gRPC cannot serve with {certificate} and {key}") from error
        raise cannot_listen(settings) from error
    host, _, _ = settings.listen.rpartition(":")
    return f"{host}:{port}"


class Tls:
    """The PEM files: certificate chain, private key, and the authorities of client certificates."""

    def __init__(self, certificate: Path, key: Path, client_ca: Path | None = None) -> None:
        self._paths = Paths(certificate, key, client_ca)

    def credentials(self) -> grpc.ServerCredentials:
        """Return the credentials for a port; gRPC reloads the files through them.

        Raises:
            BadCertificate: a file cannot be read or used.
        """
        served = self._paths.read()
        self._check(served)
        last_seen: Files | str = served

        def reload() -> grpc.ServerCertificateConfiguration | None:
            """Return the new configuration, if the files changed; called at each connection."""
            nonlocal served, last_seen
            found = self._found()
            if found == last_seen:
                return None  # a problem is logged only once
            last_seen = found
            if found == served:
                return None
            problem = found if isinstance(found, str) else self._problem_of(found)
            if isinstance(found, str) or problem:
                _log.error("the certificates are unchanged: %s", problem)
                return None
            served = found
            _log.info("reloaded the certificates from %s", self._paths.chain)
            return _configuration(found)

        return grpc.dynamic_ssl_server_credentials(
            _configuration(served),
            reload,  # type: ignore[arg-type]  # the stubs lack None, which means unchanged
            require_client_authentication=self._paths.authorities is not None,
        )

    def _found(self) -> Files | str:
        """Return the current contents of the files, or why they cannot be read."""
        try:
            return self._paths.read()
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
        for note in check(files, self._paths):
            _log.warning("%s", note)


def _configuration(files: Files) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(files.key, files.chain)], root_certificates=files.authorities
    )
