"""Archives beside the ledger: what they hold of a series, by whatever way they can be asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from casgan_dicom.errors import PeerError
from casgan_dicom.node.client.folder import in_words
from casgan_dicom.node.client.places import Place, peer_at, tls_at, web_at
from casgan_dicom.node.client.query import Wanted, asking
from casgan_dicom.node.client.web_query import held_in_series
from casgan_dicom.node.client.web_session import opened
from casgan_dicom.node.credentials import files_of_archives, files_of_destinations
from casgan_dicom.node.settings import ArchiveSettings, DestinationSettings, NodeSettings
from casgan_dicom.node.state.evidence import Sent

Asking = Callable[[Sequence[Sent]], set[str]]
"""SOP Instance UIDs that are held of the series of these objects; raises PeerError."""
_STUDIES = "/studies"


@contextmanager
def open_archive(settings: NodeSettings, place: Place) -> Iterator[Asking]:
    """Ask a destination or an archive, for the time of a block. PeerError where it cannot be asked."""
    if isinstance(place, DestinationSettings) and place.folder is not None:
        yield _in_folder(place.folder, flat=place.layout == "flat")
    elif place.kind == "dicom":
        files = files_of_archives if isinstance(place, ArchiveSettings) else files_of_destinations
        peer = peer_at(place, settings.listener.ae_title, tls_at(place, files(settings)))
        with asking(peer) as ask:
            yield lambda sent: {each.sop_uid for each in ask(Wanted(sent[0].studies, (sent[0].series_uid,)))}
    else:
        with _over_the_web(place) as asked:
            yield asked


@contextmanager
def _over_the_web(place: Place) -> Iterator[Asking]:
    web = web_at(place)
    if isinstance(place, DestinationSettings):
        if not place.url.rstrip("/").endswith(_STUDIES):
            raise PeerError(f"{web} does not end with {_STUDIES}: nobody knows where to ask")
        web = web_at(_before_studies(place))
    with opened(web) as session:
        yield lambda sent: {
            uid
            for study in sent[0].studies
            for uid in held_in_series(web, session, study, sent[0].series_uid)
        }


def _before_studies(place: DestinationSettings) -> DestinationSettings:
    return replace(place, url=place.url.rstrip("/").removesuffix(_STUDIES))


def _in_folder(root: Path, *, flat: bool) -> Asking:
    """What lies in a folder that is a destination; a share that is away is no empty one."""

    def held(sent: Sequence[Sent]) -> set[str]:
        first = sent[0]
        try:
            root.stat()
            if flat:  # which holds all series together
                return {each.sop_uid for each in sent if (root / f"{each.sop_uid}.dcm").is_file()}
            return {
                path.stem
                for study in first.studies
                for path in (root / study / first.series_uid).glob("*.dcm")
            }
        except OSError as error:
            said, hint = in_words(error)
            raise PeerError(f"folder {root}: {said}", hint=hint) from error

    return held
