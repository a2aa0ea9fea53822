"""Other DICOM nodes: are they there, do they know us, and do they take what they would get?

Nothing is stored or asked for there but an echo. What is wrong is told by the key that has to be changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pydicom.uid import (
    UID,
    ComprehensiveSRStorage,
    KeyObjectSelectionDocumentStorage,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
    generate_uid,
)

from casgan_dicom.errors import PeerError
from casgan_dicom.node.client.peer import Peer
from casgan_dicom.node.client.places import Place, peer_at, tls_at
from casgan_dicom.node.client.probe import probe
from casgan_dicom.node.client.query import STUDY_ROOT_FIND, Wanted, held_by
from casgan_dicom.node.client.retrieve import STUDY_ROOT_GET, STUDY_ROOT_MOVE
from casgan_dicom.node.commitment import PUSH_MODEL
from casgan_dicom.node.credentials import files_of_archives, files_of_destinations
from casgan_dicom.node.doctor.finding import Finding, fail, ok, warn
from casgan_dicom.node.settings import ArchiveSettings, DestinationSettings, NodeSettings

_WANTED: Mapping[str, str] = {
    "host": 'type its name or address, as host = "10.1.2.4"',
    "port": "type the port that it listens on, as port = 104 (TLS has another one, often 2762)",
    "ae_title": "type what it calls itself (Orthanc: DicomAet), letter for letter",
    "calling_ae_title": "enter this title and the address of this machine there (Orthanc: DicomModalities),"
    " or type one that it knows",
    "tls": "type tls = true if it talks TLS there, tls = false if it does not",
    "tls_name": "type the name that its certificate holds",
    "tls_authorities": "name the PEM file with the authority of its certificate",
    "tls_certificate": "name a PEM file with a certificate of ours whose authority it knows",
}
"""What to type, by the key that is wrong."""
_LET_IN = "let it take queries from '{}' (Orthanc: DicomModalities)"
_RETRIEVING = {STUDY_ROOT_GET: "get", STUDY_ROOT_MOVE: "move"}


def look_at_destination(settings: NodeSettings, number: int, seconds: float) -> Iterator[Finding]:
    """A destination of kind dicom, counted from 1."""
    place, at = settings.destinations[number - 1], f"destinations#{number}"
    classes = classes_for(settings, place)
    asked = _asked(settings, place, at, [*classes, UID(PUSH_MODEL)] if place.commitment else classes, seconds)
    if isinstance(asked, Finding):
        yield asked
        return
    yield asked.echo(at)
    for each in classes:
        if each not in asked.accepted:
            advice = "let it accept that SOP class, or ask for other objects in [[rules]]"
            yield fail(at, f"{asked.peer} does not accept {each.name}", advice)
    if place.commitment and PUSH_MODEL not in asked.accepted:
        yield fail(f"{at}.commitment", f"{asked.peer} knows no storage commitment", "type commitment = false")


def look_at_archive(settings: NodeSettings, number: int, seconds: float) -> Iterator[Finding]:
    """An archive of kind dicom, counted from 1."""
    place, at = settings.archives[number - 1], f"archives#{number}"
    asked = _asked(settings, place, at, [STUDY_ROOT_FIND, *_RETRIEVING], seconds)
    if isinstance(asked, Finding):
        yield asked
        return
    yield asked.echo(at)
    ours, ways = (
        asked.peer.calling_ae_title,
        [word for uid, word in _RETRIEVING.items() if uid in asked.accepted],
    )
    if STUDY_ROOT_FIND not in asked.accepted:
        yield fail(at, f"{asked.peer} takes no queries (C-FIND, Study Root) from us", _LET_IN.format(ours))
    else:
        yield from _of_query(at, asked.peer)
    if place.retrieve not in ways:
        told = f"'{place.retrieve}': {asked.peer} does not take C-{place.retrieve.upper()} from us"
        advice = (
            f'type retrieve = "{ways[0]}"' if ways else f"let it give to '{ours}' (Orthanc: DicomModalities)"
        )
        yield fail(f"{at}.retrieve", told, advice)


def _of_query(at: str, peer: Peer) -> Iterator[Finding]:
    """Whether it answers a query of ours: it may take the association, and then hang up."""
    try:
        held_by(peer, Wanted(studies=(generate_uid(prefix=None),)))  # which nobody has
    except PeerError as error:
        advice = f"{error.hint}; {_LET_IN.format(peer.calling_ae_title)}"
        yield fail(at, error.message, advice)


def look_at_sender(settings: NodeSettings, number: int, seconds: float) -> Iterator[Finding]:
    """Where a peer takes reports on storage commitment, counted from 1."""
    place, at = settings.peers[number - 1], f"peers#{number}"
    ours = settings.listener.ae_title
    peer = Peer(place.report_host, place.report_port, place.ae_title, ours, seconds, seconds)
    try:
        found = probe(peer, [UID(PUSH_MODEL)])
    except PeerError as error:
        key = {"host": "report_host", "port": "report_port"}.get(error.field, "")
        yield fail(f"{at}.{key}" if key else at, error.message, error.hint)
        return
    yield _Asked(peer, found.echoed, found.accepted).echo(at)


def classes_for(settings: NodeSettings, place: DestinationSettings) -> list[UID]:
    """SOP classes of everything that may go to a destination."""
    rules = [each for each in settings.rules if each.destinations is None or place.name in each.destinations]
    found = [] if rules and all(each.single_frame for each in rules) else [_PLAIN]
    wanted = {
        MultiFrameGrayscaleWordSecondaryCaptureImageStorage: any(each.bits > 8 for each in rules),
        SecondaryCaptureImageStorage: any(each.single_frame for each in rules),
        SegmentationStorage: any(each.seg for each in rules),
        ComprehensiveSRStorage: any(each.sr for each in rules),
        KeyObjectSelectionDocumentStorage: place.withdraw,
    }
    return [*found, *(UID(uid) for uid, is_wanted in wanted.items() if is_wanted)]


_PLAIN = UID(MultiFrameGrayscaleByteSecondaryCaptureImageStorage)
"""What is made where nobody asks for another form."""


def about_fault(at: str, place: Place, error: PeerError, wanted: Mapping[str, str]) -> Finding:
    """What went wrong with a place, by the key that is to be changed; `wanted` says what to type there."""
    if not error.field:
        return fail(at, error.message, error.hint)
    value = getattr(place, error.field, None)
    found = "not set" if value in (None, "") else repr(str(value) if not isinstance(value, int) else value)
    advice = wanted.get(error.field, "")
    return fail(
        f"{at}.{error.field}", f"{found}: {error.message}", "; ".join(filter(None, [advice, error.hint]))
    )


@dataclass(frozen=True)
class _Asked:
    """A peer that took an association."""

    peer: Peer
    """Who it is."""
    echoed: bool
    """As in `Probed`."""
    accepted: frozenset[str]
    """As in `Probed`."""

    def echo(self, at: str) -> Finding:
        """What came of C-ECHO."""
        if self.echoed:
            return ok(at, f"{self.peer} answers '{self.peer.calling_ae_title}'")
        return warn(at, f"{self.peer} takes no C-ECHO", "that alone is no fault; let it accept Verification")


def _asked(
    settings: NodeSettings, place: Place, at: str, classes: Sequence[UID], seconds: float
) -> _Asked | Finding:
    """Ask a place of kind dicom, and what is wrong with it where it does not answer."""
    files = files_of_archives if isinstance(place, ArchiveSettings) else files_of_destinations
    shorter = replace(
        place,
        connect_seconds=min(place.connect_seconds, seconds),
        response_seconds=min(place.response_seconds, seconds),
    )
    peer = peer_at(shorter, settings.listener.ae_title, tls_at(place, files(settings)))
    try:
        found = probe(peer, classes)
    except PeerError as error:
        return about_fault(at, place, error, _WANTED)
    return _Asked(peer, found.echoed, found.accepted)
