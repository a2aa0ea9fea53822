"""Where objects go, whatever it is: each kind of destination has one method, and the sender knows no more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pydicom.uid import UID

from casgan_dicom.node.client.folder import Folder
from casgan_dicom.node.client.line import SocketOptions
from casgan_dicom.node.client.pace import Pace
from casgan_dicom.node.client.peer import Peer
from casgan_dicom.node.client.peer_tls import PeerTls
from casgan_dicom.node.client.places import peer_at, web_at
from casgan_dicom.node.client.results import StoreResult
from casgan_dicom.node.client.scu import store
from casgan_dicom.node.client.stow import Stow
from casgan_dicom.node.destination_rules import transfer_syntaxes
from casgan_dicom.node.settings import DestinationSettings


class Destination(Protocol):
    """Somewhere that files can be stored."""

    def store(self, files: Sequence[Path], on_result: Callable[[StoreResult], None]) -> None:
        """Store DICOM files; nothing happens if there are none.

        Parameters
        ----------
        files
            What to store.
        on_result
            Called for each file once it is known what became of it, before anything that comes after the
            answer, so that it can be written down. Never from two threads at once.

        Raises
        ------
        SeriesError
            A file cannot be sent.
        PeerError
            The other side is not there, or something about all files does not suit it: another attempt may
            help. What has no result was not sent.
        """
        ...


@dataclass(frozen=True)
class Archive:
    """A destination that takes C-STORE."""

    peer: Peer
    """Whom to call."""
    associations: int
    """At a time, at most."""
    options: SocketOptions
    """Of each connection."""
    syntaxes: tuple[UID, ...]
    """The only transfer syntaxes to offer; none for any."""

    def store(self, files: Sequence[Path], on_result: Callable[[StoreResult], None]) -> None:
        """Store files; see `Destination`."""
        store(
            self.peer,
            files,
            on_result,
            options=self.options,
            associations=self.associations,
            syntaxes=self.syntaxes,
        )


def destination_of(settings: DestinationSettings, ae_title: str, tls: PeerTls | None = None) -> Destination:
    """The destination that the settings describe.

    `ae_title` is ours, unless they have another; `tls` is how to talk TLS to it, if it is of kind dicom.
    """
    if settings.kind == "stow":
        return _stow(settings)
    if settings.kind == "folder":
        return _folder(settings)
    return _archive(settings, ae_title, tls)


def _archive(settings: DestinationSettings, ae_title: str, tls: PeerTls | None) -> Destination:
    peer = peer_at(settings, ae_title, tls)
    options = SocketOptions(pace=_pace(settings))
    return Archive(peer, settings.associations, options, _syntaxes(settings))


def _stow(settings: DestinationSettings) -> Destination:
    return Stow(
        web=web_at(settings),
        most_instances=settings.request_instances,
        most_bytes=settings.request_bytes,
        syntaxes=_syntaxes(settings),
        pace=_pace(settings),
    )


def _folder(settings: DestinationSettings) -> Destination:
    assert settings.folder is not None, "checks.py wants it of this kind"
    return Folder(settings.folder, settings.layout, settings.readable_by)


def _syntaxes(settings: DestinationSettings) -> tuple[UID, ...]:
    return tuple(map(UID, transfer_syntaxes(settings.syntaxes)))


def _pace(settings: DestinationSettings) -> Pace | None:
    return Pace(settings.bytes_per_second) if settings.bytes_per_second else None
