"""Everything that can be set about a node: frozen, and checked before anything starts.

The field names are the keys of the TOML file, so a file reads like this module::

    data = "/var/lib/casgan-dicom"

    [listener]
    host = "0.0.0.0"
    ae_title = "CASGAN"

    [[peers]]
    ae_title = "CATHLAB1"
    address = "10.1.2.3"

    [[destinations]]
    name = "pacs"
    host = "10.1.2.4"
    port = 104
    ae_title = "ORTHANC"

Lengths are bytes, times are seconds. The file is longer than others are: it is one list, to be looked up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from platformdirs import user_data_path

MEBIBYTE = 1024 * 1024

Priority = Literal["urgent", "routine", "batch"]
PRIORITIES: tuple[Priority, ...] = get_args(Priority)
"""How urgent a job is, the most urgent first."""

DestinationKind = Literal["dicom", "stow", "folder"]
ArchiveKind = Literal["dicom", "dicomweb"]
FolderLayout = Literal["series", "flat"]
Readers = Literal["owner", "group", "all"]
WithdrawalTitle = Literal["113001", "113038"]
Kind = Literal["image", "cine", "rotation", "stepping", "steady"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""What a run may be: a single frame, or several; what moves in it besides the heart, or that nothing does."""


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


@dataclass(frozen=True)
class CompletionSettings:
    """When a series counts as complete."""

    quiet_seconds: float = 30.0
    """After the last instance, if nothing in the headers tells the number."""
    short_seconds: float = 2.0
    """After the last instance, if every instance is a whole cine, or the expected number is there."""
    promised_seconds: float = 300.0
    """After the last instance, if fewer single frames came than the headers promise; not under the others."""
    cap_seconds: float = 900.0
    """After the first instance, whatever still comes: that becomes another revision."""


@dataclass(frozen=True)
class WorkerSettings:
    """What makes the frames."""

    bundle: str = "atlas"
    """Name of a shipped bundle, or folder of any."""
    devices: tuple[str, ...] = ("auto",)
    """One worker process for each: auto, cpu, cuda or cuda:N."""
    engine: str = "auto"
    """auto, torch or openvino."""
    mode: str = "invent"
    """invent: as the bundle draws; reference: the patient's own, of an earlier run (docs/reference.md)."""
    reference_seconds: float = 7200.0
    """How long a received run may lend its vessels to others of its study."""
    without_reference: str = "skip"
    """What becomes of a run for which there is none: skip, or invent."""
    batch_frames: int = 200
    """A series of more frames is batch: it gives way to others at the border of a batch of frames."""
    deaths: int = 3
    """Deaths of the worker at the same place of a series, without progress, after which it is quarantined."""


@dataclass(frozen=True)
class RetrySettings:
    """How often a delivery is tried again; the time between doubles, with jitter."""

    first_seconds: float = 2.0
    """Before the second attempt."""
    longest_seconds: float = 300.0
    """At most, between two attempts."""
    give_up_seconds: float = 86400.0
    """After the first attempt; then the delivery is a dead letter, until `casgan-dicom node retry`."""


@dataclass(frozen=True)
class RestartSettings:
    """How soon a process of the node that died is started again; the time doubles if it dies young."""

    first_seconds: float = 0.5
    """After the first death."""
    longest_seconds: float = 30.0
    """At most; also the age at which a process does not die young any more."""


@dataclass(frozen=True)
class RetentionSettings:
    """What is removed when it is not needed any more; as it is, nothing. 0 is for ever, or no limit."""

    delivered_seconds: float = 0.0
    """After the delivery of a series: its instances and what was made of them."""
    outbox_seconds: float = 0.0
    """After a conversion that goes to no destination: what lies in the outbox may be all there is."""
    ended_seconds: float = 0.0
    """After a series was skipped, kept by the rules or cancelled, or held nothing new."""
    quarantine_seconds: float = 0.0
    """After an instance came into quarantine."""
    high_bytes: int = 0
    """With more in spool and outbox, what was delivered goes before its time, the oldest first."""
    low_bytes: int = 0
    """Until no more than this is left there."""
    free_bytes: int = 0
    """With less free space on the disk, it goes too, until so much is free: before instances are refused."""


@dataclass(frozen=True)
class AuditSettings:
    """How much of the audit trail is kept: audit.log in the data folder."""

    max_bytes: int = 16 * MEBIBYTE
    """Length at which a new file is begun."""
    files: int = 20
    """Older files that are kept beside it."""


@dataclass(frozen=True)
class DestinationSettings:
    """Somewhere that results go to. Which of the keys there are, its kind says."""

    name: str
    """What jobs, logs and `node retry` call it: letters, digits, dash and underscore."""
    host: str = ""
    """Name or address (kind dicom)."""
    port: int = 0
    """TCP port (kind dicom)."""
    ae_title: str = ""
    """Its AE title (kind dicom)."""
    calling_ae_title: str = ""
    """What we call ourselves there; empty for the title of the listener (kind dicom)."""
    connect_seconds: float = 10.0
    """For the TCP connection, and again for the association (kinds dicom and stow)."""
    response_seconds: float = 60.0
    """For the response to one request, and for any pause in sending one (kinds dicom and stow)."""
    associations: int = 4
    """At a time, for a delivery of many objects; fewer if it lets no more in (kind dicom)."""
    commitment: bool = False
    """Ask it to commit what it has stored (storage commitment); the delivery is done when it has said so
    (kind dicom)."""
    commitment_seconds: float = 3600.0
    """For its report; then it is asked again (kind dicom)."""
    tls: bool = False
    """Whether to talk TLS, and nothing else; its certificate and name are checked (kind dicom)."""
    tls_authorities: str = ""
    """PEM file: the authorities that its certificate may come from. Empty: those of this system (kinds dicom
    and stow)."""
    tls_certificate: str = ""
    """PEM file: the certificate that we show there. Empty: that of `listener`, if there is one, for kind
    dicom; none for kind stow."""
    tls_key: str = ""
    """PEM file: the private key of it (kinds dicom and stow)."""
    tls_name: str = ""
    """Name that its certificate must hold; empty for `host` (kind dicom)."""
    kind: DestinationKind = "dicom"
    """dicom: C-STORE to an AE; stow: STOW-RS, over HTTP; folder: files."""
    url: str = ""
    """What objects are posted to, as https://pacs.example/dicom-web/studies (kind stow)."""
    user: str | None = None
    """Name to log in with (kind stow)."""
    password_file: Path | None = None
    """File whose first line is the password of `user`; read for each request (kind stow)."""
    password_variable: str = ""
    """Variable of the environment that holds the password of `user`, instead of a file (kind stow)."""
    token_file: Path | None = None
    """File whose first line is a bearer token, instead of a user; read for each request (kind stow)."""
    proxy: bool = False
    """Whether HTTPS_PROXY and the like of the environment hold here too (kind stow)."""
    request_instances: int = 32
    """Most objects in one request (kind stow)."""
    request_bytes: int = 256 * MEBIBYTE
    """Most bytes in one request; a longer object goes alone (kind stow)."""
    folder: Path | None = None
    """Where files go; it has to be there, and is never made (kind folder)."""
    layout: FolderLayout = "series"
    """series: <study uid>/<series uid>/<object uid>.dcm; flat: <object uid>.dcm (kind folder)."""
    readable_by: Readers = "owner"
    """Who may read the files: owner, group or all (kind folder)."""
    syntaxes: tuple[str, ...] = ()
    """Only these transfer syntaxes, by UID or keyword; empty for any (kinds dicom and stow)."""
    bytes_per_second: int = 0
    """At most so fast; 0 for as fast as it goes (kinds dicom and stow)."""
    hours: tuple[str, ...] = ()
    """Only then, as ["Mon-Fri 18:00-07:00", "Sat-Sun"]; empty for always."""
    zone: str = ""
    """Time zone of `hours`, as Europe/Berlin; empty for that of the machine."""
    withdraw: bool = False
    """Whether what a later revision supersedes is withdrawn there, by a note (kinds dicom and stow)."""
    withdraw_title: WithdrawalTitle = "113001"
    """Why, in the note: 113001, quality, or 113038, a wrong worklist entry (kinds dicom and stow)."""
    retry_first_seconds: float | None = None
    """Instead of `first_seconds` of `retry`."""
    retry_longest_seconds: float | None = None
    """Instead of `longest_seconds` of `retry`."""
    retry_give_up_seconds: float | None = None
    """Instead of `give_up_seconds` of `retry`; the time outside `hours` does not count."""


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
class RuleSettings:
    """What becomes of which series; the first rule that holds decides, of all conditions that it has."""

    name: str
    """What jobs and logs call it: letters, digits, dash and underscore."""
    calling_ae: tuple[str, ...] = ()
    """Condition: one of these AE titles sent the series; * stands for any characters."""
    called_ae: tuple[str, ...] = ()
    """Condition: one of these AE titles was called, likewise."""
    address: tuple[str, ...] = ()
    """Condition: the series came from one of these addresses, or networks as 10.1.0.0/16."""
    header: tuple[str, ...] = ()
    """Conditions on header values, all of which have to hold, as in "Modality = XA"."""
    kind: tuple[str, ...] = ()
    """Condition: one of image (a single frame), cine, rotation, stepping and steady (nothing moves)."""
    primary_angle: tuple[float, float] | None = None
    """Condition: primary angle of a positioner that stands still, from and to degrees; LAO is above 0."""
    secondary_angle: tuple[float, float] | None = None
    """Condition: its secondary angle likewise; cranial is above 0."""
    opacified: str = ""
    """Condition: yes (a frame shows opacified vessels for sure) or no (none does). Needs the pixels."""
    score_below: float | None = None
    """Condition: the out-of-domain score is less; from 1 a run is foreign. Needs the pixels."""
    score_from: float | None = None
    """Condition: the out-of-domain score is that or more. Needs the pixels."""
    convert: bool = True
    """Result: false keeps the series and converts nothing."""
    bundle: str = ""
    """Result: name of a shipped bundle, or folder of any; empty for that of `worker`."""
    mode: str = ""
    """Result: invent or reference; empty for that of `worker`."""
    bits: int = 8
    """Result: bits stored, 8, 12 or 16; sources of 8 bits give 8."""
    compression: str = "none"
    """Result: none, rle, jpegls or j2k; or jpeg with a quality, as jpeg90, which loses some."""
    frames: str = "all"
    """Result: all, non-contrast, or A-B counted from 1."""
    single_frame: bool = False
    """Result: each frame an object of its own."""
    maps: bool = False
    """Result: attention map and vessel mask too, as a second series."""
    seg: bool = False
    """Result: the vessel mask too, as DICOM Segmentation."""
    sr: bool = False
    """Result: the quality record too, as a structured report."""
    priority: str = ""
    """Result: urgent, routine or batch; empty: as without rules."""
    destinations: tuple[str, ...] | None = None
    """Result: names of destinations; absent: all of them; an empty list: the outbox only."""


@dataclass(frozen=True)
class NodeSettings:
    """A node."""

    data: Path = field(default_factory=lambda: user_data_path("casgan-dicom") / "node")
    """Folder of spool, outbox, quarantine and databases; local, not on a network file system."""
    listener: ListenerSettings = ListenerSettings()
    """Who may send here."""
    peers: tuple[PeerSettings, ...] = ()
    """Allow-list of senders; empty allows any AE title from loopback addresses, nobody else."""
    completion: CompletionSettings = CompletionSettings()
    """When a series counts as complete."""
    worker: WorkerSettings = WorkerSettings()
    """What makes the frames."""
    retry: RetrySettings = RetrySettings()
    """How often a delivery is tried again."""
    restart: RestartSettings = RestartSettings()
    """How soon a process that died is started again."""
    retention: RetentionSettings = RetentionSettings()
    """What is removed when it is not needed any more."""
    audit: AuditSettings = AuditSettings()
    """How much of the audit trail is kept."""
    destinations: tuple[DestinationSettings, ...] = ()
    """Where results go besides the outbox."""
    rules: tuple[RuleSettings, ...] = ()
    """What becomes of which series; without any, all of them are converted and go to all destinations."""
    archives: tuple[ArchiveSettings, ...] = ()
    """Where series are fetched from, by `casgan-dicom pull`."""
    pulls: tuple[PullSettings, ...] = ()
    """What the node fetches by itself."""
    inboxes: tuple[InboxSettings, ...] = ()
    """Folders that are watched."""
    web: WebSettings = WebSettings()
    """Who may send here over HTTP."""


def place_of(destination: DestinationSettings) -> str:
    """Where a destination is, for a person."""
    if destination.kind == "dicom":
        return f"{destination.ae_title} at {destination.host}:{destination.port}"
    return destination.url or str(destination.folder)


def places_of(peer: PeerSettings) -> tuple[str, ...]:
    """All addresses and networks that a peer may come from; none for this machine only."""
    return (*filter(None, [peer.address]), *peer.addresses)


def titles_of(listener: ListenerSettings) -> tuple[str, ...]:
    """All AE titles of ours."""
    return listener.ae_title, *listener.ae_titles
