"""What streams say of themselves: the loss is judged by it, whatever their transfer syntax is called."""

from __future__ import annotations

import io
from pathlib import Path

import jpeg_ls  # type: ignore[import-untyped]
import numpy as np
import pytest
from openjpeg.utils import encode_array
from PIL import Image
from pydicom import dcmread
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
)

from casgan_dicom.errors import PixelError
from casgan_dicom.pixels.codestream import StreamHeader, stream_header
from casgan_dicom.pixels.decode import iter_frames
from casgan_dicom.pixels.layout import layout_notes
from casgan_dicom.pixels.lossy import LossyHistory, lossy_history
from casgan_dicom.source.cine import Cine
from casgan_dicom.verification.comparison import source_headers
from casgan_dicom.verification.verify import verify_dataset, verify_file
from tests.pixels.test_decoder_process import lossless_jpeg, segment
from tests.support.cines import cine_of
from tests.support.encoders import with_streams
from tests.support.factories import Frames, moving_frames, write_xa_single_frames
from tests.support.honest import write_cine
from tests.support.htj2k_streams import LOSSLESS_12, LOSSY_12

RUN_8, RUN_12 = moving_frames(2), moving_frames(2, bits=12)


def jpeg(frame: Frames, *, progressive: bool = False) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(frame).save(stream, format="JPEG", quality=80, progressive=progressive)
    return stream.getvalue()


def jpegls(frame: Frames, near: int = 0) -> bytes:
    return bytes(jpeg_ls.encode_array(frame, lossy_error=near))


def jpeg2000(frame: Frames, bits: int, ratios: list[float] | None = None) -> bytes:
    return encode_array(
        frame, bits_stored=bits, photometric_interpretation=2, use_mct=False, compression_ratios=ratios
    )


LOSSY: dict[str, tuple[list[bytes], int, str]] = {
    "JPEG baseline": ([jpeg(frame) for frame in RUN_8], 8, "ISO_10918_1"),
    "JPEG progressive": ([jpeg(frame, progressive=True) for frame in RUN_8], 8, "ISO_10918_1"),
    "JPEG-LS near-lossless": ([jpegls(frame, 3) for frame in RUN_8], 8, "ISO_14495_1"),
    "JPEG 2000 irreversible": ([jpeg2000(frame, 12, [8]) for frame in RUN_12], 12, "ISO_15444_1"),
    "HTJ2K irreversible": (LOSSY_12, 12, "ISO_15444_15"),
}
LOSSLESS: dict[str, tuple[list[bytes], int]] = {
    "JPEG lossless": ([lossless_jpeg(frame, 8) for frame in RUN_8], 8),
    "JPEG lossless of 12 bits": ([lossless_jpeg(frame, 12) for frame in RUN_12], 12),
    "JPEG-LS": ([jpegls(frame) for frame in RUN_8], 8),
    "JPEG 2000 reversible": ([jpeg2000(frame, 12) for frame in RUN_12], 12),
    "HTJ2K reversible": (LOSSLESS_12, 12),
}
LOSSLESS_NAMES = [
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEG2000Lossless,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
]
LOSSY_NAMES = [JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless, JPEG2000, HTJ2K]


def stored(path: Path, streams: list[bytes], syntax: UID, bits: int, **elements: object) -> Cine:
    run = (RUN_8 if bits == 8 else RUN_12)[: len(streams)]
    with_streams(path, run, [s + bytes(len(s) % 2) for s in streams], syntax, bits)
    ds = dcmread(path)
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    ds.save_as(path)
    return cine_of(path)


@pytest.mark.parametrize("syntax", [*LOSSLESS_NAMES, *LOSSY_NAMES], ids=lambda uid: uid.keyword)
@pytest.mark.parametrize("kind", LOSSY)
@pytest.mark.parametrize("declared", ["00", None])
def test_a_stream_that_loses_is_lossy_whatever_its_syntax_and_header_say(
    tmp_path: Path, syntax: UID, kind: str, declared: str | None
) -> None:
    streams, bits, method = LOSSY[kind]
    elements = {} if declared is None else {"LossyImageCompression": declared}
    cine = stored(tmp_path / "run", streams, syntax, bits, **elements)

    history = lossy_history(cine)

    assert (history.lossy, history.methods) == (True, (method,))
    raw, encoded = len(streams) * 64 * 80 * (1 if bits == 8 else 2), sum(len(s) + len(s) % 2 for s in streams)
    assert list(history.ratios) == pytest.approx([raw / encoded], abs=1e-4)


@pytest.mark.parametrize("syntax", [*LOSSLESS_NAMES, *LOSSY_NAMES], ids=lambda uid: uid.keyword)
@pytest.mark.parametrize("kind", LOSSLESS)
def test_a_lossless_stream_comes_out_as_it_went_in_whatever_its_syntax_is_called(
    tmp_path: Path, syntax: UID, kind: str
) -> None:
    streams, bits = LOSSLESS[kind]
    cine = stored(tmp_path / "run", streams, syntax, bits, LossyImageCompression="00")

    np.testing.assert_array_equal(list(iter_frames(cine)), RUN_8 if bits == 8 else RUN_12)
    assert lossy_history(cine) == LossyHistory(lossy=False, ratios=(), methods=())


@pytest.mark.parametrize("syntax", LOSSY_NAMES, ids=lambda uid: uid.keyword)
@pytest.mark.parametrize("kind", ["JPEG lossless", "JPEG-LS"])
def test_a_stream_that_loses_nothing_needs_no_declaration(tmp_path: Path, syntax: UID, kind: str) -> None:
    streams, bits = LOSSLESS[kind]

    assert not lossy_history(stored(tmp_path / "run", streams, syntax, bits)).lossy


@pytest.mark.parametrize("syntax", LOSSY_NAMES, ids=lambda uid: uid.keyword)
def test_what_is_declared_lossy_stays_lossy_in_a_lossless_stream(tmp_path: Path, syntax: UID) -> None:
    streams, bits = LOSSLESS["JPEG lossless"]
    declared = {"LossyImageCompression": "01", "LossyImageCompressionRatio": 9}
    cine = stored(
        tmp_path / "run", streams, syntax, bits, **declared, LossyImageCompressionMethod="ISO_15444_1"
    )

    assert lossy_history(cine) == LossyHistory(lossy=True, ratios=(9.0,), methods=("ISO_15444_1",))


@pytest.mark.parametrize("syntax", LOSSLESS_NAMES, ids=lambda uid: uid.keyword)
@pytest.mark.parametrize("kind", LOSSY)
def test_a_lossy_stream_under_a_lossless_name_is_said(tmp_path: Path, syntax: UID, kind: str) -> None:
    streams, bits, _ = LOSSY[kind]

    (said,) = layout_notes(stored(tmp_path / "run", streams, syntax, bits))

    assert said.startswith(f"TransferSyntaxUID (0002,0010) is '{syntax.name}', but {len(streams)} of")
    assert "which has lost information" in said


def test_one_lossy_frame_among_lossless_ones_makes_a_run_lossy(tmp_path: Path) -> None:
    streams = [lossless_jpeg(RUN_8[0], 8), jpeg(RUN_8[1])]
    cine = stored(tmp_path / "run", streams, JPEGLosslessSV1, 8)

    frames = list(iter_frames(cine))
    history = lossy_history(cine)

    np.testing.assert_array_equal(frames[0], RUN_8[0])
    assert np.abs(frames[1].astype(int) - RUN_8[1]).mean() < 5
    assert (history.lossy, history.methods) == (True, ("ISO_10918_1",))
    assert list(history.ratios) == pytest.approx(
        [64 * 80 / (len(streams[1]) + len(streams[1]) % 2)], abs=1e-4
    )


def test_lossy_single_frames_under_a_lossless_name_are_known(tmp_path: Path) -> None:
    run = moving_frames(4)
    for path, frame in zip(write_xa_single_frames(tmp_path, run), run, strict=True):
        ds = dcmread(path)
        with_streams(tmp_path / "one", frame[None], [jpeg(frame) + b"\0"], JPEGLosslessSV1, 8)
        ds.PixelData, ds.file_meta.TransferSyntaxUID = dcmread(tmp_path / "one").PixelData, JPEGLosslessSV1
        ds["PixelData"].VR = "OB"
        ds.save_as(path)
    (tmp_path / "one").unlink()

    cine = cine_of(tmp_path)

    assert lossy_history(cine).methods == ("ISO_10918_1",)
    assert layout_notes(cine)[0].endswith("(in 4 of 4 files)")


@pytest.mark.parametrize("behind", [5, 5000])
def test_headers_are_found_behind_long_comments(behind: int) -> None:
    for stream in (lossless_jpeg(RUN_8[0], 8), jpegls(RUN_8[0], 2)):
        longer = stream[:2] + b"\xff" + segment(0xFE, bytes(behind)) + stream[2:]

        assert stream_header(longer) == stream_header(stream)


@pytest.mark.parametrize("ratios", [None, [10]])
def test_jpeg_2000_in_the_box_of_a_file_of_its_own_is_refused(
    tmp_path: Path, ratios: list[float] | None
) -> None:
    """PS3.5 A.4.4 forbids boxes, and which of several codestreams in them is taken, nobody can tell."""
    rates = {} if ratios is None else {"quality_mode": "rates", "quality_layers": ratios}
    streams = []
    for frame in RUN_8:
        boxed = io.BytesIO()
        Image.fromarray(frame).save(boxed, format="JPEG2000", irreversible=ratios is not None, **rates)
        streams.append(boxed.getvalue())
    cine = stored(tmp_path / "run", streams, JPEG2000Lossless, 8)

    found = stream_header(streams[0])

    assert found is not None
    assert (found.kind, found.rows, found.columns, found.boxed) == ("JPEG 2000", 64, 80, True)
    with pytest.raises(PixelError, match=r"frames are files of JP2, want the codestream alone"):
        list(iter_frames(cine))


def test_a_point_transform_loses() -> None:
    stream = lossless_jpeg(RUN_8[0], 8)
    at = stream.index(b"\xff\xda")
    shifted = stream[: at + 9] + b"\x02" + stream[at + 10 :]

    assert stream_header(stream) == StreamHeader("JPEG", 8, 64, 80, loses=False, process=0xC3)
    assert stream_header(shifted) == StreamHeader("JPEG", 8, 64, 80, loses=True, process=0xC3)


@pytest.mark.parametrize("kind", LOSSY)
def test_no_beginning_of_a_stream_raises(kind: str) -> None:
    stream = LOSSY[kind][0][0]
    for length in range(200):
        found = stream_header(stream[:length])

        assert found is None or (found.rows, found.columns) == (64, 80)


@pytest.mark.parametrize("kind", LOSSY)
def test_a_derived_object_that_hides_the_loss_of_its_source_is_found(tmp_path: Path, kind: str) -> None:
    streams, bits, _ = LOSSY[kind]
    source = tmp_path / "source"
    cine = stored(source, streams, JPEGLosslessSV1, bits)

    path = write_cine(cine, tmp_path / "out.dcm")  # by a history that is told to be lossless

    assert {finding.rule for finding in verify_file(path, source_headers([source]))} == {"source-history"}


@pytest.mark.parametrize("kind", ["JPEG-LS near-lossless", "JPEG 2000 irreversible"])
def test_an_object_that_hides_the_loss_of_its_own_stream_is_found(tmp_path: Path, kind: str) -> None:
    streams, bits, _ = LOSSY[kind]
    syntax = JPEGLSLossless if kind.startswith("JPEG-LS") else JPEG2000Lossless
    cine = stored(tmp_path / "source", [jpegls(frame) for frame in RUN_8], JPEGLSLossless, 8)
    ds = dcmread(write_cine(cine, tmp_path / "out.dcm"))
    with_streams(tmp_path / "lossy", RUN_8, streams, syntax, bits)
    lossy = dcmread(tmp_path / "lossy")
    ds.PixelData, ds.file_meta.TransferSyntaxUID = lossy.PixelData, syntax

    assert "lossy-chain" in {finding.rule for finding in verify_dataset(ds)}
