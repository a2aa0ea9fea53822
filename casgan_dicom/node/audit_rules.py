"""Which settings of the audit trail make sense together. Pure; single values: ``values.py``."""

from __future__ import annotations

from collections.abc import Iterator

from casgan_dicom.node.addresses import is_loopback
from casgan_dicom.node.settings import AuditSettings

AuditFault = tuple[str, tuple[str, ...]]
"""What is wrong (which key, what was found, what was wanted), and every key that the rule looked at."""
_OF_TLS = ("tls_authorities", "tls_certificate", "tls_key", "tls_name")


def audit_faults(audit: AuditSettings) -> Iterator[AuditFault]:
    """Everything that makes no sense together."""
    certificate, key = "audit.tls_certificate", "audit.tls_key"
    if bool(audit.tls_certificate) != bool(audit.tls_key):
        there, missing = (certificate, key) if audit.tls_certificate else (key, certificate)
        yield f"{missing} is '', want a file: {there} is set", (missing, there)
    if audit.patients and audit.host and audit.transport != "tls" and not is_loopback(audit.host):
        keys = "audit.patients", "audit.transport"
        found = f"{keys[0]} is true and {keys[1]} is {audit.transport!r}"
        yield f"{found}, want tls: anybody could read it", keys
    for name in _OF_TLS:
        if getattr(audit, name) and not audit.host:
            yield f"audit.{name} is set, want audit.host with it", (f"audit.{name}", "audit.host")
        elif getattr(audit, name) and audit.transport != "tls":
            keys = f"audit.{name}", "audit.transport"
            yield f'{keys[0]} is set, want {keys[1]} = "tls" with it, not {audit.transport!r}', keys
