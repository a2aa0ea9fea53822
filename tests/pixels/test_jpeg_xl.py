"""JPEG XL, which is read where `imagecodecs` is installed, and named where it is not."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.uid import UID, JPEGLSLossless

from casgan_dicom.conversion.inspection import inspect
from casgan_dicom.errors import PixelError
from casgan_dicom.pixels import jpeg_xl, syntaxes
from casgan_dicom.pixels.decode import iter_frames
from casgan_dicom.pixels.layout import layout_notes
from casgan_dicom.pixels.lossy import lossy_history
from casgan_dicom.pixels.self_check import SelfCheck
from tests.support.cines import cine_of
from tests.support.encoded import noisy_frames
from tests.support.encoders import with_streams
from tests.support.factories import Frames, moving_frames

LOSSLESS, OF_JPEG, ANY = (UID(f"1.2.840.10008.1.2.4.{k}") for k in (110, 111, 112))
needs_imagecodecs = pytest.mark.skipif(not find_spec("imagecodecs"), reason="needs imagecodecs")

BARE = bytes.fromhex("ff0a8f4150dc08080401")
"""The beginning of a lossless stream of 64 × 80 and 8 bits, by libjxl."""


def codecs() -> Any:  # noqa: ANN401
    return import_module("imagecodecs")


def streams_of(run: Frames, bits: int, **options: Any) -> list[bytes]:  # noqa: ANN401
    depth = {} if bits == 8 else {"bitspersample": bits}
    encoded = [bytes(codecs().jpegxl_encode(frame, **depth, **options)) for frame in run]
    return [stream + bytes(len(stream) % 2) for stream in encoded]


@needs_imagecodecs
@pytest.mark.parametrize("syntax", [LOSSLESS, ANY])
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("boxes", [False, True])
def test_lossless_frames_come_out_as_they_went_in(
    tmp_path: Path, syntax: UID, bits: int, boxes: bool
) -> None:
    run = noisy_frames(3, 65, 80, bits)
    streams = streams_of(run, bits, lossless=True, usecontainer=boxes)

    cine = cine_of(with_streams(tmp_path / "run", run, streams, syntax, bits))

    np.testing.assert_array_equal(np.stack(list(iter_frames(cine))), run)
    assert layout_notes(cine) == ()
    declared_nothing = syntax == ANY  # then a stream that does not tell is not believed
    assert lossy_history(cine).lossy == declared_nothing


@needs_imagecodecs
@pytest.mark.parametrize("syntax", [LOSSLESS, ANY])
def test_xyb_is_lossy_whatever_the_syntax_is_called(tmp_path: Path, syntax: UID) -> None:
    run = noisy_frames(2, 64, 80, 8)
    streams = streams_of(run, 8, lossless=False, level=90)

    cine = cine_of(with_streams(tmp_path / "run", run, streams, syntax, 8))

    assert np.abs(np.stack(list(iter_frames(cine))).astype(int) - run).mean() < 4
    assert lossy_history(cine).methods == ("ISO_18181_1",)
    assert ("which has lost information" in "".join(layout_notes(cine))) == (syntax == LOSSLESS)


@needs_imagecodecs
@pytest.mark.parametrize("boxes", [False, True])
def test_a_packed_jpeg_lost_by_jpeg(tmp_path: Path, boxes: bool) -> None:
    run = noisy_frames(2, 64, 80, 8)
    packed = [
        bytes(codecs().jpegxl_encode_jpeg(codecs().jpeg8_encode(frame, level=95), usecontainer=boxes))
        for frame in run
    ]
    streams = [stream + bytes(len(stream) % 2) for stream in packed]

    cine = cine_of(with_streams(tmp_path / "run", run, streams, OF_JPEG, 8))

    assert np.abs(np.stack(list(iter_frames(cine))).astype(int) - run).mean() < 4
    assert lossy_history(cine).methods == ("ISO_10918_1",)


@needs_imagecodecs
def test_boxes_under_another_name_are_read_as_what_they_are(tmp_path: Path) -> None:
    run = moving_frames(3)
    streams = streams_of(run, 8, lossless=True, usecontainer=True)

    cine = cine_of(with_streams(tmp_path / "run", run, streams, JPEGLSLossless, 8))

    np.testing.assert_array_equal(np.stack(list(iter_frames(cine))), run)
    assert any("3 of 3 frames are JPEG XL" in note for note in layout_notes(cine))


@needs_imagecodecs
def test_a_stream_that_is_cut_short_is_an_error(tmp_path: Path) -> None:
    run = noisy_frames(2, 64, 80, 8)
    first, second = streams_of(run, 8, lossless=True)
    half = second[: len(second) // 4 * 2]

    with pytest.raises(PixelError, match="cannot be decoded"):
        list(iter_frames(cine_of(with_streams(tmp_path / "run", run, [first, half], LOSSLESS, 8))))


@needs_imagecodecs
def test_there_is_no_second_decoder(tmp_path: Path) -> None:
    run = moving_frames(2)
    cine = cine_of(with_streams(tmp_path / "run", run, streams_of(run, 8, lossless=True), LOSSLESS, 8))
    check = SelfCheck(cine)

    assert len(list(check.passing(iter_frames(cine)))) == 2

    assert (check.result().decoder, check.result().second_decoder) == ("libjxl (imagecodecs)", "none known")


@pytest.mark.parametrize("syntax", [LOSSLESS, OF_JPEG, ANY])
def test_where_the_decoder_is_missing_its_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, syntax: UID
) -> None:
    monkeypatch.setattr(syntaxes, "find_spec", lambda _: None)
    path = with_streams(tmp_path / "run", moving_frames(2), [BARE, BARE], syntax, 8)

    (found,) = inspect([path]).cines
    with pytest.raises(PixelError, match="which imagecodecs decodes, and that is not installed") as error:
        list(iter_frames(cine_of(path)))

    assert error.value.hint == "pip install 'casgan-dicom[codecs]'"
    assert any("imagecodecs" in reason.text and not reason.forceable for reason in found.reasons)


def test_a_stream_found_under_another_name_names_the_package_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syntaxes, "find_spec", lambda _: None)
    boxed = b"\x00\x00\x00\x0cJXL \r\n\x87\n" + (8 + len(BARE)).to_bytes(4) + b"jxlc" + BARE
    path = with_streams(tmp_path / "run", moving_frames(2), [boxed, boxed], JPEGLSLossless, 8)

    with pytest.raises(PixelError, match=r"libjxl \(imagecodecs\) is not installed: pip install"):
        list(iter_frames(cine_of(path)))


def test_the_header_tells_size_and_bits() -> None:
    assert jpeg_xl.xl_header(BARE) == jpeg_xl.XlHeader(64, 80, 8, in_xyb=False, holds_jpeg=False)
    assert jpeg_xl.xl_header(BARE[:6]) is None
    assert jpeg_xl.xl_header(b"\xff\xd8\xff\xe0 no JPEG XL") is None
