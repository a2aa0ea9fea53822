"""Certificates for tests: an authority of their own, and a pair for the node and for each peer.

For trying TLS out, not for patients' images: the authority's key lies beside them, and whoever has it can be
anybody. Their subjects say so.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from casgan_dicom.errors import OutputError

ORGANISATION = "FOR TESTS ONLY - not for patient data"
"""In the subject of each of them."""
VALID_DAYS = 365
_SKEW = timedelta(hours=1)
"""By which clocks may differ."""


@dataclass(frozen=True)
class Holder:
    """Somebody who gets a certificate."""

    common_name: str
    """What it is called."""
    names: Sequence[str]
    """DNS names and IP addresses of it."""


@dataclass(frozen=True)
class _Pair:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def write_trial_certificates(
    folder: Path, node: Holder, peers: Sequence[Holder], now: datetime
) -> dict[str, Path]:
    """Make an authority and a pair for each of these, good for a year from `now`.

    Returns
    -------
    dict
        The files: ``ca.pem``, ``ca.key``, ``node.pem``, ``node.key``, and those of each peer, named by its
        common name. Keys may be read by their owner alone.

    Raises
    ------
    OutputError
        One of them is there already, and nothing was written; or the folder cannot be written.
    """
    authority = _authority(now)
    content = _files("ca", authority)
    content |= _files("node", _issue(authority, node, now))
    for peer in peers:
        content |= _files(peer.common_name, _issue(authority, peer, now))
    paths = {name: folder / name for name in content}
    if there := [str(path) for path in paths.values() if path.exists() or path.is_symlink()]:
        raise OutputError(
            f"{', '.join(there)} {'is' if len(there) == 1 else 'are'} there already: nothing was written",
            hint="name another folder, or remove what is there",
        )
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, path in paths.items():
            _write_new(path, content[name], 0o600 if path.suffix == ".key" else 0o644)
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be written ({error.strerror})", hint="name another folder"
        ) from error
    return paths


def _write_new(path: Path, content: bytes, mode: int) -> None:
    """Write a file that must not be there. Raises OSError."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    with os.fdopen(handle, "wb") as file:
        os.fchmod(handle, mode)
        file.write(content)


def _files(name: str, pair: _Pair) -> dict[str, bytes]:
    key = pair.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return {f"{name}.pem": pair.certificate.public_bytes(Encoding.PEM), f"{name}.key": key}


def _authority(now: datetime) -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _subject("casgan-dicom test authority")
    builder = _builder(subject, subject, key.public_key(), now)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
    return _Pair(builder.sign(key, hashes.SHA256()), key)


def _issue(authority: _Pair, holder: Holder, now: datetime) -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = authority.certificate
    builder = _builder(_subject(holder.common_name), issuer.subject, key.public_key(), now)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
    both_ends = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    builder = builder.add_extension(both_ends, critical=False)
    builder = builder.add_extension(
        x509.SubjectAlternativeName(list(map(_name, holder.names))), critical=False
    )
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    builder = builder.add_extension(identifier, critical=False)
    return _Pair(builder.sign(authority.key, hashes.SHA256()), key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - _SKEW).not_valid_after(now + timedelta(days=VALID_DAYS))
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)


def _subject(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANISATION),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> x509.GeneralName:
    """An IP address where it is one, else a DNS name."""
    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        return x509.DNSName(text)
