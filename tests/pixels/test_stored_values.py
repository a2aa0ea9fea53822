"""Which bits are value: all of a decoded stream, those of Bits Stored in uncompressed words."""

from __future__ import annotations

from pathlib import Path

import jpeg_ls  # type: ignore[import-untyped]
import numpy as np
import pytest
from openjpeg.utils import encode_array
from pydicom import dcmread
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from casgan_dicom.errors import PixelError
from casgan_dicom.pixels.decode import iter_frames
from casgan_dicom.pixels.stored_values import Clamped, in_range, unmasked
from tests.pixels.test_decoder_process import lossless_jpeg
from tests.support.cines import cine_of, shown
from tests.support.encoders import dcmtk, with_streams
from tests.support.factories import Frames, moving_frames, write_xa

NATIVE = [
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
    RLELossless,
]


def decoded(path: Path) -> tuple[Frames, Clamped]:
    clamped = Clamped()
    return np.stack(list(iter_frames(cine_of(path), clamped))), clamped


def changed(path: Path, **elements: object) -> Path:
    ds = dcmread(path)
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    ds.save_as(path)
    return path


def white_and_black(bits: int, *, signed: bool = False) -> Frames:
    """Two frames whose left half is white and whose right half is black, a little noise in between."""
    low = -(2 ** (bits - 1)) if signed else 0
    run = np.random.default_rng(bits).integers(low, low + 2**bits, (2, 64, 80))
    run[:, :, :30], run[:, :, 50:] = low + 2**bits - 1, low
    return run.astype(np.int16 if signed else np.uint16)


def near_lossless(path: Path, run: Frames, near: int, bits: int) -> Path:
    """JPEG-LS of words of 16 bits, which may overshoot Bits Stored."""
    even = [encoded(frame, JPEGLSNearLossless, near) for frame in run]
    return changed(
        with_streams(path, run, even, JPEGLSNearLossless, bits),
        PixelRepresentation=int(run.dtype.kind == "i"),
    )


@pytest.mark.parametrize("bits", [9, 10, 12])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("near", [2, 7, 20])
def test_white_of_near_lossless_jpeg_ls_stays_white(
    tmp_path: Path, bits: int, near: int, *, signed: bool
) -> None:
    run = white_and_black(bits, signed=signed)
    run[:, ::2, 30:34] = run.max() - near  # a context that lets the prediction overshoot
    path = near_lossless(tmp_path / "run", run, near, bits)

    found, clamped = decoded(path)

    assert clamped.values > 0
    assert np.abs(found.astype(int) - run).max() <= near
    assert np.abs(shown(path) - (run - float(run.min())) / (2**bits - 1)).max() <= (near + 1) / (2**bits - 1)


def test_values_beyond_bits_stored_are_counted_and_said() -> None:
    words = np.array([[1023, 1024, 1030], [0, 5, 65535]], dtype=np.uint16)
    clamped = Clamped()

    values, beyond = in_range(words, 16, 10, signed=False)
    clamped.add(beyond, 16)
    clamped.add(0, 16)

    np.testing.assert_array_equal(values, [[1023, 1023, 1023], [0, 5, 1023]])
    assert clamped.notes(10) == (
        "3 values of 1 frames lie beyond BitsStored (0028,0101), which is 10, in streams of 16 bits: clamped",
    )
    assert Clamped().notes(10) == ()


@pytest.mark.parametrize("signed", [False, True])
def test_values_of_more_bits_than_are_stored_are_no_overshoot(tmp_path: Path, *, signed: bool) -> None:
    run = moving_frames(2, bits=12)
    words = run.astype(np.int16) - 2048 if signed else run
    path = write_xa(tmp_path / "run", words, syntax=JPEGLSLossless, BitsStored=12)
    ds = dcmread(path)
    ds.BitsStored, ds.HighBit = 8, 7
    ds.save_as(path)

    with pytest.raises(PixelError, match=r"lie beyond BitsStored \(0028,0101\), which is 8: they go from"):
        list(iter_frames(cine_of(path)))


@pytest.mark.parametrize("bits", [9, 10, 11])
def test_twelve_bit_jpeg_extended_of_fewer_bits_stored_keeps_white_and_black(
    tmp_path: Path, bits: int
) -> None:
    run = white_and_black(bits)
    run[:, :, 30:50] = np.where(np.arange(20) % 4 < 2, 2**bits - 1, 0)  # edges that ring
    raw = write_xa(tmp_path / "raw", run, BitsStored=12)
    dcmtk("dcmcjpeg", "+ee", "+q", 60, raw, tmp_path / "run")
    path = changed(tmp_path / "run", BitsStored=bits, HighBit=bits - 1)

    found, clamped = decoded(path)

    assert clamped.values > 0
    assert clamped.precision == 12
    assert (found.min(), found.max()) == (0, 2**bits - 1)
    assert (
        np.abs(found.astype(int) - run)[:, :, :24].max() < 2**bits / 4
    )  # away from the edges: white is white


@pytest.mark.parametrize("signed", [False, True])
def test_irreversible_jpeg_2000_keeps_white_and_black(tmp_path: Path, *, signed: bool) -> None:
    run = white_and_black(10, signed=signed)
    run[:, :, 30:50] = np.where(np.arange(20) % 4 < 2, run.max(), run.min())
    streams = [
        encode_array(
            frame, bits_stored=12, photometric_interpretation=2, use_mct=False, compression_ratios=[20]
        )
        for frame in run
    ]
    path = with_streams(tmp_path / "run", run, [s + bytes(len(s) % 2) for s in streams], JPEG2000, 10)
    changed(path, PixelRepresentation=int(signed))

    found, clamped = decoded(path)

    assert clamped.values > 0
    assert (found.min(), found.max()) == (run.min(), run.max())
    assert np.abs(found.astype(int) - run)[:, :, :24].max() < 2**10 / 4


@pytest.mark.parametrize("syntax", NATIVE, ids=lambda uid: uid.keyword)
@pytest.mark.parametrize("signed", [False, True])
def test_bits_above_bits_stored_of_uncompressed_words_are_no_value(
    tmp_path: Path, syntax: UID, *, signed: bool
) -> None:
    clean = white_and_black(12, signed=signed)
    dirty = (clean.view(np.uint16) & 0x0FFF) | (np.random.default_rng(1).integers(0, 16, clean.shape) << 12)
    path = write_xa(tmp_path / "run", dirty.astype(np.uint16), BitsStored=12, syntax=syntax)
    changed(path, PixelRepresentation=int(signed))

    found, clamped = decoded(path)

    np.testing.assert_array_equal(found, clean)
    assert clamped.values == 0


@pytest.mark.parametrize("syntax", [JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless, RLELossless])
def test_an_overlay_in_the_words_of_a_lossless_stream_is_no_value(tmp_path: Path, syntax: UID) -> None:
    clean = white_and_black(12)
    drawn = clean | (np.indices(clean.shape).sum(0) % 5 == 0).astype(np.uint16) << 12
    if syntax == RLELossless:
        path = write_xa(tmp_path / "run", drawn, BitsStored=12, syntax=RLELossless)
    else:
        streams = [encoded(frame, syntax) for frame in drawn]
        path = with_streams(tmp_path / "run", drawn, streams, syntax, 12)
    ds = dcmread(path)
    ds.add_new(0x60000102, "US", 12)
    ds.save_as(path)

    found, clamped = decoded(path)

    np.testing.assert_array_equal(found, clean)
    assert clamped.values == 0


def encoded(frame: Frames, syntax: UID, near: int = 0) -> bytes:
    """All sixteen bits of a frame, without loss but for JPEG-LS that may be off by `near`."""
    if syntax in (JPEGLSLossless, JPEGLSNearLossless):
        form = {"rows": 64, "columns": 80, "bits_allocated": 16, "bits_stored": 16, "samples_per_pixel": 1}
        gray = {"photometric_interpretation": "MONOCHROME2"}
        stream = bytes(jpeg_ls.encode_pixel_data(frame.tobytes(), lossy_error=near, **form, **gray))
    elif syntax == JPEG2000Lossless:
        stream = encode_array(frame, bits_stored=16, photometric_interpretation=2, use_mct=False)
    else:
        stream = lossless_jpeg(frame, 16)
    return stream + bytes(len(stream) % 2)


@pytest.mark.parametrize("bits", [10, 12])
def test_signed_words_of_a_wide_stream_are_read_as_they_were_encoded(bits: int) -> None:
    run = white_and_black(bits, signed=True)
    masked = run.view(np.uint16) & np.uint16(2**bits - 1)

    for words in (run.view(np.uint16), masked):
        values, beyond = in_range(words, 16, bits, signed=True)
        np.testing.assert_array_equal(values, run)
        assert beyond == 0
    np.testing.assert_array_equal(in_range(masked, bits, bits, signed=True)[0], run)


def test_signed_values_that_overshoot_stay_white_where_none_is_negative() -> None:
    words = np.array([0, 511, 512, 530], dtype=np.uint16)

    values, beyond = in_range(words, 16, 10, signed=True)

    np.testing.assert_array_equal(values, [0, 511, 511, 511])
    assert beyond == 2


def test_words_of_a_byte_and_of_all_their_bits_are_values_already() -> None:
    words = np.arange(256, dtype=np.uint8)

    np.testing.assert_array_equal(unmasked(words, 8, signed=False), words)
    np.testing.assert_array_equal(unmasked(words, 8, signed=True), words.view(np.int8))
