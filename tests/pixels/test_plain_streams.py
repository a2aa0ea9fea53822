"""Frames in fragments without any header: uncompressed ones, and frames that are deflated each by itself."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import UID

from casgan_dicom.conversion.options import ConvertOptions
from casgan_dicom.conversion.pipeline import convert_series
from casgan_dicom.errors import PixelError
from casgan_dicom.pixels.decode import iter_frames
from casgan_dicom.pixels.layout import layout_notes
from casgan_dicom.pixels.lossy import lossy_history
from casgan_dicom.pixels.self_check import SelfCheck
from casgan_dicom.source.series import find_series
from tests.support.encoded import noisy_frames
from tests.support.encoders import DEFLATED_FRAMES, deflated, plain, with_streams
from tests.support.factories import Frames, moving_frames, write_xa, write_xa_single_frames
from tests.support.painter import DiscPainter

PLAIN = UID("1.2.840.10008.1.2.1.98")
BOTH = [pytest.param(PLAIN, plain, id="plain"), pytest.param(DEFLATED_FRAMES, deflated, id="deflated")]
Encode = Callable[[Any], bytes]


def read(path: Path) -> Frames:
    (cine,) = find_series([path]).cines
    return np.stack(list(iter_frames(cine)))


def with_fragments(path: Path, run: Frames, syntax: UID, fragments: list[bytes], table: list[int]) -> Path:
    """A file whose value holds these fragments, behind a Basic Offset Table that says this."""
    with_streams(path, run, [b"\0\0"], syntax, 8)
    ds = dcmread(path)
    items = b"".join(b"\xfe\xff\x00\xe0" + struct.pack("<I", len(part)) + part for part in fragments)
    head = b"\xfe\xff\x00\xe0" + struct.pack(f"<I{len(table)}I", 4 * len(table), *table)
    ds.PixelData = head + items + b"\xfe\xff\xdd\xe0\0\0\0\0"
    ds.save_as(path)
    return path


@pytest.mark.parametrize(("syntax", "encode"), BOTH)
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("rows", [64, 65])
def test_frames_come_out_as_they_went_in(
    tmp_path: Path, syntax: UID, encode: Encode, bits: int, rows: int
) -> None:
    run = noisy_frames(3, rows, 67, bits)

    path = with_streams(tmp_path / "run", run, [encode(frame) for frame in run], syntax, bits)

    np.testing.assert_array_equal(read(path), run)
    (cine,) = find_series([path]).cines
    assert layout_notes(cine) == ()
    assert not lossy_history(cine).lossy


@pytest.mark.parametrize(("syntax", "encode"), BOTH)
def test_signed_values_and_unused_bits_are_read_as_in_uncompressed_words(
    tmp_path: Path, syntax: UID, encode: Encode
) -> None:
    run = moving_frames(2, bits=12).astype(np.int16) - 2048
    dirty = run & 0x0FFF | 0x5000  # something above Bits Stored

    path = with_streams(tmp_path / "run", run, [encode(frame) for frame in dirty], syntax, 12)

    np.testing.assert_array_equal(read(path), run)


@pytest.mark.parametrize(("syntax", "encode"), BOTH)
def test_single_frames_are_a_run(tmp_path: Path, syntax: UID, encode: Encode) -> None:
    run = moving_frames(3)
    write_xa_single_frames(tmp_path, run)
    for path in tmp_path.iterdir():
        ds = dcmread(path)
        ds.PixelData = encapsulate([encode(ds.pixel_array)])
        ds["PixelData"].VR = "OB"
        ds.file_meta.TransferSyntaxUID = syntax
        ds.save_as(path)

    np.testing.assert_array_equal(read(tmp_path), run)


@pytest.mark.parametrize(("syntax", "encode"), BOTH)
@pytest.mark.parametrize("table", [[], [0, 8, 16], [0], [4, 4, 4]])
def test_frames_of_several_fragments_are_found_without_a_right_table(
    tmp_path: Path, syntax: UID, encode: Encode, table: list[int]
) -> None:
    run = noisy_frames(3, 64, 80, 8)
    streams = [encode(frame) for frame in run]
    fragments = [part for stream in streams for part in (stream[:1000], stream[1000:])]

    path = with_fragments(tmp_path / "run", run, syntax, fragments, table)

    np.testing.assert_array_equal(read(path), run)
    (cine,) = find_series([path]).cines
    assert ("Basic Offset Table" in "".join(layout_notes(cine))) == bool(table)


@pytest.mark.parametrize(("syntax", "encode"), BOTH)
def test_a_missing_delimiter_is_said(tmp_path: Path, syntax: UID, encode: Encode) -> None:
    run = moving_frames(3)
    path = with_streams(tmp_path / "run", run, [encode(frame) for frame in run], syntax, 8)
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(b"\xfe\xff\xdd\xe0")])

    np.testing.assert_array_equal(read(path), run)
    (cine,) = find_series([path]).cines
    assert any("without its sequence delimiter" in note for note in layout_notes(cine))


@pytest.mark.parametrize(
    ("syntax", "spoil", "words"),
    [
        (PLAIN, lambda s: s[:-2], "a frame has 5118 bytes, 5120 are wanted"),
        (PLAIN, lambda s: s + b"\1\1", "a frame has 5122 bytes, 5120 are wanted"),
        (DEFLATED_FRAMES, lambda s: s[: len(s) // 4 * 2], "cut short"),
        (DEFLATED_FRAMES, lambda s: s + b"\1\2", "2 bytes follow|3 bytes follow"),
        (DEFLATED_FRAMES, lambda s: b"\xff" + s[1:], "cannot be decoded"),
        (DEFLATED_FRAMES, lambda s: deflated(np.zeros((64, 79), np.uint8)), "a frame has 5056 bytes"),
        (DEFLATED_FRAMES, lambda s: deflated(np.zeros((64, 800), np.uint8)), "holds more than 5120 bytes"),
    ],
)
def test_a_frame_that_is_not_whole_is_an_error_that_names_the_instance(
    tmp_path: Path, syntax: UID, spoil: Callable[[bytes], bytes], words: str
) -> None:
    run = moving_frames(3)
    streams = [(plain if syntax == PLAIN else deflated)(frame) for frame in run]
    path = with_streams(tmp_path / "run", run, [*streams[:2], spoil(streams[2])], syntax, 8)

    with pytest.raises(PixelError, match=f"instance [0-9.]+: .*({words})"):
        read(path)


@pytest.mark.parametrize(("syntax", "encode"), BOTH)
def test_too_few_frames_are_refused(tmp_path: Path, syntax: UID, encode: Encode) -> None:
    run = moving_frames(3)
    path = with_streams(tmp_path / "run", run, [encode(frame) for frame in run[:2]], syntax, 8)

    with pytest.raises(PixelError, match=r"holds 2 fragments.*NumberOfFrames \(0028,0008\) says 3"):
        read(path)


@pytest.mark.parametrize(("syntax", "encode"), BOTH)
def test_they_are_converted_as_the_same_frames_uncompressed(
    tmp_path: Path, syntax: UID, encode: Encode
) -> None:
    run = moving_frames(4)
    with_streams(tmp_path / "in" / "a", run, [encode(frame) for frame in run], syntax, 8)
    write_xa(tmp_path / "raw" / "a", run)

    report, raw = (
        convert_series(
            [tmp_path / name], DiscPainter().as_generator, ConvertOptions(), tmp_path / f"out-{name}"
        )
        for name in ("in", "raw")
    )

    assert report.outputs[0].pixel_sha256 == raw.outputs[0].pixel_sha256
    assert not report.outputs[0].lossy


def test_uncompressed_fragments_are_not_compared_and_deflated_ones_are(tmp_path: Path) -> None:
    run = noisy_frames(3, 65, 67, 8)
    found = {}
    for syntax, encode in ((PLAIN, plain), (DEFLATED_FRAMES, deflated)):
        path = with_streams(tmp_path / str(syntax), run, [encode(frame) for frame in run], syntax, 8)
        (cine,) = find_series([path]).cines
        check = SelfCheck(cine)
        assert len(list(check.passing(iter_frames(cine)))) == 3
        found[syntax] = check.result()

    digest = hashlib.sha256(run.tobytes()).hexdigest()
    assert found[PLAIN].pixel_sha256 == found[DEFLATED_FRAMES].pixel_sha256 == digest
    assert found[PLAIN].second_decoder == "none needed: not compressed"
    if find_spec("imagecodecs"):
        assert found[DEFLATED_FRAMES].second_decoder == "libdeflate (imagecodecs)"
        assert found[DEFLATED_FRAMES].largest_difference == 0
    else:
        assert found[DEFLATED_FRAMES].second_decoder == "none installed (imagecodecs would be one)"
