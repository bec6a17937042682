"""The TLS context of the page of metrics, made of the server's certificate and authorities."""

import logging
import ssl
from typing import Self

from inventory_grpc.bad_setting import BadSetting
from inventory_grpc.server.certificates import BadCertificate, Certificates, Files, in_memory
from inventory_grpc.settings import Settings

_log = logging.getLogger(__name__)


class PageEncryption:
    """The context for new connections. It is made anew when one of the files is replaced."""

    def __init__(self, certificates: Certificates) -> None:
        self._certificates = certificates
        self._context = _context_of(certificates.served)

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """Return that of *settings*; None if they name no certificate.

        Raises:
            BadSetting: the certificate cannot be used.
        """
        certificate, key = settings.tls_certificate, settings.tls_key
        if certificate is None or key is None:
            return None
        try:
            return cls(Certificates(certificate, key, settings.tls_client_ca, silent=True))
        except (BadCertificate, OSError) as error:
            raise BadSetting(f"tls: {error}") from None

    def current(self) -> ssl.SSLContext:
        return self._context

    async def reload(self) -> None:
        """Use the files for new connections, if they were replaced."""
        if files := self._certificates.news():
            try:
                self._context = _context_of(files)
            except OSError as error:  # such as a key that is too short for Python's `ssl`
                _log.error("the certificate of metrics is unchanged: %s", error)


def _context_of(files: Files) -> ssl.SSLContext:
    """Return a new context: an old one would go on to accept authorities that were removed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    with in_memory(files.chain) as chain, in_memory(files.key) as key:
        context.load_cert_chain(chain, key)
    if files.authorities is not None:
        context.load_verify_locations(cadata=files.authorities.decode("ascii", "replace"))
        context.verify_mode = ssl.CERT_REQUIRED
    return context
