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

Lengths are bytes, times are seconds. The tables lie in the files of this folder, by what they are about.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from platformdirs import user_data_path

from casgan_dicom.node.settings.converting import (
    KINDS,
    PRIORITIES,
    CompletionSettings,
    Kind,
    Priority,
    RuleSettings,
    WorkerSettings,
)
from casgan_dicom.node.settings.hosts import (
    HostSettings,
    place_at,
)
from casgan_dicom.node.settings.keeping import (
    AuditSettings,
    RetentionSettings,
)
from casgan_dicom.node.settings.receiving import (
    ArchiveKind,
    ArchiveSettings,
    InboxSettings,
    ListenerSettings,
    PeerSettings,
    PullSettings,
    WebSettings,
    places_of,
    titles_of,
)
from casgan_dicom.node.settings.reviewing import ReviewSettings
from casgan_dicom.node.settings.running import (
    RestartSettings,
)
from casgan_dicom.node.settings.sending import (
    DestinationKind,
    DestinationSettings,
    FolderLayout,
    Readers,
    RetrySettings,
    WithdrawalTitle,
    place_of,
)
from casgan_dicom.node.settings.state import StateSettings
from casgan_dicom.node.settings.telling import (
    TOLD,
    Event,
    NotificationKind,
    NotificationSettings,
)
from casgan_dicom.node.settings.units import MEBIBYTE
from casgan_dicom.node.settings.watching import PageSettings

__all__ = [
    "KINDS",
    "MEBIBYTE",
    "PRIORITIES",
    "TOLD",
    "ArchiveKind",
    "ArchiveSettings",
    "AuditSettings",
    "CompletionSettings",
    "DestinationKind",
    "DestinationSettings",
    "Event",
    "FolderLayout",
    "HostSettings",
    "InboxSettings",
    "Kind",
    "ListenerSettings",
    "NodeSettings",
    "NotificationKind",
    "NotificationSettings",
    "PageSettings",
    "PeerSettings",
    "Priority",
    "PullSettings",
    "Readers",
    "RestartSettings",
    "RetentionSettings",
    "RetrySettings",
    "ReviewSettings",
    "RuleSettings",
    "StateSettings",
    "WebSettings",
    "WithdrawalTitle",
    "WorkerSettings",
    "place_at",
    "place_of",
    "places_of",
    "titles_of",
]


@dataclass(frozen=True)
class NodeSettings:
    """A node."""

    data: Path = field(default_factory=lambda: user_data_path("casgan-dicom") / "node")
    """Folder of spool, outbox, quarantine and databases; local, not on a network file system."""
    listener: ListenerSettings = field(default_factory=ListenerSettings)
    """Who may send here."""
    peers: tuple[PeerSettings, ...] = ()
    """Allow-list of senders; empty allows any AE title from loopback addresses, nobody else."""
    completion: CompletionSettings = field(default_factory=CompletionSettings)
    """When a series counts as complete."""
    worker: WorkerSettings = field(default_factory=WorkerSettings)
    """What makes the frames."""
    retry: RetrySettings = field(default_factory=RetrySettings)
    """How often a delivery is tried again."""
    restart: RestartSettings = field(default_factory=RestartSettings)
    """How soon a process that died is started again."""
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    """What is removed when it is not needed any more."""
    audit: AuditSettings = field(default_factory=AuditSettings)
    """The audit trail: how much of it is kept, and where it is sent."""
    review: ReviewSettings = field(default_factory=ReviewSettings)
    """What becomes of a verdict."""
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
    web: WebSettings = field(default_factory=WebSettings)
    """Who may send here over HTTP."""
    page: PageSettings = field(default_factory=PageSettings)
    """Who may look at the node, and what they may do."""
    state: StateSettings = field(default_factory=StateSettings)
    """Where the node keeps its books."""
    notifications: tuple[NotificationSettings, ...] = ()
    """Who is told when something is wrong."""
    host: HostSettings = field(default_factory=HostSettings)
    """This host, where several share one database."""
