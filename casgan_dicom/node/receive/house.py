"""What the connections of a listener share: who may come in, where data sets go, and what is told."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from casgan_dicom.node.door.complaints import Complaints
from casgan_dicom.node.door.connections import Connections
from casgan_dicom.node.door.refusals import Refusal, Refusals
from casgan_dicom.node.receive.admission import Caller, Rejection
from casgan_dicom.node.receive.commands import Answer
from casgan_dicom.node.receive.correspondence import Correspondence
from casgan_dicom.node.receive.pace import Pace
from casgan_dicom.node.receive.peer_socket import Limits
from casgan_dicom.node.receive.spool import Intake, Opening
from casgan_dicom.node.settings import PeerSettings


@dataclass(frozen=True)
class House:
    """What connections are let into."""

    admit: Callable[[Caller], PeerSettings | Rejection]
    """Who somebody is, or why it is not let in."""
    begin: Callable[[Opening], Intake]
    """Opens a file for a data set; must not raise."""
    take: Callable[[Intake, str], Answer]
    """Answers for a data set that came from this address; must not raise."""
    correspondence: Correspondence
    """Answers for what is said about storage commitment."""
    connections: Connections
    """Who is connected."""
    limits: Limits
    """How long and how large things may be."""
    tls: Callable[[], ssl.SSLContext] | None = None
    """How to talk TLS at the moment; None for not at all."""
    paces: Mapping[PeerSettings, Pace] = field(default_factory=dict)
    """How fast those may send who may not send as fast as they can."""
    on_refusal: Callable[[Refusal], None] = lambda _refusal: None
    """Told of those that are not let in, as far as the log is."""
    complaints: Complaints = field(default_factory=Complaints)
    """Tells what was wrong with what peers did."""

    @cached_property
    def refusals(self) -> Refusals:
        """Counts who was not let in."""
        return Refusals(self.complaints, self.on_refusal)
