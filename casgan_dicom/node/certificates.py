"""Certificates and keys as files: what they hold, how long it is good for, and what is wrong with them.

PEM only (RFC 7468). Nothing here speaks TLS (``tls.py``), and nothing knows where the settings name a file.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from stat import S_IMODE

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

DAY_SECONDS = 86400.0
_EVERYBODY = 0o007


@dataclass(frozen=True)
class NamedFile:
    """A file, and the setting or option that names it."""

    key: str
    """Such as ``listener.tls_key``."""
    path: Path
    """Where it is."""

    def __str__(self) -> str:
        return f"{self.key} {self.path}"


@dataclass(frozen=True)
class TlsFiles:
    """What one end of a connection proves itself by, and believes in."""

    certificate: NamedFile | None = None
    """Our certificate, and behind it those that lead to an authority; None to show none."""
    key: NamedFile | None = None
    """The private key of it."""
    authorities: NamedFile | None = None
    """Whose certificates we take; None for what the system takes (a client), or none at all (a listener)."""

    def all(self) -> tuple[NamedFile, ...]:
        """Every file that there is."""
        return tuple(filter(None, (self.certificate, self.key, self.authorities)))


@dataclass(frozen=True)
class Expiry:
    """How long a configured certificate is still good for."""

    key: str
    """The setting that names its file."""
    path: Path
    """The file."""
    days_left: int | None
    """Whole days until the first certificate in the file expires, negative afterwards; None for unknown,
    because the file cannot be read."""


class CertificateError(Exception):
    """A file does not hold what it should; the message says what is wrong, without the file."""


def faults(files: TlsFiles, now: float) -> Iterator[str]:
    """Everything that is wrong with files, a sentence each; `now` is in seconds since 1970."""
    broken = list(_unreadable(files))
    yield from broken
    if files.key is not None:
        yield from _open_to_all(files.key)
    if broken:
        return
    for named in filter(None, (files.certificate, files.authorities)):
        yield from _out_of_date(named, now)
    if files.certificate is not None and files.key is not None:
        yield from _mismatch(files.certificate, files.key)


def expiry(named: NamedFile, now: float) -> Expiry:
    """How long the certificates in a file are still good for; `now` is in seconds since 1970."""
    try:
        ends = min(each.not_valid_after_utc.timestamp() for each in read_certificates(named.path))
    except CertificateError:
        return Expiry(named.key, named.path, None)
    return Expiry(named.key, named.path, int((ends - now) // DAY_SECONDS))


def read_certificates(path: Path) -> list[x509.Certificate]:
    """All certificates of a PEM file, at least one. Raises CertificateError."""
    content = _read(path)
    try:
        found = x509.load_pem_x509_certificates(content)
        for each in found:  # read only when they are asked for
            _ = each.not_valid_before_utc, each.not_valid_after_utc
    except (ValueError, x509.InvalidVersion):
        raise CertificateError("holds no certificate in PEM, want -----BEGIN CERTIFICATE-----") from None
    return found


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CertificateError(f"cannot be read ({error.strerror})") from error


def _unreadable(files: TlsFiles) -> Iterator[str]:
    for named in files.all():
        try:
            if named is files.key:
                _check_key(named.path)
            else:
                read_certificates(named.path)
        except CertificateError as error:
            yield f"{named} {error}"


def _check_key(path: Path) -> None:
    content = _read(path)
    try:
        load_pem_private_key(content, password=None)
    except TypeError:
        raise CertificateError("is locked with a password, want a key without one") from None
    except (ValueError, UnsupportedAlgorithm):
        raise CertificateError("holds no private key in PEM, want -----BEGIN PRIVATE KEY-----") from None


def _out_of_date(named: NamedFile, now: float) -> Iterator[str]:
    try:
        found = read_certificates(named.path)
    except CertificateError as error:  # changed at this moment
        yield f"{named} {error}"
        return
    for number, each in enumerate(found, 1):
        begins, ends = each.not_valid_before_utc, each.not_valid_after_utc
        which = f"{named}: certificate {number}"
        if ends.timestamp() < now:
            yield f"{which} expired on {ends:%Y-%m-%d}, want one that is valid today"
        elif begins.timestamp() > now:
            yield f"{which} is valid from {begins:%Y-%m-%d}, want one that is valid today"


def _open_to_all(key: NamedFile) -> Iterator[str]:
    try:
        mode = S_IMODE(key.path.stat().st_mode)
    except OSError:
        return  # told already
    if mode & _EVERYBODY:
        yield f"{key} has mode {mode:04o}, every user may read it: chmod o-rwx '{key.path}'"


def _mismatch(certificate: NamedFile, key: NamedFile) -> Iterator[str]:
    """Whether OpenSSL takes the two together, which is who will use them."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate.path, key.path, lambda: "")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            yield f"{key} is not the key of the first certificate in {certificate}"
        else:
            yield f"{certificate} cannot be used ({(error.reason or 'refused').lower().replace('_', ' ')})"
    except OSError as error:
        yield f"{certificate} cannot be read ({error.strerror})"
