"""The port of a server, with or without TLS."""

import grpc.aio

from inventory_grpc.port import cannot_listen, is_free
from inventory_grpc.presentation.certificates import BadCertificate
from inventory_grpc.presentation.tls import Tls
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
        # gRPC says no more; of workers, the supervisor holds the port
        if certificate and key and (settings.workers > 1 or is_free(settings)):
            raise BadSetting(f"tls: gRPC cannot serve with {certificate} and {key}") from error
        raise cannot_listen(settings) from error
    host, _, _ = settings.listen.rpartition(":")
    return f"{host}:{port}"
