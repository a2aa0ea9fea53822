"""Certificates for tests of TLS, made here and by no code of ours, and DICOM bytes over TLS.

house = Authority.make(folder, "ca")
pair = house.issue("node", names=["localhost", "127.0.0.1"])
with SecureWire.associated(port, client(house, pair)) as wire: ...
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.node.wire import ASSOCIATE_AC, Wire, associate_rq

_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
"""Of every holder whose key does not matter: making one takes time."""


@dataclass(frozen=True)
class Pair:
    """A certificate and its key."""

    certificate: Path
    key: Path

    @property
    def sha256(self) -> str:
        """Digest of the certificate."""
        content = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        return content.fingerprint(hashes.SHA256()).hex()


@dataclass(frozen=True)
class Authority:
    """An authority of tests."""

    folder: Path
    certificate: Path
    _subject: x509.Name
    _key: rsa.RSAPrivateKey

    @classmethod
    def make(cls, folder: Path, name: str) -> Authority:
        """Make one, valid for a year."""
        folder.mkdir(parents=True, exist_ok=True)
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        subject = _subject(name)
        signed = _builder(subject, subject, key, days=365).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        path = folder / f"{name}.pem"
        path.write_bytes(signed.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
        return cls(folder, path, subject, key)

    def issue(
        self,
        name: str,
        *,
        names: Sequence[str] = ("localhost", "127.0.0.1"),
        uris: Sequence[str] = (),
        days: float = 300,
        file: str = "",
        own_key: bool = False,
    ) -> Pair:
        """Make a pair whose common name is `name`; negative `days` for one that has expired."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048) if own_key else _KEY
        builder = _builder(_subject(name), self._subject, key, days=days)
        shown: list[x509.GeneralName] = [_name(each) for each in names]
        shown += [x509.UniformResourceIdentifier(uri) for uri in uris]
        if shown:
            builder = builder.add_extension(x509.SubjectAlternativeName(shown), critical=False)
        certificate, private = (self.folder / f"{file or name}.{end}" for end in ("crt", "key"))
        certificate.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))
        private.touch(mode=0o600)
        private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return Pair(certificate, private)


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: rsa.RSAPrivateKey, *, days: float
) -> x509.CertificateBuilder:
    end = datetime.now(UTC) + timedelta(days=days)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(end, datetime.now(UTC)) - timedelta(days=1))
        .not_valid_after(end)
    )


def client(authority: Authority, pair: Pair | None = None) -> ssl.SSLContext:
    """How a client of Python's own talks TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(authority.certificate)
    if pair is not None:
        context.load_cert_chain(pair.certificate, pair.key)
    return context


def server(authority: Authority, pair: Pair) -> ssl.SSLContext:
    """How a server of Python's own talks TLS, with who shows a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_verify_locations(authority.certificate)
    context.load_cert_chain(pair.certificate, pair.key)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def listener_keys(authority: Authority, pair: Pair) -> dict[str, Any]:
    """Settings of [listener] for TLS."""
    return {
        "tls_certificate": str(pair.certificate),
        "tls_key": str(pair.key),
        "tls_authorities": str(authority.certificate),
    }


def destination_keys(authority: Authority, pair: Pair) -> dict[str, Any]:
    """Settings of a destination for TLS."""
    return listener_keys(authority, pair) | {"tls": True}


class SecureWire(Wire):
    """A connection to a listener on this machine, by TLS."""

    def __init__(
        self, port: int, context: ssl.SSLContext, *, source: str = "127.0.0.1", seconds: float = 30.0
    ) -> None:
        super().__init__(port, source=source, seconds=seconds)
        try:
            self.socket: socket.socket = context.wrap_socket(self.socket, server_hostname="localhost")
        except BaseException:
            self.socket.close()
            raise

    @classmethod
    def let_in(
        cls, port: int, context: ssl.SSLContext, *, calling: str = "MODALITY", source: str = "127.0.0.1"
    ) -> SecureWire:
        """Connect and associate."""
        wire = cls(port, context, source=source)
        try:
            wire.send(associate_rq(calling=calling))
            kind, _ = wire.read()
            assert kind == ASSOCIATE_AC, f"no association: PDU of type {kind}"
        except BaseException:
            wire.socket.close()
            raise
        return wire


@dataclass(frozen=True)
class Door:
    """Where a listener is, and whether one comes in by TLS."""

    port: int
    context: ssl.SSLContext | None = None
    """None without TLS."""

    def wire(self, *, source: str = "127.0.0.1", seconds: float = 30.0) -> Wire:
        """A connection, behind the handshake if there is one."""
        if self.context is None:
            return Wire(self.port, source=source, seconds=seconds)
        return SecureWire(self.port, self.context, source=source, seconds=seconds)

    def associated(self, *, calling: str = "MODALITY", source: str = "127.0.0.1") -> Wire:
        """An association."""
        if self.context is None:
            return Wire.associated(self.port, calling=calling, source=source)
        return SecureWire.let_in(self.port, self.context, calling=calling, source=source)
