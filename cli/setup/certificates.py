"""A certificate authority of the site's own, for connections between its containers (X.509, RFC 5280)."""

import ipaddress
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_AUTHORITY_LIFE = timedelta(days=3650)
_LIFE = timedelta(days=397)
#: A certificate that ends sooner is made anew.
_RENEW_WITHIN = timedelta(days=60)
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")


class Authority:
    """The one that all of a site's certificates come from."""

    def __init__(self, certificate: bytes, key: bytes) -> None:
        """Read both from PEM; ValueError when they are none."""
        self.certificate, self.key = certificate, key
        self._certificate = x509.load_pem_x509_certificate(certificate)
        self._key = load_pem_private_key(key, password=None)
        if not isinstance(self._key, ec.EllipticCurvePrivateKey):
            raise ValueError("the authority's key is of another kind")

    @classmethod
    def create(cls, site: str) -> "Authority":
        """A new authority, called after the site."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name(f"Causeway {site}")
        made = (
            _builder(name, name, key.public_key(), _AUTHORITY_LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(made.public_bytes(Encoding.PEM), _pem(key))

    def issue(self, name: str, hosts: Iterable[str]) -> tuple[bytes, bytes]:
        """A server certificate for ``hosts`` (names and IP addresses) and its key, both PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())  # type: ignore[arg-type]
        made = (
            _builder(_name(name), self._certificate.subject, key.public_key(), _LIFE)
            .add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(identifier, critical=False)
            .sign(self._key, hashes.SHA256())  # type: ignore[arg-type]
        )
        return made.public_bytes(Encoding.PEM), _pem(key)

    def still_good(self, certificate: bytes, hosts: Iterable[str], now: datetime | None = None) -> bool:
        """Whether ``certificate`` is ours, names exactly ``hosts`` and does not end soon."""
        found = x509.load_pem_x509_certificate(certificate)
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return (
            found.issuer == self._certificate.subject
            and set(names) == {_host(host) for host in hosts}
            and found.not_valid_after_utc - (now or datetime.now(UTC)) > _RENEW_WITHIN
        )


def checked_pair(bundle: str) -> bytes:
    """A certificate, the chain above it and its key as one PEM file; ValueError unless the key is the certificate's.

    The key must not be encrypted: whoever reads it has nobody to ask.
    """
    certificate, *_ = _certificates(bundle)
    if (begin := _PRIVATE_KEY.search(bundle)) is None:
        raise ValueError("there is no private key")
    try:
        key = load_pem_private_key(bundle[begin.start() :].encode(), password=None)
    except (TypeError, UnsupportedAlgorithm):
        raise ValueError("the key is encrypted, or of no known kind") from None
    if _spki(certificate.public_key()) != _spki(key.public_key()):
        raise ValueError("the key is not that of the first certificate")
    return bundle.encode()


def checked_authorities(bundle: str) -> bytes:
    """Certificates of authorities as one PEM file; ValueError when there is none, or a key."""
    _certificates(bundle)
    if _PRIVATE_KEY.search(bundle):
        raise ValueError("a private key is among the authorities")
    return bundle.encode()


def _spki(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _certificates(bundle: str) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(bundle.encode())


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, life: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))  # clocks of containers' hosts differ a little
        .not_valid_after(now + life)
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
