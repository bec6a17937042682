"""Binds a server's port, with TLS 1.2 and 1.3 or without; gRPC offers nothing older.

Certificates that are replaced on disk are used for new connections, without a restart.
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
    """Bind *server* as in *settings*; return the address, with the port that was chosen.

    Raises:
        OSError: the address cannot be had.
        BadSetting: it cannot be served with the certificate.
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
        # gRPC says no more; of workers, the supervisor holds the port
        if certificate and key and (settings.workers > 1 or is_free(settings)):
            raise BadSetting(f"tls: gRPC cannot serve with {certificate} and {key}") from error
        raise cannot_listen(settings) from error
    host, _, _ = settings.listen.rpartition(":")
    return f"{host}:{port}"


class Tls:
    """The files, in PEM: chain, its key, and who has to have signed for callers, if they must."""

    def __init__(self, certificate: Path, key: Path, client_ca: Path | None = None) -> None:
        self._paths = Paths(certificate, key, client_ca)

    def credentials(self) -> grpc.ServerCredentials:
        """Return what a port is opened with.

        Raises:
            BadCertificate: a file cannot be read, or cannot be served with.
        """
        served = self._paths.read()
        self._check(served)
        looked_at: Files | str = served

        def newer() -> grpc.ServerCertificateConfiguration | None:
            """Return what is new since; called by gRPC whenever somebody connects."""
            nonlocal served, looked_at
            found = self._found()
            if found == looked_at:
                return None  # what is wrong with it was said once
            looked_at = found
            if found == served:
                return None
            problem = found if isinstance(found, str) else self._problem_of(found)
            if isinstance(found, str) or problem:
                _log.error("certificates are as before: %s", problem)
                return None
            served = found
            _log.info("certificates were read again from %s", self._paths.chain)
            return _configuration(found)

        return grpc.dynamic_ssl_server_credentials(
            _configuration(served),
            newer,  # type: ignore[arg-type]  # None is "as before", which the stubs do not know
            require_client_authentication=self._paths.authorities is not None,
        )

    def _found(self) -> Files | str:
        """Return what the files hold now, or why they cannot be read."""
        try:
            return self._paths.read()
        except BadCertificate as error:
            return str(error)

    def _problem_of(self, files: Files) -> str:
        """Return why *files* cannot be served; nothing if they can."""
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
