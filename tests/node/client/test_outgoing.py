"""Files are judged before a connection is made, and what cannot be sent is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import FileDataset
from pydicom.filereader import read_partial
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    MediaStorageDirectoryStorage,
    RLELossless,
    XRayAngiographicImageStorage,
)

from casgan_dicom.errors import SeriesError
from casgan_dicom.node.client.outgoing import is_instance, read_outgoing
from tests.support.changed_bytes import change_bytes
from tests.support.factories import uid, write_xa

SYNTAXES = [
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    RLELossless,
    JPEG2000Lossless,
]


def rewritten(path: Path, change: Callable[[FileDataset], object]) -> Path:
    """The file again, after `change`; file meta and data set may then contradict each other."""
    ds = dcmread(path)
    change(ds)
    ds.save_as(path, enforce_file_format=False)
    return path


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.keyword)
def test_a_file_is_known_by_its_uids_and_its_own_transfer_syntax(tmp_path: Path, syntax: UID) -> None:
    path = write_xa(tmp_path / "a", syntax=syntax)

    (found,) = read_outgoing([path])

    assert found.path == path
    assert found.sop_class_uid == XRayAngiographicImageStorage
    assert found.sop_instance_uid == uid("instance")
    assert found.transfer_syntax == syntax
    assert is_instance(path)


def test_order_is_that_of_the_paths(tmp_path: Path) -> None:
    paths = [write_xa(tmp_path / name, SOPInstanceUID=uid(name)) for name in "bca"]

    assert [each.path for each in read_outgoing(paths)] == paths


def test_every_file_that_cannot_be_sent_is_named_at_once(tmp_path: Path) -> None:
    good, text = write_xa(tmp_path / "good"), tmp_path / "text"
    text.write_text("no image")

    with pytest.raises(SeriesError) as caught:
        read_outgoing([good, text, tmp_path / "absent", tmp_path])

    assert caught.value.message.split("; ") == [
        f"{text}: no DICOM file",
        f"{tmp_path / 'absent'}: cannot be read (No such file or directory)",
        f"{tmp_path}: cannot be read (Is a directory)",
    ]


def _other_instance(ds: FileDataset) -> None:
    ds.file_meta.MediaStorageSOPInstanceUID = UID(uid("another"))


def _no_syntax(ds: FileDataset) -> None:
    del ds.file_meta.TransferSyntaxUID


def _no_class(ds: FileDataset) -> None:
    del ds.SOPClassUID


def _directory(ds: FileDataset) -> None:
    ds.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            _other_instance,
            "SOP Instance UID (0008,0018) is not that of the file meta information (0002,xxxx)",
        ),
        (_no_syntax, "Transfer Syntax UID (0002,0010) is absent or no UID"),
        (_no_class, "SOP Class UID (0008,0016) is absent or no UID"),
        (_directory, "is a DICOMDIR"),
    ],
)
def test_a_file_that_a_peer_could_not_file_is_refused(
    tmp_path: Path, change: Callable[[FileDataset], object], reason: str
) -> None:
    path = rewritten(write_xa(tmp_path / "a"), change)

    with pytest.raises(SeriesError) as caught:
        read_outgoing([path])

    assert caught.value.message == f"{path}: {reason}"


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_a_uid_that_is_none_is_not_repeated(tmp_path: Path) -> None:
    path = write_xa(tmp_path / "a")
    told = uid("instance").encode()
    path.write_bytes(path.read_bytes().replace(told, b"Name^of^somebody".ljust(len(told))))

    with pytest.raises(SeriesError) as caught:
        read_outgoing([path])

    assert caught.value.message == f"{path}: SOP Instance UID (0008,0018) is absent or no UID"


def test_damaged_file_is_refused_without_a_word_of_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(write_xa(tmp_path / "whole").read_bytes()[:140])

    with pytest.raises(SeriesError) as caught:
        read_outgoing([path])

    assert caught.value.message.startswith(f"{path}: ")


def test_neither_text_nor_a_dicomdir_is_an_instance(tmp_path: Path) -> None:
    text, directory = tmp_path / "text", rewritten(write_xa(tmp_path / "dir"), _directory)
    text.write_text("no image")

    assert not is_instance(text)
    assert not is_instance(directory)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, RLELossless])
@pytest.mark.filterwarnings("ignore")
@given(data=st.data())
def test_what_is_read_without_the_parser_is_what_the_parser_reads(
    tmp_path_factory: pytest.TempPathFactory, syntax: UID, data: st.DataObject
) -> None:
    made, path = (tmp_path_factory.getbasetemp() / f"{name} {syntax.keyword}" for name in ("made", "changed"))
    content = bytearray((made if made.exists() else write_xa(made, syntax=syntax)).read_bytes())
    change_bytes(data, content, 132, 700)
    path.write_bytes(content)

    try:
        (found,) = read_outgoing([path])
    except SeriesError:
        return

    with path.open("rb") as file:
        ds = read_partial(file, stop_when=lambda tag, _vr, _length: tag > 0x00080018)
    assert found.transfer_syntax == ds.file_meta.TransferSyntaxUID
    assert found.sop_class_uid == ds.SOPClassUID == ds.file_meta.MediaStorageSOPClassUID
    assert found.sop_instance_uid == ds.SOPInstanceUID == ds.file_meta.MediaStorageSOPInstanceUID
