"""Every row that docs/conformance.md accepts, as a file: stored in a real listener, then converted.

DCMTK encodes where it can, OpenJPH made the HTJ2K streams, pydicom (OpenJPEG) the JPEG 2000 ones.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    EnhancedXAImageStorage,
    EnhancedXRFImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    RLELossless,
    SecondaryCaptureImageStorage,
    XRayRadiofluoroscopicImageStorage,
)

from casgan_dicom.conversion.options import ConvertOptions
from casgan_dicom.conversion.pipeline import convert_series
from casgan_dicom.node.client.peer import Peer
from casgan_dicom.node.client.results import StoreResult
from casgan_dicom.node.client.scu import store
from casgan_dicom.node.receive.listener import STORAGE_CLASSES
from casgan_dicom.pixels.syntaxes import SYNTAXES
from casgan_dicom.verification.verify import verify_file
from docs.conformance import page
from tests.node.listening import listening
from tests.support.derived import cine_of, written
from tests.support.encoders import BY_FRAME, by_frame
from tests.support.enhanced_factory import window, write_enhanced
from tests.support.factories import Frames, moving_frames, uid, write_xa
from tests.support.htj2k_streams import LOSSLESS_8, LOSSLESS_12
from tests.support.painter import DiscPainter, disc_attention
from tests.support.programs import find_program

Row = tuple[UID, UID]

DCMTK: Mapping[UID, tuple[str, ...]] = {
    ImplicitVRLittleEndian: ("dcmconv", "+ti"),
    ExplicitVRLittleEndian: ("dcmconv", "+te"),
    ExplicitVRBigEndian: ("dcmconv", "+tb"),
    DeflatedExplicitVRLittleEndian: ("dcmconv", "+td"),
    RLELossless: ("dcmcrle",),
    JPEGBaseline8Bit: ("dcmcjpeg", "+eb", "+un"),
    JPEGExtended12Bit: ("dcmcjpeg", "+ee", "+un"),
    JPEGLossless: ("dcmcjpeg", "+el"),
    JPEGLosslessSV1: ("dcmcjpeg", "+e1"),
    JPEGLSLossless: ("dcmcjpls", "+el"),
    JPEGLSNearLossless: ("dcmcjpls", "+en", "+md", "1", "+un"),
}
LOSSY = (JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless, JPEG2000)
ENHANCED = (EnhancedXAImageStorage, EnhancedXRFImageStorage)
PAGE = (Path(__file__).parents[2] / "docs" / "conformance.md").read_text(encoding="utf-8")
SIDED = {"(0020,0060)"}
"""Laterality, type 2C: the heart of these tests has none."""
RADIOFLUOROSCOPIC = (XRayRadiofluoroscopicImageStorage, EnhancedXRFImageStorage)


def is_legal(sop_class: UID, syntax: UID) -> bool:
    """Words never have 8 bits, which is all that JPEG Baseline has (PS3.3 A.8.4, PS3.5 8.2.1)."""
    words = sop_class == MultiFrameGrayscaleWordSecondaryCaptureImageStorage
    return not (words and syntax == JPEGBaseline8Bit)


ALWAYS_READ = [uid for uid, row in SYNTAXES.items() if not row.decoder.package]
ROWS = [(a, b) for a in STORAGE_CLASSES for b in ALWAYS_READ if is_legal(a, b)]


def bits_of(sop_class: UID, syntax: UID) -> int:
    """12 bits where class and syntax allow it."""
    eight = sop_class == MultiFrameGrayscaleByteSecondaryCaptureImageStorage or syntax == JPEGBaseline8Bit
    return 8 if eight else 12


def frames_of(row: Row) -> Frames:
    """The stored frames of a row: as many as there are HTJ2K streams; one for a class of single frames."""
    streams = LOSSLESS_8 if bits_of(*row) == 8 else LOSSLESS_12
    return moving_frames(1 if row[0] == SecondaryCaptureImageStorage else len(streams), bits=bits_of(*row))


def write_row(folder: Path, row: Row) -> Path:
    """A file of this class in this transfer syntax, the only one of its series."""
    sop_class, syntax = row
    run, bits = frames_of(row), bits_of(*row)
    header: dict[str, Any] = {
        "SOPClassUID": sop_class,
        "SOPInstanceUID": uid(f"{row}"),
        "SeriesInstanceUID": uid(f"series {row}"),
        "Modality": "RF" if sop_class in RADIOFLUOROSCOPIC else "XA",
        "BitsStored": bits,
    }
    raw, path = folder / "raw", folder / "encoded"
    if sop_class in ENHANCED:
        shared = {"FrameVOILUTSequence": window(2 ** (bits - 1), 2**bits)}
        write_enhanced(raw, run, shared=shared, **header)
    elif sop_class == SecondaryCaptureImageStorage:
        absent = {"NumberOfFrames": None, "FrameTime": None, "FrameIncrementPointer": None}
        write_xa(raw, run, **(header | absent))
    else:
        write_xa(raw, run, **header)
    encode(raw, path, syntax, LOSSLESS_8 if bits == 8 else LOSSLESS_12)
    return path


def encode(raw: Path, path: Path, syntax: UID, streams: list[bytes]) -> None:
    """Encode a raw file."""
    if syntax in DCMTK:
        program, *options = DCMTK[syntax]
        command = [find_program(program, "dcmtk"), *options, str(raw), str(path)]
        subprocess.run(command, check=True, capture_output=True)
        return
    if syntax in BY_FRAME:
        by_frame(raw, path, syntax)
        return
    ds = dcmread(raw)
    if syntax in (HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K):
        ds.PixelData = encapsulate(streams[: int(ds.get("NumberOfFrames", 1))])
        ds["PixelData"].VR = "OB"
        ds.file_meta.TransferSyntaxUID = syntax
    elif syntax == JPEG2000Lossless:
        ds.compress(syntax, generate_instance_uid=False)
    else:
        ds.compress(syntax, j2k_cr=[4], generate_instance_uid=False)
        ds.LossyImageCompression = "01"
    ds.save_as(path)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What a listener has on its disk after all rows were sent in one association, by SOP Instance UID."""
    folder = tmp_path_factory.mktemp("sent")
    files = []
    for k, row in enumerate(ROWS):
        (folder / str(k)).mkdir()
        files.append(write_row(folder / str(k), row))
    results: list[StoreResult] = []
    with listening(tmp_path_factory.mktemp("data")) as listener:
        store(Peer("127.0.0.1", listener.port, "CASGAN"), files, results.append)
        assert [result.outcome for result in results] == ["stored"] * len(ROWS)
        return {str(row["sop_uid"]): Path(row["path"]) for row in listener.rows()}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0].keyword}-{row[1].keyword}")
def test_what_is_accepted_is_stored_as_it_was_and_converted(
    tmp_path: Path, stored: dict[str, Path], row: Row
) -> None:
    source = stored[uid(f"{row}")]
    assert dcmread(source, stop_before_pixels=True).file_meta.TransferSyntaxUID == row[1]
    options = ConvertOptions(force=True, banner=False)  # a Secondary Capture must be asked for

    report = convert_series([source], DiscPainter().as_generator, options, tmp_path)

    assert report.skipped == ()
    (output,) = report.outputs
    assert verify_file(output.path) == []
    made = dcmread(output.path)
    outside = disc_attention(made.Rows, made.Columns) < 0.5
    run = frames_of(row)
    shown = run / (2 ** bits_of(*row) - 1) * 255
    error = np.abs(made.pixel_array.reshape(run.shape) - shown)[:, outside]
    if row[1] in LOSSY:
        assert error.mean() < 4  # of 255; wrongly scaled, inverted or shifted frames are off by far more
        assert made.LossyImageCompression == "01"
    else:
        assert error.max() <= 0.5001  # rounding to 8 bits


def test_the_tables_of_the_page_are_what_the_code_says_now() -> None:
    assert page(PAGE) == PAGE, "run make docs"


def test_an_object_made_elsewhere_holds_what_the_page_says(tmp_path: Path) -> None:
    """Not of the sources that the page was made of."""
    ds = written(cine_of(tmp_path), tmp_path / "made")
    common, *parts = re.split(r"^#### ", PAGE[PAGE.index("<!-- table: common -->") :], flags=re.MULTILINE)
    (own,) = [part for part in parts if part.startswith("Angiogram, 8 bits\n")]
    lines = [line[2:-2].split(" | ") for line in (common + own).splitlines() if line.startswith("| ")]
    rows = {cells[2]: cells for cells in lines if " > " not in cells[1] and cells[2].startswith("(")}
    always = {tag for tag, cells in rows.items() if cells[5] in ("ALWAYS", "VNAP", "EMPTY")}

    held = {str(element.tag).upper(): element for element in ds}

    assert set(held) <= set(rows)
    assert always <= set(held) | SIDED
    for tag, element in held.items():
        *_, value, source = rows[tag]
        plain = "\\".join(map(str, element.value)) if element.VM > 1 else str(element.value)
        if source.strip() == "FIXED" and element.VR != "SQ" and "…" not in value:
            assert value == f"`{plain}`", tag


def test_a_page_without_a_place_for_a_table_is_an_error() -> None:
    with pytest.raises(ValueError, match="services"):
        page("<!-- table: services -->\n<!-- end -->\n")
