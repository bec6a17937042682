"""Reads the key type, validity and names of a certificate from its DER encoding."""

from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Final, NamedTuple, Self

_OID: Final = 0x06
_UTC_TIME: Final = 0x17
_CONTEXT_0: Final = 0xA0
_CONTEXT_3: Final = 0xA3
_DNS: Final = 0x82
_IP: Final = 0x87
_LONG_LENGTH: Final = 0x80

_ALTERNATIVE_NAMES: Final = "551d11"
_RSA: Final = "2a864886f70d010101"
_EC: Final = "2a8648ce3d0201"
_NAMES: Final = {
    "2a8648ce3d030107": "EC P-256",
    "2b81040022": "EC P-384",
    "2b81040023": "EC P-521",
    "2b81040021": "EC P-224",
    "2b8104000a": "EC secp256k1",
    "2b6570": "Ed25519",
    "2b6571": "Ed448",
    "2a864886f70d01010a": "RSA-PSS",
    "2a8648ce380401": "DSA",
}


class Value(NamedTuple):
    """One DER value: its tag and content."""

    tag: int
    content: bytes

    @classmethod
    def read(cls, der: bytes, at: int = 0) -> tuple[Self, int]:
        """Return the value at an offset in *der*, and the offset of the next one."""
        tag, length, start = der[at], der[at + 1], at + 2
        if length & _LONG_LENGTH:
            start += length & ~_LONG_LENGTH
            length = int.from_bytes(der[at + 2 : start], "big")
        end = start + length
        if end > len(der):
            raise ValueError("is truncated")
        return cls(tag, der[start:end]), end

    def parts(self) -> Iterator[Self]:
        at = 0
        while at < len(self.content):
            part, at = self.read(self.content, at)
            yield part


class Facts(NamedTuple):
    """The key type of a certificate, and its period of validity."""

    key: str
    """The key type, such as `RSA`, `EC P-256`, or `of an unknown kind`."""
    rsa_bits: int
    begins: datetime
    ends: datetime


def facts_of(der: bytes) -> Facts:
    """Return the facts of a certificate.

    Raises:
        ValueError, IndexError, StopIteration: it is not a certificate.
    """
    certificate, _ = Value.read(der)
    signed = next(certificate.parts())
    fields = [part for part in signed.parts() if part.tag != _CONTEXT_0]  # without the version
    _serial, _signature, _issuer, validity, _subject, key_info, *_ = fields
    begins, ends = map(_time, validity.parts())
    algorithm, key = key_info.parts()
    kind, *parameters = algorithm.parts()
    named = kind.content.hex()
    if named == _RSA:
        sequence, _ = Value.read(key.content, 1)  # after the number of unused bits
        modulus = next(sequence.parts()).content.lstrip(b"\0")
        return Facts("RSA", 8 * len(modulus), begins, ends)
    if named == _EC and parameters:
        named = (
            parameters[0].content.hex() if parameters[0].tag == _OID else "EC with its own curve"
        )
    return Facts(_NAMES.get(named, "of an unknown kind"), 0, begins, ends)


def names_of(der: bytes) -> list[str]:
    """Return the DNS names and IP addresses among a certificate's subject alternative names."""
    certificate, _ = Value.read(der)
    extensions = [part for part in next(certificate.parts()).parts() if part.tag == _CONTEXT_3]
    names: list[str] = []
    for extension in (one for part in extensions for one in next(part.parts()).parts()):
        kind, *_critical, value = extension.parts()
        if kind.content.hex() == _ALTERNATIVE_NAMES:
            for name in Value.read(value.content)[0].parts():
                if name.tag == _DNS:
                    names.append(name.content.decode("ascii"))
                elif name.tag == _IP:
                    names.append(str(ip_address(name.content)))
    return names


def _time(value: Value) -> datetime:
    text = value.content.decode("ascii")
    form = "%y%m%d%H%M%SZ" if value.tag == _UTC_TIME else "%Y%m%d%H%M%SZ"
    return datetime.strptime(text, form).replace(tzinfo=UTC)
