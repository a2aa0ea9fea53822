"""Where frames lie in Pixel Data: told by the data, whatever header and offset tables say of them."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, encapsulate_extended, generate_fragments, generate_frames
from pydicom.filebase import DicomIO
from pydicom.filewriter import write_file_meta_info
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

from casgan_dicom.errors import PixelError
from casgan_dicom.pixels.decode import iter_frames
from casgan_dicom.pixels.layout import layout_notes
from casgan_dicom.pixels.lossy import lossy_history
from casgan_dicom.source.elements import swap_bytes
from casgan_dicom.source.series import find_series
from tests.support.encoders import DEFLATED_FRAMES, UNCOMPRESSED_FRAMES, by_frame
from tests.support.factories import Frames, moving_frames, write_xa, write_xa_single_frames

NATIVE = [
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
]
ENCAPSULATED = [JPEGBaseline8Bit, JPEGLSLossless, JPEG2000Lossless, RLELossless]
DELIMITER = b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"


def read(path: Path) -> tuple[Frames, tuple[str, ...]]:
    (cine,) = find_series([path]).cines
    return np.stack(list(iter_frames(cine))), layout_notes(cine)


def with_pixels(path: Path, data: bytes, **elements: object) -> Path:
    """The file with another value of Pixel Data."""
    ds = dcmread(path)
    encapsulated = ds.file_meta.TransferSyntaxUID.is_encapsulated
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    ds.PixelData = data
    ds["PixelData"].is_undefined_length = encapsulated
    ds.save_as(path)
    return path


def streams_of(path: Path) -> list[bytes]:
    ds = dcmread(path)
    return list(generate_frames(ds.PixelData, number_of_frames=int(ds.NumberOfFrames)))


def write_meta(path: Path, named: UID) -> None:
    """Another Transfer Syntax UID in the File Meta Information, and nothing else changed."""
    content, meta = path.read_bytes(), dcmread(path).file_meta
    end = 144 + int.from_bytes(content[140:144], "little")
    meta.TransferSyntaxUID = named
    written = io.BytesIO()
    write_file_meta_info(DicomIO(written), meta)
    path.write_bytes(content[:132] + written.getvalue() + content[end:])


@pytest.mark.parametrize("syntax", NATIVE, ids=lambda uid: uid.keyword)
@pytest.mark.parametrize("pad", [b"\0", b"\xff"])
@pytest.mark.parametrize("frames", [2, 5, 6])
def test_a_byte_of_padding_behind_each_odd_frame_shifts_no_frame(
    tmp_path: Path, syntax: UID, pad: bytes, frames: int
) -> None:
    run = moving_frames(frames, 65, 79)
    path = write_xa(tmp_path / "run", run, syntax=syntax)
    with_pixels(path, b"".join(frame.tobytes() + pad for frame in run))

    found, notes = read(path)

    np.testing.assert_array_equal(found, run)
    assert len(notes) == 1
    assert f"holds {frames} bytes more than its {frames} frames of 5135" in notes[0]


def test_odd_frames_with_padding_behind_them_all_are_told_apart_from_padded_ones(tmp_path: Path) -> None:
    run = moving_frames(4, 65, 79)
    path = with_pixels(write_xa(tmp_path / "run", run), run.tobytes() + bytes(4))

    found, notes = read(path)

    np.testing.assert_array_equal(found, run)
    assert "4 bytes more" in notes[0]
    assert "at the end" in notes[0]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("padding", [2, 16])
def test_padding_behind_each_even_frame_shifts_no_frame(tmp_path: Path, dtype: type, padding: int) -> None:
    run: Frames = moving_frames(3).astype(dtype)
    path = write_xa(tmp_path / "run", run)
    with_pixels(path, b"".join(frame.tobytes() + bytes(padding) for frame in run))

    found, notes = read(path)

    np.testing.assert_array_equal(found, run)
    assert f"read as {padding} of padding behind each frame" in notes[0]


@pytest.mark.parametrize("syntax", NATIVE, ids=lambda uid: uid.keyword)
@pytest.mark.parametrize("surplus", [2, 6, 512])
def test_any_surplus_is_said(tmp_path: Path, syntax: UID, surplus: int) -> None:
    run = moving_frames(4)
    path = with_pixels(write_xa(tmp_path / "run", run, syntax=syntax), run.tobytes() + b"\x07" * surplus)

    found, notes = read(path)

    np.testing.assert_array_equal(found, run)
    assert notes == (
        f"PixelData (7FE0,0010) holds {surplus} bytes more than its 4 frames of 5120: "
        "those at the end are passed over",
    )


@pytest.mark.parametrize("size", [(3, 65, 67), (1, 65, 67), (4, 64, 80)])
def test_what_the_standard_wants_is_no_surplus(tmp_path: Path, size: tuple[int, int, int]) -> None:
    assert read(write_xa(tmp_path / "run", moving_frames(*size)))[1] == ()


def test_single_frames_say_their_surplus_together(tmp_path: Path) -> None:
    run = moving_frames(4)
    for path in write_xa_single_frames(tmp_path, run):
        with_pixels(path, dcmread(path).PixelData + bytes(2))

    found, notes = read(tmp_path)

    np.testing.assert_array_equal(found, run)
    assert len(notes) == 1
    assert notes[0].endswith("(in 4 of 4 files)")


@pytest.mark.parametrize(
    ("size", "pad"),
    [
        ((3, 64, 80), b""),
        ((1, 65, 79), b""),
        ((3, 65, 79), b""),
        ((4, 65, 79), b""),
        ((3, 65, 79), b"\0"),
        ((4, 65, 79), b"\0"),
    ],
)
def test_bytes_of_old_big_endian_words_are_put_in_their_order(
    tmp_path: Path, size: tuple[int, int, int], pad: bytes
) -> None:
    run = moving_frames(*size)
    path = write_xa(tmp_path / "run", run, syntax=ExplicitVRBigEndian)
    ds = dcmread(path)
    content = b"".join(frame.tobytes() + pad for frame in run)
    ds.PixelData = swap_bytes(content + b"\0" * (len(content) % 2))
    ds["PixelData"].VR = "OW"
    ds.save_as(path)

    np.testing.assert_array_equal(read(path)[0], run)


def per_fragment(offsets: list[int], _frames: int) -> list[int]:
    return offsets


def beyond_the_end(offsets: list[int], frames: int) -> list[int]:
    return [offset + 10**6 for offset in offsets[::2]][:frames]


def descending(offsets: list[int], frames: int) -> list[int]:
    return offsets[::2][:frames][::-1]


def between_fragments(offsets: list[int], frames: int) -> list[int]:
    return [offset + 2 for offset in offsets[::2]][:frames]


def too_few(offsets: list[int], _frames: int) -> list[int]:
    return offsets[:1]


def all_zero(_offsets: list[int], frames: int) -> list[int]:
    return [0] * frames


def shuffled(offsets: list[int], frames: int) -> list[int]:
    return [offsets[0], offsets[1], *offsets[4::2]][:frames]


Table = Callable[[list[int], int], list[int]]
TABLES: list[Table] = [
    per_fragment,
    beyond_the_end,
    descending,
    between_fragments,
    too_few,
    all_zero,
    shuffled,
]


@pytest.mark.parametrize("syntax", ENCAPSULATED)
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("extended", [False, True])
def test_frames_in_two_fragments_are_found_whatever_the_offset_table_says(
    tmp_path: Path, syntax: UID, table: Table, *, extended: bool
) -> None:
    path = write_xa(tmp_path / "run", moving_frames(3), syntax=syntax)
    wanted = read(path)[0]
    whole = streams_of(path)
    parts = [part for stream in whole for part in (stream[:200], stream[200:])]
    offsets = list(np.cumsum([0] + [len(part) + 8 for part in parts])[:-1].tolist())
    wrong = table(offsets, 3)
    basic, elements = struct.pack(f"<{len(wrong)}I", *wrong), {}
    if extended:
        elements = {
            "ExtendedOffsetTable": struct.pack(f"<{len(wrong)}Q", *wrong),
            "ExtendedOffsetTableLengths": struct.pack("<3Q", *map(len, whole)),
        }
        basic = b""
    items = b"".join(b"\xfe\xff\x00\xe0" + len(part).to_bytes(4, "little") + part for part in [basic, *parts])
    with_pixels(path, items + DELIMITER, **elements)

    found, notes = read(path)

    np.testing.assert_array_equal(found, wanted)
    (said,) = notes
    assert ("ExtendedOffsetTable (7FE0,0001)" if extended else "Basic Offset Table") in said


@pytest.mark.parametrize(
    ("lengths", "said"), [([5, 5, 5], "wrong about 3 of 3"), ([5], "1 entries for 3"), (None, "")]
)
def test_lengths_of_an_extended_offset_table_that_are_wrong_are_said(
    tmp_path: Path, lengths: list[int] | None, said: str
) -> None:
    run = moving_frames(3)
    path = write_xa(tmp_path / "run", run, syntax=JPEG2000Lossless)
    data, offsets, whole = encapsulate_extended(streams_of(path))
    wrong = whole if lengths is None else struct.pack(f"<{len(lengths)}Q", *lengths)
    with_pixels(path, data, ExtendedOffsetTable=offsets, ExtendedOffsetTableLengths=wrong)

    found, notes = read(path)

    np.testing.assert_array_equal(found, run)
    assert len(notes) == bool(said)
    assert said in " ".join(notes)


@pytest.mark.parametrize("table", [beyond_the_end, descending, between_fragments, too_few, all_zero])
def test_frames_of_rle_are_one_fragment_each_whatever_the_offset_table_says(
    tmp_path: Path, table: Table
) -> None:
    run = moving_frames(3)
    path = write_xa(tmp_path / "run", run, syntax=RLELossless)
    parts = streams_of(path)
    offsets = list(np.cumsum([0] + [len(part) + 8 for part in parts for _ in range(2)])[:-1].tolist())
    wrong = table(offsets, 3)
    data = encapsulate(parts, has_bot=False)
    basic = struct.pack(f"<{len(wrong)}I", *wrong)
    with_pixels(path, b"\xfe\xff\x00\xe0" + len(basic).to_bytes(4, "little") + basic + data[8:])

    found, notes = read(path)

    np.testing.assert_array_equal(found, run)
    assert len(notes) == 1


@pytest.mark.parametrize("syntax", ENCAPSULATED, ids=lambda uid: uid.keyword)
def test_a_right_offset_table_or_none_is_not_spoken_of(tmp_path: Path, syntax: UID) -> None:
    path = write_xa(tmp_path / "run", syntax=syntax)
    streams = streams_of(path)
    for has_bot in (True, False):
        with_pixels(path, encapsulate(streams, has_bot=has_bot))
        assert read(path)[1] == ()


@pytest.mark.parametrize("syntax", ENCAPSULATED, ids=lambda uid: uid.keyword)
@pytest.mark.parametrize("end", [b"", DELIMITER[:3], DELIMITER[:4], bytes(10), b"\xfc\xff\xfc\xff"])
def test_whole_frames_without_their_delimiter_are_read(tmp_path: Path, syntax: UID, end: bytes) -> None:
    path = write_xa(tmp_path / "run", syntax=syntax)
    wanted = read(path)[0]
    content = path.read_bytes()
    assert content.endswith(DELIMITER)
    path.write_bytes(content[:-8] + end)

    found, notes = read(path)

    np.testing.assert_array_equal(found, wanted)
    if end != DELIMITER[:4]:
        assert notes == ("PixelData (7FE0,0010) ends without its sequence delimiter: all 4 frames are whole",)


@pytest.mark.parametrize("syntax", ENCAPSULATED, ids=lambda uid: uid.keyword)
def test_a_missing_frame_is_no_missing_delimiter(tmp_path: Path, syntax: UID) -> None:
    path = write_xa(tmp_path / "run", syntax=syntax)
    last = len(list(generate_fragments(dcmread(path).PixelData))[-1])
    path.write_bytes(path.read_bytes()[: -8 - last - 8])

    with pytest.raises(PixelError, match=r"NumberOfFrames \(0028,0008\) says 4"):
        read(path)


def test_a_last_frame_without_its_end_is_cut_short(tmp_path: Path) -> None:
    path = write_xa(tmp_path / "run", syntax=JPEGBaseline8Bit)
    streams = streams_of(path)
    with_pixels(path, encapsulate([*streams[:-1], streams[-1][:300]]))
    path.write_bytes(path.read_bytes()[:-8])

    with pytest.raises(PixelError, match="cut short: its last frame has no end"):
        read(path)


@pytest.mark.parametrize(
    ("syntax", "named"),
    [(a, b) for a in ENCAPSULATED for b in (ExplicitVRLittleEndian, *ENCAPSULATED) if a != b],
)
def test_streams_under_the_name_of_others_are_decoded_as_what_they_are(
    tmp_path: Path, syntax: UID, named: UID
) -> None:
    path = write_xa(tmp_path / "run", syntax=syntax)
    wanted = read(path)[0]
    write_meta(path, named)

    found, notes = read(path)

    np.testing.assert_array_equal(found, wanted)
    kind = "RLE" if syntax == RLELossless else "JPEG"
    said = f"TransferSyntaxUID (0002,0010) is '{named.name}', but 4 of 4 frames are {kind}"
    assert notes[0].startswith(said)
    (cine,) = find_series([path]).cines
    assert lossy_history(cine).lossy is (syntax == JPEGBaseline8Bit)


def test_frames_that_are_stored_otherwise_than_their_syntax_says_are_named(tmp_path: Path) -> None:
    path = write_xa(tmp_path / "frames")
    by_frame(path, path, DEFLATED_FRAMES)
    write_meta(path, ExplicitVRLittleEndian)
    with pytest.raises(
        PixelError, match=r"encapsulated frames .*, TransferSyntaxUID \(0002,0010\) 'Explicit"
    ):
        read(path)

    native = write_xa(tmp_path / "native")
    ds: Dataset = dcmread(native)
    ds.file_meta.TransferSyntaxUID = RLELossless
    ds["PixelData"].is_undefined_length = False
    content = native.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.5\0", 1)
    native.write_bytes(content)
    with pytest.raises(PixelError, match=r"uncompressed frames, TransferSyntaxUID \(0002,0010\) 'RLE"):
        read(native)


@pytest.mark.parametrize("change", [-10, 10])
def test_an_uncompressed_frame_of_another_length_is_found_before_it_is_read(
    tmp_path: Path, change: int
) -> None:
    path = write_xa(tmp_path / "run", moving_frames(bits=12), BitsStored=12)
    by_frame(path, path, UNCOMPRESSED_FRAMES)
    streams = streams_of(path)
    odd = streams[2][:change] if change < 0 else streams[2] + bytes(change)
    with_pixels(path, encapsulate([*streams[:2], odd, *streams[3:]]))
    (cine,) = find_series([path]).cines

    with pytest.raises(PixelError, match=f"a frame has {10240 + change} bytes, 10240 are wanted"):
        layout_notes(cine)


@pytest.mark.parametrize("bits", [8, 16])
def test_rle_of_words_of_another_width_is_found_before_it_is_decoded(tmp_path: Path, bits: int) -> None:
    path = write_xa(tmp_path / "run", moving_frames(bits=bits), syntax=RLELossless)
    other = 24 - bits
    ds = dcmread(path)
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = other, 8, 7
    ds.save_as(path)
    (cine,) = find_series([path]).cines

    with pytest.raises(PixelError, match=rf"{bits // 8} segments of a byte, BitsAllocated .* says {other}"):
        layout_notes(cine)


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless])
@pytest.mark.parametrize("left", [-2, -40, 150])
def test_a_frame_that_was_cut_short_within_a_whole_file_is_found_before_it_is_decoded(
    tmp_path: Path, syntax: UID, left: int
) -> None:
    path = write_xa(tmp_path / "run", syntax=syntax)
    streams = streams_of(path)
    with_pixels(path, encapsulate([streams[0], streams[1].rstrip(b"\0")[:left], *streams[2:]]))
    (cine,) = find_series([path]).cines

    with pytest.raises(PixelError, match=r"frame 2 is cut short: its JPEG.* stream has no end"):
        layout_notes(cine)


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless])
def test_padding_behind_the_end_of_a_stream_is_no_missing_end(tmp_path: Path, syntax: UID) -> None:
    path = write_xa(tmp_path / "run", syntax=syntax)
    wanted = read(path)[0]
    with_pixels(path, encapsulate([stream + bytes(40) for stream in streams_of(path)]))

    np.testing.assert_array_equal(read(path)[0], wanted)


@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, JPEGLSLossless, JPEG2000Lossless])
@pytest.mark.parametrize("groups", [[4], [1, 3], [2, 2]])
@pytest.mark.parametrize("delimiter", [DELIMITER, b""])
def test_frames_that_stand_behind_each_other_in_a_fragment_are_told_apart(
    tmp_path: Path, syntax: UID, groups: list[int], delimiter: bytes
) -> None:
    path = write_xa(tmp_path / "run", syntax=syntax)
    wanted = read(path)[0]
    streams = iter(streams_of(path))
    parts = [b"".join(next(streams) for _ in range(count)) for count in groups]
    with_pixels(path, encapsulate(parts, has_bot=False))
    path.write_bytes(path.read_bytes().removesuffix(DELIMITER) + delimiter)

    found, notes = read(path)

    np.testing.assert_array_equal(found, wanted)
    assert f"holds {len(groups)} fragments for 4 frames" in notes[0]


def test_fewer_streams_than_frames_are_no_run(tmp_path: Path) -> None:
    path = write_xa(tmp_path / "run", syntax=JPEGLSLossless)
    with_pixels(path, encapsulate([b"".join(streams_of(path)[:3])], has_bot=False))

    with pytest.raises(
        PixelError, match=r"holds 1 fragments, 1 streams, NumberOfFrames \(0028,0008\) says 4"
    ):
        read(path)


@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, JPEGLSLossless, JPEG2000Lossless])
def test_a_frame_that_is_no_stream_is_found_before_it_is_decoded(tmp_path: Path, syntax: UID) -> None:
    path = write_xa(tmp_path / "run", syntax=syntax)
    streams = streams_of(path)
    with_pixels(path, encapsulate([streams[0], b"\x01" + streams[1][1:], *streams[2:]]))
    (cine,) = find_series([path]).cines

    with pytest.raises(PixelError, match="frame 2 begins like no stream of"):
        layout_notes(cine)
