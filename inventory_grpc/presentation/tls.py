"""TLS 1.2 and 1.3 for a port; gRPC offers nothing older.

Certificates that are replaced on disk are used for new connections, without a restart.
"""

import logging
from pathlib import Path

import grpc

from inventory_grpc.presentation.certificates import BadCertificate, Files, Paths, check

_log = logging.getLogger(__name__)


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
