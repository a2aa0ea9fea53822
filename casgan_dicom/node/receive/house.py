"""What the connections of a listener share: who may come in, where data sets go, and what is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from casgan_dicom.node.receive.commands import Answer
from casgan_dicom.node.receive.complaints import Complaints
from casgan_dicom.node.receive.connections import Connections
from casgan_dicom.node.receive.peer_socket import Limits
from casgan_dicom.node.receive.spool import Intake, Opening


@dataclass(frozen=True)
class House:
    """What connections are let into."""

    admit: Callable[[str, str, str], int]
    """Calling AE title, called AE title, address; returns 0, or the reason of a rejection (PS3.8 9.3.4)."""
    begin: Callable[[Opening], Intake]
    """Opens a file for a data set; must not raise."""
    take: Callable[[Intake, str], Answer]
    """Answers for a data set that came from this address; must not raise."""
    connections: Connections
    """Who is connected."""
    limits: Limits
    """How long and how large things may be."""
    complaints: Complaints = field(default_factory=Complaints)
    """Tells what was wrong with what peers did."""
