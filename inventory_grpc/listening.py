"""Where does a server listen?"""

import grpc.aio

from inventory_grpc.port import cannot_listen
from inventory_grpc.presentation.tls import BadCertificate, Tls
from inventory_grpc.settings import BadSetting, Settings


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
        raise cannot_listen(settings) from error
    host, _, _ = settings.listen.rpartition(":")
    return f"{host}:{port}"
