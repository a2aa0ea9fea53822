"""Which settings of one host among several make sense together. Pure; single values: ``values.py``."""

from __future__ import annotations

from collections.abc import Iterator

from casgan_dicom.node.addresses import as_address, is_loopback
from casgan_dicom.node.settings import HostSettings, NodeSettings

HostFault = tuple[str, tuple[str, ...]]
"""What is wrong (which key, what was found, what was wanted), and every key that the rule looked at."""
_ONLY_NAMED = ("roles", "share_port", "secret_file", "shared")


def host_faults(settings: NodeSettings) -> Iterator[HostFault]:
    """Everything that makes no sense together."""
    host = settings.host
    if not host.name:
        for key in _ONLY_NAMED:
            if getattr(host, key) != getattr(HostSettings(), key):
                wanted = "want a name for this host with it"
                yield f"host.name is '', {wanted}: host.{key} is set", ("host.name", f"host.{key}")
        return
    if not settings.state.database:
        keys = "state.database", "host.name"
        yield f"{keys[0]} is '', want a PostgreSQL database: several hosts share no file of SQLite", keys
    if not host.roles:
        yield "host.roles is (), want one at least", ("host.roles",)
    if host.share_port:
        yield from _of_share(host)
    yield from _of_tls(host)


def _of_share(host: HostSettings) -> Iterator[HostFault]:
    """What is to be where others fetch files: they are called to this very address, and hold patient data."""
    if not host.secret_file:
        wanted = "want a file with the secret that all hosts share"
        yield f"host.secret_file is not set, {wanted}", ("host.secret_file", "host.share_port")
    address = as_address(host.share_host)
    if address is not None and address.is_unspecified:
        wanted = "want the address at which the other hosts reach this one"
        yield f"host.share_host is {host.share_host!r}, {wanted}", ("host.share_host",)
    if not is_loopback(host.share_host) and not host.tls_certificate and not host.unencrypted:
        keys = "host.share_host", "host.tls_certificate", "host.unencrypted"
        wanted = f"a loopback address, or {keys[1]} with it, or {keys[2]} = true"
        yield f"{keys[0]} is {host.share_host!r}, want {wanted}", keys


def _of_tls(host: HostSettings) -> Iterator[HostFault]:
    certificate, key = "host.tls_certificate", "host.tls_key"
    if bool(host.tls_certificate) != bool(host.tls_key):
        there, missing = (certificate, key) if host.tls_certificate else (key, certificate)
        yield f"{missing} is '', want a file: {there} is set", (missing, there)
