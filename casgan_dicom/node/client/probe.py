"""What a peer takes from us: an association that stores, moves and asks nothing but an echo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.presentation import build_context

from casgan_dicom.errors import PeerError
from casgan_dicom.node.client.answers import Asked
from casgan_dicom.node.client.association import connected
from casgan_dicom.node.client.line import SocketOptions
from casgan_dicom.node.client.peer import Peer
from casgan_dicom.node.dimse import C_ECHO_RQ

VERIFICATION = UID("1.2.840.10008.1.1")
_SYNTAXES = (ImplicitVRLittleEndian, ExplicitVRLittleEndian)


@dataclass(frozen=True)
class Probed:
    """What a peer said."""

    echoed: bool
    """Whether it takes C-ECHO, and answered it well."""
    accepted: frozenset[str]
    """Those of the proposed SOP classes that it takes, in at least one of the plain transfer syntaxes."""


def probe(peer: Peer, classes: Sequence[UID]) -> Probed:
    """Associate for C-ECHO and `classes`, and echo. Raises PeerError where there is no association."""
    pairs = [(VERIFICATION, ImplicitVRLittleEndian), *((one, each) for one in classes for each in _SYNTAXES)]
    contexts = [build_context(*pair) for pair in pairs]
    with connected(peer, contexts, SocketOptions()) as connection:
        accepted = frozenset(str(one) for one, each in pairs if connection.context_for(one, each) is not None)
        if VERIFICATION not in accepted:
            return Probed(False, accepted)
        status = connection.request(Asked(1, C_ECHO_RQ), lambda association: association.send_c_echo(1))
        if status is None:
            raise connection.failure("it was asked for an echo")
        if status:
            raise PeerError(f"{peer} answered C-ECHO with status 0x{status:04X}", hint="its log may say why")
    return Probed(True, accepted - {VERIFICATION})
