"""Which settings of who may come in, and of TLS, make sense together. Pure; single values: ``values.py``."""

from __future__ import annotations

from collections.abc import Iterator

from casgan_dicom.node.settings import (
    DestinationSettings,
    ListenerSettings,
    NodeSettings,
    PeerSettings,
    titles_of,
)

AccessFault = tuple[str, tuple[str, ...]]
"""What is wrong (which key, what was found, what was wanted), and every key that the rule looked at."""


def access_faults(settings: NodeSettings) -> Iterator[AccessFault]:
    """Everything that makes no sense together."""
    listener = settings.listener
    yield from _of_titles(listener)
    yield from _pair("listener", listener.tls_certificate, listener.tls_key)
    yield from _of_listener(listener)
    for number, peer in enumerate(settings.peers, 1):
        yield from _of_peer(f"peers#{number}", peer, listener)
    for number, destination in enumerate(settings.destinations, 1):
        yield from _of_destination(f"destinations#{number}", destination)


def _of_titles(listener: ListenerSettings) -> Iterator[AccessFault]:
    titles = titles_of(listener)
    if len(set(titles)) < len(titles):
        keys = "listener.ae_titles", "listener.ae_title"
        yield f"{keys[0]} is {listener.ae_titles!r}, want each title once, that of {keys[1]} included", keys


def _pair(at: str, certificate: str, key: str) -> Iterator[AccessFault]:
    """A certificate is of no use without its key."""
    names = f"{at}.tls_certificate", f"{at}.tls_key"
    if bool(certificate) != bool(key):
        set_, missing = names if certificate else reversed(names)
        yield f"{missing} is '', want a file: {set_} is set", (missing, set_)


def _of_listener(listener: ListenerSettings) -> Iterator[AccessFault]:
    certificate, authorities = "listener.tls_certificate", "listener.tls_authorities"
    if not listener.tls_certificate:
        if listener.tls_authorities:
            yield f"{certificate} is '', want a file: {authorities} is set", (certificate, authorities)
    elif listener.tls_asks and not listener.tls_authorities:
        wanted = "the file of the authorities that peers' certificates come from, or tls_asks = false"
        yield f"{authorities} is '', want {wanted}", (authorities, certificate, "listener.tls_asks")


def _of_peer(at: str, peer: PeerSettings, listener: ListenerSettings) -> Iterator[AccessFault]:
    if strangers := set(peer.called_ae_titles) - set(titles_of(listener)):
        keys = f"{at}.called_ae_titles", "listener.ae_titles", "listener.ae_title"
        found = ", ".join(sorted(strangers))
        yield f"{keys[0]} names {found}, want titles of {keys[2]} and {keys[1]} only", keys
    asks = bool(listener.tls_certificate) and listener.tls_asks
    for name in ("certificate_name", "certificate_sha256"):
        if getattr(peer, name) and not asks:
            keys = f"{at}.{name}", "listener.tls_certificate", "listener.tls_asks"
            wanted = f"{keys[1]} with {keys[2]} = true: nobody is asked for a certificate"
            yield f"{keys[0]} is set, want {wanted}", keys
    for name, most in (
        ("max_associations", listener.max_connections),
        ("max_instance_bytes", listener.max_instance_bytes),
    ):
        of_all = f"listener.{name.replace('associations', 'connections')}"
        if getattr(peer, name) > most:
            keys = f"{at}.{name}", of_all, of_all
            yield f"{keys[0]} is {getattr(peer, name)}, want at most {of_all} ({most})", keys


def _of_destination(at: str, destination: DestinationSettings) -> Iterator[AccessFault]:
    yield from _pair(at, destination.tls_certificate, destination.tls_key)
    for name in ("tls_authorities", "tls_certificate", "tls_name"):
        if destination.kind == "dicom" and getattr(destination, name) and not destination.tls:
            yield f"{at}.{name} is set, want tls = true with it", (f"{at}.{name}", f"{at}.tls")
