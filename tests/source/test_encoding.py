"""A data set in another encoding than its Transfer Syntax UID names: header and pixels are read alike."""

from __future__ import annotations

import zlib
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from casgan_dicom.conversion.inspection import inspect
from casgan_dicom.errors import CasganError
from casgan_dicom.pixels.decode import iter_frames
from casgan_dicom.pixels.layout import layout_notes
from casgan_dicom.source.encoding import encoding_of
from casgan_dicom.source.series import find_series
from tests.support.factories import Frames, moving_frames, write_xa
from tests.support.renamed import parts, renamed

NATIVE = [
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
]
RUN_12 = moving_frames(3, bits=12)


def read(path: Path) -> tuple[Dataset, Frames, tuple[str, ...]]:
    (cine,) = find_series([path]).cines
    return cine.header, np.stack(list(iter_frames(cine))), (*cine.notes, *layout_notes(cine))


@pytest.mark.parametrize(("written", "named"), [*permutations(NATIVE, 2)], ids=lambda uid: uid.keyword)
@pytest.mark.parametrize("bits", [8, 12])
def test_a_data_set_is_read_as_it_is_written(tmp_path: Path, written: UID, named: UID, bits: int) -> None:
    run = RUN_12 if bits == 12 else moving_frames(3)
    name = {"PatientName": "Müller^Jörg", "SpecificCharacterSet": "ISO_IR 100", "BitsStored": bits}
    path = renamed(tmp_path / "run", run, written, named, **name)

    header, frames, notes = read(path)

    np.testing.assert_array_equal(frames, run)
    assert (str(header.PatientName), header.FrameTime) == ("Müller^Jörg", 66.667)
    assert notes == (
        f"TransferSyntaxUID (0002,0010) is '{named.name}', the data set is in '{written.name}': "
        "read as it is",
    )
    (cine,) = inspect([path]).cines
    assert (cine.converted, cine.stored.transfer_syntaxes) == (True, (written.name,))


@pytest.mark.parametrize(
    "syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless], ids=lambda uid: uid.keyword
)
def test_encapsulated_frames_in_a_data_set_of_implicit_vr_are_read(tmp_path: Path, syntax: UID) -> None:
    path = write_xa(tmp_path / "run", RUN_12, syntax=syntax, BitsStored=12)
    meta, _ = parts(path)
    ds = dcmread(path)
    ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    del ds.PixelData
    _, header = parts_of(ds, tmp_path / "header")
    value = parts(path)[1].partition(b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff")[2]
    path.write_bytes(meta + header + b"\xe0\x7f\x10\x00\xff\xff\xff\xff" + value)

    _, frames, notes = read(path)

    np.testing.assert_array_equal(frames, RUN_12)
    assert notes == (
        f"TransferSyntaxUID (0002,0010) is '{syntax.name}', the data set is in 'Implicit VR Little Endian': "
        "read as it is",
    )


def parts_of(ds: Dataset, path: Path) -> tuple[bytes, bytes]:
    ds.save_as(path, implicit_vr=True, little_endian=True)
    found = parts(path)
    path.unlink()
    return found


@pytest.mark.parametrize("syntax", [*NATIVE, RLELossless], ids=lambda uid: uid.keyword)
def test_what_is_written_as_it_is_named_is_not_spoken_of(tmp_path: Path, syntax: UID) -> None:
    path = write_xa(tmp_path / "run", RUN_12, syntax=syntax, BitsStored=12)

    with path.open("rb") as file:
        encoding = encoding_of(file)

    assert (encoding.found, encoding.note) == (syntax, "")


@pytest.mark.parametrize("written", NATIVE, ids=lambda uid: uid.keyword)
def test_a_data_set_without_a_named_syntax_is_read_as_it_is_written(tmp_path: Path, written: UID) -> None:
    path = write_xa(tmp_path / "run", RUN_12, syntax=written, BitsStored=12)
    meta, data = parts(path)
    at = meta.index(b"\x02\x00\x10\x00UI")
    end = at + 8 + int.from_bytes(meta[at + 6 : at + 8], "little")
    path.write_bytes(meta[:at] + meta[end:] + data)

    _, frames, notes = read(path)

    np.testing.assert_array_equal(frames, RUN_12)
    assert notes[0].startswith("TransferSyntaxUID (0002,0010) is absent or empty, the data set is in")


def test_rubbish_is_no_data_set_in_any_encoding(tmp_path: Path) -> None:
    path = write_xa(tmp_path / "run")
    meta, _ = parts(path)
    rng = np.random.default_rng(0)
    for rubbish in (rng.bytes(5000), zlib.compress(rng.bytes(5000)), b"", bytes(3), bytes(5000)):
        path.write_bytes(meta + rubbish)

        with pytest.raises(CasganError):
            find_series([path])
