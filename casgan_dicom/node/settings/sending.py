"""Where results go, and how often that is tried."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from casgan_dicom.node.settings.units import MEBIBYTE

DestinationKind = Literal["dicom", "stow", "folder"]
FolderLayout = Literal["series", "flat"]
Readers = Literal["owner", "group", "all"]
WithdrawalTitle = Literal["113001", "113038"]


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
class RetrySettings:
    """How often a delivery is tried again; the time between doubles, with jitter."""

    first_seconds: float = 2.0
    """Before the second attempt."""
    longest_seconds: float = 300.0
    """At most, between two attempts."""
    give_up_seconds: float = 86400.0
    """After the first attempt; then the delivery is a dead letter, until `casgan-dicom node retry`."""


def place_of(destination: DestinationSettings) -> str:
    """Where a destination is, for a person."""
    if destination.kind == "dicom":
        return f"{destination.ae_title} at {destination.host}:{destination.port}"
    return destination.url or str(destination.folder)
