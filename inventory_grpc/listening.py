"""Where does a server listen, and how open is it?"""

import logging

import grpc.aio

from inventory_grpc.presentation.tls import BadCertificate, Tls
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
        raise OSError(
            f"cannot listen on {settings.listen}: the port is in use, or the address not ours"
        ) from error
    host, _, _ = settings.listen.rpartition(":")
    _say_how_open(settings, host)
    return f"{host}:{port}"


def _say_how_open(settings: Settings, host: str) -> None:
    """Warn of what an operator may not have meant."""
    who = "whoever uses this machine" if settings.is_loopback else "whoever can reach this machine"
    if settings.callers is None:
        _log.warning("%s is open: %s may call, and is not asked who it is", host, who)
    if settings.tls_certificate is None and not settings.is_loopback:
        _log.warning("%s can be reached from other machines, and nothing is encrypted", host)
