"""TLS with a real Orthanc: it takes what we send, and we take what it sends; neither takes strangers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from casgan_dicom.errors import PeerError
from casgan_dicom.node.certificates import NamedFile, TlsFiles
from casgan_dicom.node.client.peer import Peer
from casgan_dicom.node.client.peer_tls import PeerTls
from casgan_dicom.node.client.results import StoreResult
from casgan_dicom.node.client.scu import echo, store
from casgan_dicom.node.settings import PeerSettings
from casgan_dicom.node.tls import client_context
from tests.node.listening import check_spool, listening
from tests.node.secure import Authority, Pair, listener_keys
from tests.support.factories import moving_frames, uid, write_xa
from tests.support.orthanc import Orthanc, free_ports

pytestmark = pytest.mark.orthanc


@pytest.fixture
def archive(authority: Authority, tmp_path: Path) -> Pair:
    """What Orthanc shows."""
    return authority.issue("archive", uris=["urn:archive"])


@pytest.fixture
def ours(tmp_path: Path) -> int:
    """Where we shall listen."""
    (port,) = free_ports(1)
    return port


@pytest.fixture
def secure_orthanc(tmp_path: Path, authority: Authority, archive: Pair, ours: int) -> Iterator[Orthanc]:
    """An Orthanc that talks TLS both ways."""
    here = {"AET": "CASGAN", "Host": "localhost", "Port": ours, "UseDicomTls": True}
    extra = {
        "DicomTlsEnabled": True,
        "DicomTlsRemoteCertificateRequired": True,
        "DicomTlsCertificate": str(archive.certificate),
        "DicomTlsPrivateKey": str(archive.key),
        "DicomTlsTrustedCertificates": str(authority.certificate),
        "DicomModalities": {"casgan": here},
        "DicomAlwaysAllowStore": True,
        "DicomCheckCalledAet": True,
    }
    with Orthanc.stock(tmp_path / "orthanc", extra=extra) as pacs:
        yield pacs


def calling(pacs: Orthanc, authority: Authority, pair: Pair | None) -> Peer:
    files = TlsFiles(
        None if pair is None else NamedFile("--cert", pair.certificate),
        None if pair is None else NamedFile("--key", pair.key),
        NamedFile("--ca", authority.certificate),
    )
    tls = PeerTls(lambda: client_context(files), files, "localhost")
    return Peer("127.0.0.1", pacs.dicom_port, pacs.aet, "CASGAN", 5.0, 20.0, tls)


def test_orthanc_takes_what_we_send_by_tls(
    secure_orthanc: Orthanc, authority: Authority, modality: Pair, folder: Path
) -> None:
    frames, series = moving_frames(3, 300, 300), uid("series")
    files = [
        write_xa(folder / name, frames, SOPInstanceUID=uid(name), SeriesInstanceUID=series)
        for name in map(str, range(12))
    ]
    results = list[StoreResult]()

    assert echo(calling(secure_orthanc, authority, modality)) < 30
    store(calling(secure_orthanc, authority, modality), files, results.append)

    assert {result.outcome for result in results} == {"stored"}
    assert len(secure_orthanc.instances(series)) == 12


def test_orthanc_does_not_take_us_without_a_certificate_or_without_tls(
    secure_orthanc: Orthanc, authority: Authority
) -> None:
    with pytest.raises(PeerError, match="no TLS"):
        echo(calling(secure_orthanc, authority, None))
    with pytest.raises(PeerError):
        echo(Peer("127.0.0.1", secure_orthanc.dicom_port, secure_orthanc.aet, "CASGAN", 5.0, 5.0))


def test_we_take_what_orthanc_sends_by_tls(
    secure_orthanc: Orthanc,
    authority: Authority,
    node: Pair,
    folder: Path,
    tmp_path: Path,
    ours: int,
) -> None:
    secure_orthanc.add(write_xa(folder / "x", moving_frames(3, 300, 300), SeriesInstanceUID=uid("sent")))
    series = secure_orthanc.find("Series", uid("sent"))
    order = json.dumps({"Resources": [series], "Synchronous": True}).encode()
    keys = listener_keys(authority, node) | {"port": ours}

    bound = PeerSettings("ORTHANC", "127.0.0.1", certificate_name="URI:urn:archive")
    with listening(tmp_path / "data", peers=(bound,), **keys) as running:
        secure_orthanc.request("POST", "/modalities/casgan/store", order)
        assert check_spool(running.layout) == 1

    other = PeerSettings("ORTHANC", "127.0.0.1", certificate_name="URI:urn:another")
    with (
        listening(tmp_path / "data", peers=(other,), **keys) as running,
        pytest.raises(OSError, match="HTTP Error"),
    ):
        secure_orthanc.request("POST", "/modalities/casgan/store", order)
    assert {row["reason"] for row in running.rows("rejections")} == {"certificate"}
