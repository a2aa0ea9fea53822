"""TLS by the profile of BCP 195 (RFC 8996, RFC 9325; DICOM PS3.15 B.12), for both ends of a connection.

1.3 and 1.2 only; with 1.2 only suites that agree on a key for each connection (ECDHE) and authenticate what
they encrypt (AES-GCM, ChaCha20-Poly1305). Nothing is compressed, renegotiated or resumed: whoever comes shows
its certificate each time.

What is on disk may be renewed while the node runs: `Renewed` looks at the files before each connection.
"""

from __future__ import annotations

import hashlib
import os
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import time

from casgan_dicom.errors import ConfigError
from casgan_dicom.log import get_logger
from casgan_dicom.node.certificates import TlsFiles, faults

SUITES = (
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
)
"""For TLS 1.2, by OpenSSL's names; those of 1.3 are all as good."""

_KINDS: Mapping[str, str] = {"DNS": "DNS", "URI": "URI", "IP Address": "IP"}
"""Python's names of the kinds of a Subject Alternative Name, and ours."""

_UNKNOWN_AUTHORITY = "its certificate comes from no authority that is trusted here"
_OF_CERTIFICATE: Mapping[int, str] = {
    2: _UNKNOWN_AUTHORITY,
    9: "its certificate is not valid yet",
    10: "its certificate has expired",
    18: "its certificate is signed by itself, and not trusted here",
    19: _UNKNOWN_AUTHORITY,
    20: _UNKNOWN_AUTHORITY,
    21: _UNKNOWN_AUTHORITY,
    26: "its certificate is not meant for this use (Extended Key Usage)",
    62: "its certificate is for another name",
    64: "its certificate is for another address",
    66: "the key of its certificate is too short",
    67: "the key of its authority is too short",
    68: "its certificate is signed with a weak algorithm",
}
"""What is wrong with the certificate of the other end, by OpenSSL's X509_V_ERR codes."""

_NO_TLS = "what came is not TLS"
_OURS_REFUSED = "it does not take our certificate"
_OURS_WANTED = "it wants a certificate of ours"
_NO_COMMON_VERSION = "it offers no TLS of version 1.2 or later"
_REASONS: Mapping[str, str] = {
    "WRONG_VERSION_NUMBER": _NO_TLS,
    "HTTP_REQUEST": _NO_TLS,
    "HTTPS_PROXY_REQUEST": _NO_TLS,
    "RECORD_LAYER_FAILURE": _NO_TLS,
    "UNEXPECTED_MESSAGE": _NO_TLS,
    "UNSUPPORTED_PROTOCOL": _NO_COMMON_VERSION,
    "VERSION_TOO_LOW": _NO_COMMON_VERSION,
    "TLSV1_ALERT_PROTOCOL_VERSION": _NO_COMMON_VERSION,
    "NO_SHARED_CIPHER": "it offers no cipher suite that is taken here (ECDHE with AES-GCM or ChaCha20)",
    "NO_SHARED_GROUPS": "it offers no elliptic curve that is taken here",
    "NO_SUITABLE_SIGNATURE_ALGORITHM": "it takes no signature that our certificate can make",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "it showed no certificate",
    "TLSV1_ALERT_UNKNOWN_CA": "it does not know the authority of our certificate",
    "SSLV3_ALERT_BAD_CERTIFICATE": _OURS_REFUSED,
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": _OURS_REFUSED,
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": _OURS_REFUSED,
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "it says that our certificate has expired",
    "SSLV3_ALERT_CERTIFICATE_REVOKED": "it says that our certificate was revoked",
    "TLSV1_ALERT_ACCESS_DENIED": _OURS_REFUSED,
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": _OURS_WANTED,
    "SSLV3_ALERT_NO_CERTIFICATE": _OURS_WANTED,
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "it refused the handshake: it may want a certificate or another suite",
    "DECRYPTION_FAILED_OR_BAD_RECORD_MAC": "what came was changed on its way",
}
"""What OpenSSL's reasons mean."""

log = get_logger("tls")


@dataclass(frozen=True)
class Identity:
    """Who somebody is, by a certificate that was verified."""

    names: frozenset[str]
    """What it says, with its kind: ``DNS:ct1.example``, ``URI:urn:…``, ``IP:10.1.2.3``, ``CN:ct1``."""
    sha256: str
    """Digest of all of it, hexadecimal."""


def server_context(files: TlsFiles, *, asks: bool = True) -> ssl.SSLContext:
    """How a listener talks TLS; with `asks`, only to who shows a certificate of `authorities`.

    Raises ConfigError that names what is wrong with which file.
    """
    check(files)
    context = _context(ssl.PROTOCOL_TLS_SERVER, files)
    context.num_tickets = 0
    context.verify_mode = ssl.CERT_REQUIRED if asks else ssl.CERT_NONE
    return context


def client_context(files: TlsFiles) -> ssl.SSLContext:
    """How we talk TLS to a peer: its certificate and its name are always checked.

    Raises ConfigError that names what is wrong with which file.
    """
    check(files)
    context = _context(ssl.PROTOCOL_TLS_CLIENT, files)
    if files.authorities is None:
        context.load_default_certs()
    return context


def check(files: TlsFiles) -> None:
    """Raise ConfigError that names everything that is wrong with the files today."""
    if wrong := list(faults(files, time())):
        lines = "".join(f"\n  {each}" for each in wrong)
        raise ConfigError(wrong[0] if len(wrong) == 1 else f"files of TLS are no good:{lines}")


def _context(protocol: int, files: TlsFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_ciphers(":".join(SUITES))
    try:
        if files.certificate is not None and files.key is not None:
            context.load_cert_chain(files.certificate.path, files.key.path, lambda: "")
        if files.authorities is not None:
            context.load_verify_locations(files.authorities.path)
    except (ssl.SSLError, OSError) as error:  # changed since they were looked at
        raise ConfigError(f"files of TLS cannot be read: {reason_of(error)}") from error
    return context


def identity_of(tls: ssl.SSLObject) -> Identity | None:
    """Who the other end is; None where it showed no certificate, or where none was asked for."""
    content, told = tls.getpeercert(binary_form=True), tls.getpeercert()
    if not content or not told:
        return None
    names = set[str]()
    for kind, value in _pairs(told.get("subjectAltName")):
        if kind in _KINDS:
            names.add(f"{_KINDS[kind]}:{value.lower() if kind == 'DNS' else value}")
    subject = told.get("subject", ())
    assert isinstance(subject, tuple)
    for attributes in subject:
        names.update(f"CN:{value}" for kind, value in _pairs(attributes) if kind == "commonName")
    return Identity(frozenset(names), hashlib.sha256(content).hexdigest())


def _pairs(told: object) -> list[tuple[str, str]]:
    """Pairs of texts as `ssl.SSLObject.getpeercert` gives them."""
    found = told if isinstance(told, tuple) else ()
    return [(str(pair[0]), str(pair[1])) for pair in found]


def reason_of(error: OSError) -> str:
    """Why a handshake failed, in words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _OF_CERTIFICATE.get(
            error.verify_code, f"its certificate is not valid ({error.verify_message})"
        )
    if isinstance(error, ssl.SSLEOFError | ConnectionError):
        return "it hung up during the handshake"
    if isinstance(error, TimeoutError):
        return "the handshake took too long"
    if isinstance(error, ssl.SSLError):
        name = error.reason or "unknown"
        return _REASONS.get(name, f"the handshake failed ({name.lower().replace('_', ' ')})")
    return error.strerror or "the handshake failed"


class Renewed:
    """A context that is made again when its files change; threads may share it.

    Parameters
    ----------
    files
        What it is made of.
    make
        Makes it; raises ConfigError where the files are no good.

    Raises
    ------
    ConfigError
        The files are no good.
    """

    def __init__(self, files: TlsFiles, make: Callable[[TlsFiles], ssl.SSLContext]) -> None:
        self.files = files
        self._make = make
        self._lock = threading.Lock()
        self._stamp = _stamp(files)
        self._context = make(files)

    def context(self) -> ssl.SSLContext:
        """The context of the files as they are, or as they were when they were good for the last time."""
        stamp = _stamp(self.files)
        if stamp != self._stamp:
            with self._lock:
                if stamp != self._stamp:
                    self._stamp = stamp
                    self._renew()
        return self._context

    def _renew(self) -> None:
        names = [each.key for each in self.files.all()]
        try:
            self._context = self._make(self.files)
        except ConfigError as error:
            log.error("changed certificates are not used", files=names, reason=error.message)
        else:
            log.info("changed certificates are used", files=names)


def _stamp(files: TlsFiles) -> tuple[tuple[int, int, int] | None, ...]:
    """What changes when a file does; None for one that is not there."""
    return tuple(map(_stamp_of, (str(each.path) for each in files.all())))


def _stamp_of(path: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116  # before each connection
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
