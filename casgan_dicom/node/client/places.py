"""Other nodes as the settings describe them: destinations and archives have the same keys for that."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from casgan_dicom.node.certificates import TlsFiles
from casgan_dicom.node.client.login import Login
from casgan_dicom.node.client.peer import Peer
from casgan_dicom.node.client.peer_tls import PeerTls
from casgan_dicom.node.client.web import Web
from casgan_dicom.node.settings import ArchiveSettings, DestinationSettings
from casgan_dicom.node.tls import Renewed, client_context

Place = DestinationSettings | ArchiveSettings
"""Where objects go, or come from."""


def tls_at(place: Place, files: Mapping[str, TlsFiles]) -> PeerTls | None:
    """How to talk TLS to a place of kind dicom; None where that is done without.

    `files` are those of all places, by name. Raises ConfigError where they are no good.
    """
    if not place.tls:
        return None
    renewed = Renewed(files[place.name], client_context)
    return PeerTls(renewed.context, renewed.files, place.tls_name or place.host)


def peer_at(place: Place, ae_title: str, tls: PeerTls | None) -> Peer:
    """The peer that a place of kind dicom is; `ae_title` is ours, unless the place has another for us."""
    return Peer(
        host=place.host,
        port=place.port,
        ae_title=place.ae_title,
        calling_ae_title=place.calling_ae_title or ae_title,
        connect_seconds=place.connect_seconds,
        response_seconds=place.response_seconds,
        tls=tls,
    )


def web_at(place: Place) -> Web:
    """The server that a place is which is talked to over HTTP."""
    login = Login(
        user=place.user,
        password_file=place.password_file,
        password_variable=place.password_variable,
        token_file=place.token_file,
    )
    return Web(
        url=place.url,
        login=login,
        ca_file=_path(place.tls_authorities),
        certificate_file=_path(place.tls_certificate),
        key_file=_path(place.tls_key),
        proxy=place.proxy,
        connect_seconds=place.connect_seconds,
        response_seconds=place.response_seconds,
    )


def _path(text: str) -> Path | None:
    return Path(text).expanduser() if text else None
