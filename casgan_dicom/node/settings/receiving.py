"""Who and what comes in: the listener and its peers, HTTP, watched folders, and what is fetched."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from casgan_dicom.node.settings.units import MEBIBYTE

ArchiveKind = Literal["dicom", "dicomweb"]


@dataclass(frozen=True)
class ListenerSettings:
    """Who may send here, and how much of the machine they can take."""

    host: str = "127.0.0.1"
    """Address to listen on; anything but loopback also needs `peers`. Default: this machine only."""
    port: int = 11112
    """TCP port; 0 takes a free one."""
    ae_title: str = "CASGAN"
    """Our AE title; associations that call another are rejected."""
    ae_titles: tuple[str, ...] = ()
    """Further titles of ours on this port."""
    max_connections: int = 100
    """Live connections in all; two threads and some open files each."""
    max_connections_per_address: int = 25
    """Live connections from one address."""
    idle_seconds: float = 900.0
    """An association on which nothing comes for so long is ended: modalities keep one open between cines."""
    max_instance_bytes: int = 4096 * MEBIBYTE
    """A longer data set is answered 0xA700, and the association aborted."""
    min_free_bytes: int = 1024 * MEBIBYTE
    """Watermark: with less free space on the disk of the spool, instances are answered 0xA700."""
    tls_certificate: str = ""
    """PEM file: our certificate, and behind it those that lead to an authority. Empty: no TLS here."""
    tls_key: str = ""
    """PEM file: the private key of it, without a password."""
    tls_authorities: str = ""
    """PEM file: the authorities whose certificates are taken from peers."""
    tls_asks: bool = True
    """Whether a peer must show a certificate, or everybody who reaches the port may ask."""


@dataclass(frozen=True)
class PeerSettings:
    """Somebody who may send here."""

    ae_title: str
    """Calling AE title."""
    address: str = ""
    """Address that it may come from, or network as 10.1.0.0/16."""
    addresses: tuple[str, ...] = ()
    """Further ones. With none at all it may come from this machine only: an AE title proves nothing."""
    quiet_seconds: float | None = None
    """For series of this sender, instead of that of `completion`."""
    priority: str = ""
    """Of this sender's series: urgent, routine or batch. Empty: by `batch_frames` of `worker`."""
    called_ae_titles: tuple[str, ...] = ()
    """Which of our titles it may call; empty for all."""
    certificate_name: str = ""
    """What its certificate must say: DNS:ct1.example, URI:urn:ct1, IP:10.1.2.3 or CN:ct1. Empty: whatever it
    says."""
    certificate_sha256: str = ""
    """SHA-256 of its certificate, as `openssl x509 -fingerprint -sha256` tells. Empty: any."""
    max_associations: int = 0
    """At a time; 0 for as many as the listener takes."""
    max_bytes_per_second: int = 0
    """Over all of its associations; what comes faster has to wait. 0 for no limit."""
    max_instance_bytes: int = 0
    """As that of `listener`, for this sender; 0 for that one."""
    report_host: str = ""
    """Where to report on storage commitment that it asked for. Empty: only on its own association."""
    report_port: int = 104
    """TCP port for these."""
    expected_every_seconds: float | None = None
    """Once a series has come from this AE title, something is expected so often: after a longer silence it is
    away, see `notifications`. None: never."""


@dataclass(frozen=True)
class WebSettings:
    """Who may send here over HTTP (STOW-RS), and how much of the machine they can take."""

    host: str = "127.0.0.1"
    """Address to listen on; anything but loopback also needs `tokens_file`, and TLS. Default: this machine
    only."""
    port: int = 0
    """TCP port; 0 for none."""
    tls_certificate: str = ""
    """PEM file: our certificate, and behind it those that lead to an authority. Empty: HTTP without TLS."""
    tls_key: str = ""
    """PEM file: the private key of it, without a password."""
    tls_authorities: str = ""
    """PEM file: the authorities that a client must show a certificate of. Empty: nobody is asked for one."""
    unencrypted: bool = False
    """Whether to listen without TLS elsewhere than on loopback: anybody on the way can read what is sent."""
    tokens_file: str = ""
    """File with a line for each sender: its name, as AE titles are, a space and its bearer token. Read again
    when it changes. Empty: only this machine may send."""
    ae_title: str = "WEB"
    """What jobs and rules call a sender without a token."""
    max_connections: int = 100
    """Live connections in all."""
    max_connections_per_address: int = 25
    """Live connections from one address; behind a reverse proxy, all come from its address."""
    max_request_bytes: int = 16384 * MEBIBYTE
    """A longer request is answered 413; an instance may be as long as `max_instance_bytes` of `listener`."""
    idle_seconds: float = 60.0
    """A request of which nothing comes for so long is ended."""


@dataclass(frozen=True)
class InboxSettings:
    """A folder whose files are taken as if a modality had sent them, and deleted."""

    path: str
    """The folder; what is in folders below is taken, too."""
    ae_title: str = "FOLDER"
    """What jobs and rules call the sender of its files."""
    rest_seconds: float = 5.0
    """How long a file has to be the same before it is taken."""


@dataclass(frozen=True)
class ArchiveSettings:
    """An archive that series are fetched from."""

    name: str
    """What `casgan-dicom pull` calls it: letters, digits, dash and underscore."""
    host: str = ""
    """Name or address (kind dicom)."""
    port: int = 0
    """TCP port (kind dicom)."""
    ae_title: str = ""
    """Its AE title (kind dicom); what jobs and rules call it, empty for `name` (kind dicomweb)."""
    retrieve: str = "get"
    """get: over our own association (C-GET); move: it sends to our listener (C-MOVE), which it knows (kind
    dicom)."""
    calling_ae_title: str = ""
    """What we call ourselves there; empty for the title of the listener (kind dicom)."""
    connect_seconds: float = 10.0
    """For the TCP connection, and again for the association or TLS."""
    response_seconds: float = 300.0
    """For each response: an archive may fetch from tape."""
    tls: bool = False
    """Whether to talk TLS, and nothing else; its certificate and name are checked (kind dicom)."""
    tls_authorities: str = ""
    """PEM file: the authorities that its certificate may come from. Empty: those of this system."""
    tls_certificate: str = ""
    """PEM file: the certificate that we show there. Empty: that of `listener`, if there is one, for kind
    dicom; none for kind dicomweb."""
    tls_key: str = ""
    """PEM file: the private key of it."""
    tls_name: str = ""
    """Name that its certificate must hold; empty for `host` (kind dicom)."""
    kind: ArchiveKind = "dicom"
    """dicom: C-FIND with C-GET or C-MOVE; dicomweb: QIDO-RS and WADO-RS, over HTTP."""
    url: str = ""
    """What stands before /studies, as https://pacs.example/dicom-web (kind dicomweb)."""
    user: str | None = None
    """Name to log in with (kind dicomweb)."""
    password_file: Path | None = None
    """File whose first line is the password of `user`; read for each request (kind dicomweb)."""
    password_variable: str = ""
    """Variable of the environment that holds the password of `user`, instead of a file (kind dicomweb)."""
    token_file: Path | None = None
    """File whose first line is a bearer token, instead of a user; read for each request (kind dicomweb)."""
    proxy: bool = False
    """Whether HTTPS_PROXY and the like of the environment hold here too (kind dicomweb)."""


@dataclass(frozen=True)
class PullSettings:
    """A pull that the node starts by itself."""

    archive: str
    """Name of one of the archives."""
    days: int = 1
    """Studies of today, and of so many days before it, by Study Date."""
    modalities: tuple[str, ...] = ("XA", "RF")
    """Only series of these."""
    every_seconds: float = 3600.0
    """From the end of one pull to the beginning of the next."""


def places_of(peer: PeerSettings) -> tuple[str, ...]:
    """All addresses and networks that a peer may come from; none for this machine only."""
    return (*filter(None, [peer.address]), *peer.addresses)


def titles_of(listener: ListenerSettings) -> tuple[str, ...]:
    """All AE titles of ours."""
    return listener.ae_title, *listener.ae_titles
