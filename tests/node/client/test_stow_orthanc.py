"""Store over the web into a real Orthanc with its DICOMweb plug-in."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGLSLossless, RLELossless

from casgan_dicom.errors import PeerError
from casgan_dicom.node.client.login import Login
from casgan_dicom.node.client.results import StoreResult
from casgan_dicom.node.client.stow import Stow
from casgan_dicom.node.client.web import Web
from tests.support.factories import moving_frames, uid, write_xa
from tests.support.orthanc import Orthanc, dicomweb

pytestmark = pytest.mark.orthanc


def archive(folder: Path, **extra: object) -> Orthanc:
    """Orthanc with DICOMweb."""
    return Orthanc.stock(folder / "orthanc", extra=dicomweb() | extra)


def told(pacs: Orthanc, files: list[Path], login: Login = Login()) -> list[StoreResult]:  # noqa: B008  # frozen
    """What becomes of files there."""
    results: list[StoreResult] = []
    web = Web(f"http://127.0.0.1:{pacs.http_port}/dicom-web/studies", login)
    Stow(web, most_instances=2, most_bytes=2**28).store(files, results.append)
    return results


def outcomes(results: list[StoreResult]) -> list[tuple[str, int | None]]:
    return [(each.outcome, each.status) for each in results]


def test_files_arrive_as_they_are(tmp_path: Path) -> None:
    syntaxes: Mapping[str, UID] = {
        "a": ExplicitVRLittleEndian,
        "b": ImplicitVRLittleEndian,
        "c": RLELossless,
        "d": JPEGLSLossless,
        "e": ExplicitVRLittleEndian,
    }
    files = [
        write_xa(tmp_path / name, moving_frames(3), syntax=syntax, SOPInstanceUID=uid(name))
        for name, syntax in syntaxes.items()
    ]
    with archive(tmp_path) as pacs:
        results = told(pacs, files)
        there = [dcmread(io.BytesIO(pacs.file(uid(name)))) for name in syntaxes]

    assert outcomes(results) == [("stored", 0)] * 5
    for ds, path in zip(there, files, strict=True):
        ours = dcmread(path)
        assert ds == ours
        assert ds.file_meta.TransferSyntaxUID == ours.file_meta.TransferSyntaxUID
        assert ds.PixelData == ours.PixelData


@pytest.mark.parametrize("overwrites", [False, True])
def test_what_is_there_already_counts_as_stored(tmp_path: Path, overwrites: bool) -> None:
    path = write_xa(tmp_path / "a", SOPInstanceUID=uid("a"))
    with archive(tmp_path, OverwriteInstances=overwrites) as pacs:
        results = [told(pacs, [path]) for _ in range(2)]
        assert pacs.statistics().instances == 1

    assert [outcomes(each) for each in results] == [[("stored", 0)]] * 2


def test_what_it_cannot_read_is_not_stored_and_its_neighbour_is(tmp_path: Path) -> None:
    good, bad = (write_xa(tmp_path / name, SOPInstanceUID=uid(name)) for name in ("good", "bad"))
    content, name = bad.read_bytes(), uid("bad").encode()
    bad.write_bytes(content[: content.rindex(name) + len(name) + 4])  # ends in the next element

    with archive(tmp_path) as pacs:
        results = told(pacs, [good, bad])
        assert pacs.statistics().instances == 1

    assert outcomes(results) == [("stored", 0), ("no-answer", None)]


def test_who_has_no_login_stores_nothing(tmp_path: Path) -> None:
    path = write_xa(tmp_path / "a", SOPInstanceUID=uid("a"))
    secret = tmp_path / "secret"
    secret.write_text("open sesame\n")
    pacs = archive(tmp_path, AuthenticationEnabled=True, RegisteredUsers={"ali": "open sesame"})
    pacs.user = ("ali", "open sesame")

    with pacs:
        with pytest.raises(PeerError, match="wants a login"):
            told(pacs, [path])
        assert outcomes(told(pacs, [path], Login("ali", secret))) == [("stored", 0)]
