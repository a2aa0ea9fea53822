"""The client against programs that are not ours: DCMTK's storescp and a stock Orthanc.

Both bind every address, so these tests run where Orthanc's do: in a network namespace of their own.
"""

from __future__ import annotations

import io
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import FileDataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from casgan_dicom.errors import PeerError, SeriesError
from casgan_dicom.node.client.peer import Peer
from casgan_dicom.node.client.results import StoreResult
from casgan_dicom.node.client.scu import echo, store
from tests.support.factories import moving_frames, uid, write_xa
from tests.support.orthanc import Orthanc, free_ports
from tests.support.programs import find_program

pytestmark = pytest.mark.orthanc

SYNTAXES = [
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    RLELossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    JPEG2000Lossless,
]


@pytest.fixture
def sent(tmp_path: Path) -> list[Path]:
    """One file in each transfer syntax, of different sizes."""
    return [
        write_xa(
            tmp_path / "sent" / syntax.keyword,
            moving_frames(3 + k),
            syntax=syntax,
            SOPInstanceUID=uid(syntax),
        )
        for k, syntax in enumerate(SYNTAXES)
    ]


@pytest.fixture
def stored_in(tmp_path: Path) -> Path:
    folder = tmp_path / "stored"
    folder.mkdir()
    return folder


@contextmanager
def storescp(folder: Path, *options: str) -> Iterator[Peer]:
    """DCMTK's storage server, which writes what it gets to `folder`."""
    (port,) = free_ports(1)
    peer = Peer("127.0.0.1", port, "STORESCP")
    command = [find_program("storescp", "dcmtk"), *options, "-od", str(folder), str(port)]
    with subprocess.Popen(command) as process:
        try:
            deadline = time.monotonic() + 20
            while not _answers(peer):
                assert process.poll() is None, "storescp has ended"
                assert time.monotonic() < deadline, "storescp does not answer"
                time.sleep(0.05)
            yield peer
        finally:
            process.terminate()


def _answers(peer: Peer) -> bool:
    try:
        echo(peer)
    except PeerError:
        return False
    return True


def assert_same_pixels(ours: Path, theirs: FileDataset) -> None:
    """Pixel Data (7FE0,0010) is the same bit for bit, in the same transfer syntax."""
    ds = dcmread(ours)
    assert theirs.file_meta.TransferSyntaxUID == ds.file_meta.TransferSyntaxUID
    assert theirs.PixelData == ds.PixelData


def test_storescp_stores_what_lies_on_our_disk(sent: list[Path], stored_in: Path) -> None:
    results: list[StoreResult] = []

    with storescp(stored_in, "--accept-all") as peer:
        store(peer, sent, results.append)

    assert [each.outcome for each in results] == ["stored"] * len(sent)
    found = {ds.SOPInstanceUID: ds for ds in map(dcmread, stored_in.iterdir())}
    assert len(found) == len(sent)
    for path, result in zip(sent, results, strict=True):
        assert_same_pixels(path, found[result.sop_instance_uid])


def test_storescp_gets_what_it_does_not_accept_in_a_syntax_that_it_does(
    sent: list[Path], stored_in: Path
) -> None:
    """By itself, storescp takes the uncompressed transfer syntaxes only (PS3.5 10.1)."""
    results: list[StoreResult] = []

    with storescp(stored_in) as peer:
        store(peer, sent, results.append)

    assert [each.outcome for each in results] == ["stored"] * len(sent)
    found = {ds.SOPInstanceUID: ds for ds in map(dcmread, stored_in.iterdir())}
    for path, result in zip(sent, results, strict=True):
        theirs, ours = found[result.sop_instance_uid], dcmread(path)
        assert not theirs.file_meta.TransferSyntaxUID.is_encapsulated
        np.testing.assert_array_equal(theirs.pixel_array, ours.pixel_array)


@pytest.mark.parametrize(
    ("option", "also"),
    [
        ("+xi", None),
        ("+xe", None),
        ("+xb", ExplicitVRBigEndian),
        ("+xy", JPEGBaseline8Bit),
        ("+xt", JPEGLSLossless),
        ("+xv", JPEG2000Lossless),
        ("+xr", RLELossless),
        ("+xd", DeflatedExplicitVRLittleEndian),
    ],
)
def test_storescp_gets_everything_whatever_it_prefers(
    sent: list[Path], stored_in: Path, option: str, also: UID | None
) -> None:
    """What it takes arrives as it is, all else with the same values in another encoding."""
    results: list[StoreResult] = []

    with storescp(stored_in, option) as peer:
        store(peer, sent, results.append)

    assert [each.outcome for each in results] == ["stored"] * len(sent)
    found = {ds.SOPInstanceUID: ds for ds in map(dcmread, stored_in.iterdir())}
    for path, result in zip(sent, results, strict=True):
        theirs, ours = found[result.sop_instance_uid], dcmread(path)
        np.testing.assert_array_equal(theirs.pixel_array, ours.pixel_array)
        if ours.file_meta.TransferSyntaxUID == also:
            assert_same_pixels(path, theirs)
        elif option == "+xi":
            assert theirs.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian


def test_only_the_transfer_syntaxes_that_are_allowed_are_offered(sent: list[Path], stored_in: Path) -> None:
    allowed = (JPEG2000Lossless, ImplicitVRLittleEndian)
    results: list[StoreResult] = []

    with storescp(stored_in, "--accept-all") as peer:
        store(peer, sent, results.append, syntaxes=allowed)

    assert [each.outcome for each in results] == ["stored"] * len(sent)
    for theirs in map(dcmread, stored_in.iterdir()):
        own = theirs.SOPInstanceUID == uid(JPEG2000Lossless)
        assert theirs.file_meta.TransferSyntaxUID == allowed[0 if own else 1]


def test_a_file_that_no_allowed_transfer_syntax_fits_is_an_error_of_the_file(
    sent: list[Path], stored_in: Path
) -> None:
    with storescp(stored_in) as peer, pytest.raises(SeriesError, match="syntaxes"):
        store(peer, sent, print, syntaxes=(JPEG2000Lossless,))
    assert list(stored_in.iterdir()) == []


def test_orthanc_stores_what_lies_on_our_disk(orthanc: Orthanc, sent: list[Path]) -> None:
    peer = Peer("127.0.0.1", orthanc.dicom_port, orthanc.aet)
    results: list[StoreResult] = []

    store(peer, sent, results.append)

    assert [each.outcome for each in results] == ["stored"] * len(sent)
    for path, result in zip(sent, results, strict=True):
        assert_same_pixels(path, dcmread(io.BytesIO(orthanc.file(result.sop_instance_uid))))


def test_orthanc_that_checks_who_calls_whom_names_the_field(tmp_path: Path) -> None:
    """It rejects a wrong called AE title, and aborts what an unknown calling one asks for."""
    settings = {
        "DicomCheckCalledAet": True,
        "DicomAlwaysAllowEcho": False,
        "DicomModalities": {"us": ["FRIEND", "127.0.0.1", 104]},
    }
    with Orthanc.stock(tmp_path, extra=settings) as orthanc:

        def ask(called: str, calling: str) -> float:
            return echo(Peer("127.0.0.1", orthanc.dicom_port, called, calling))

        with pytest.raises(PeerError, match="called AE title 'WRONG' is not known there"):
            ask("WRONG", "FRIEND")
        with pytest.raises(PeerError, match="aborted the association") as caught:
            ask("ORTHANC", "STRANGER")
        assert ask("ORTHANC", "FRIEND") > 0

    assert "AE title 'STRANGER'" in caught.value.hint
