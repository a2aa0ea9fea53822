"""TLS with a peer that we call: how it is made, and in plain words why it is not.

As with the rest of `peer`, each sentence names what went wrong, and the file or key to look at.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

from casgan_dicom.errors import PeerError
from casgan_dicom.node.certificates import TlsFiles
from casgan_dicom.node.tls import reason_of


@dataclass(frozen=True)
class PeerTls:
    """How to talk TLS to a peer."""

    context: Callable[[], ssl.SSLContext] = field(compare=False)
    """Makes the context, or has it."""
    files: TlsFiles
    """What it is made of."""
    name: str
    """What its certificate must hold."""

    @property
    def authorities(self) -> str:
        """Where it is said whom we believe."""
        return str(self.files.authorities or "the authorities of this system")

    @property
    def certificate(self) -> str:
        """What we show."""
        return str(self.files.certificate or "none")


def insecure(peer: str, tls: PeerTls, error: OSError) -> PeerError:
    """There is no TLS with a peer; `peer` is how messages call it."""
    field = _field(error)
    return PeerError(f"{peer}: no TLS, {_reason(tls, error)}", hint=_hint(tls, error), field=field)


def _reason(tls: PeerTls, error: OSError) -> str:
    said = reason_of(error)
    if isinstance(error, ssl.SSLCertVerificationError) and error.verify_code in _OTHER_NAME:
        return f"{said} than '{tls.name}'"
    return said


_OTHER_NAME = (62, 64)
"""X509_V_ERR codes for a host name and an address that are not those of the certificate."""
_OURS = ("UNKNOWN_CA", "CERTIFICATE", "ACCESS_DENIED", "HANDSHAKE_FAILURE")
"""In names of alerts that speak of what we showed."""


def _field(error: OSError) -> str:
    """Which key to look at; see `PeerError`."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return "tls_name" if error.verify_code in _OTHER_NAME else "tls_authorities"
    name = (error.reason or "") if isinstance(error, ssl.SSLError) else ""
    if "CERTIFICATE_REQUIRED" in name or ("ALERT" in name and any(word in name for word in _OURS)):
        return "tls_certificate"
    return "tls" if "VERSION_NUMBER" in name or not name else ""


def _hint(tls: PeerTls, error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in _OTHER_NAME:
            return "check the host, or set tls_name (--tls-name) to the name that its certificate holds"
        return f"check its certificate against {tls.authorities}"
    name = (error.reason or "") if isinstance(error, ssl.SSLError) else ""
    if tls.files.certificate is None and ("CERTIFICATE_REQUIRED" in name or "HANDSHAKE_FAILURE" in name):
        return "show one: tls_certificate and tls_key (--cert and --key)"
    if "ALERT" in name and any(word in name for word in _OURS):
        return f"we show {tls.certificate}: check that the peer knows the authority of it"
    if "VERSION_NUMBER" in name or not name:
        return f"check that the peer talks TLS at this port, and takes what we show: {tls.certificate}"
    return "its log may say why"
