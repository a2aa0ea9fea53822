"""Compression of frames: lossless means bit for bit, lossy is what it says, memory stays flat.

What the programs of others make of whole objects is in tests/conversion/test_round_trips.py.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread, dcmwrite
from pydicom.dataelem import DataElement
from pydicom.encaps import generate_frames, parse_basic_offsets
from pydicom.tag import Tag
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from casgan_dicom.errors import ConfigError, OutputError
from casgan_dicom.pixels import compress
from casgan_dicom.pixels.compress import Compression, CompressionName, EncodedFrames, encode, encode_frame
from casgan_dicom.pixels.decode import iter_frames
from casgan_dicom.pixels.framefile import FrameFile
from casgan_dicom.pixels.lossy import lossy_history
from casgan_dicom.source.series import find_series
from tests.support.encoded import frame_file, noisy_frames, secondary_capture, write_encoded
from tests.support.factories import Frames, moving_frames
from tests.support.readers import by_gdcm, by_pydicom, by_simpleitk

LOSSLESS = [Compression("none"), Compression("rle"), Compression("jpegls"), Compression("j2k")]
ENCAPSULATED = [*LOSSLESS[1:], Compression("jpeg", 90)]


def name_of(value: object) -> str | None:
    return value.name if isinstance(value, Compression) else getattr(value, "__name__", None)


def marker_segment(stream: bytes, marker: bytes) -> bytes:
    """What follows a marker and its length."""
    at = stream.index(marker) + 4
    return stream[at : at + 40]


def ours(path: Path) -> Frames:
    """Our own decoder."""
    (cine,) = find_series([path]).cines
    return np.stack(list(iter_frames(cine)))


def streams_of(encoded: EncodedFrames, frames: int) -> list[bytes]:
    """The frames of an encapsulated value."""
    return list(generate_frames(encoded.file.read(), number_of_frames=frames))


@pytest.mark.parametrize(
    ("compression", "syntax", "method"),
    [
        (Compression(), ExplicitVRLittleEndian, None),
        (Compression("rle"), RLELossless, None),
        (Compression("jpegls"), JPEGLSLossless, None),
        (Compression("j2k"), JPEG2000Lossless, None),
        (Compression("jpeg", 75), JPEGBaseline8Bit, "ISO_10918_1"),
    ],
    ids=name_of,
)
def test_each_compression_names_its_syntax_and_what_it_loses(
    compression: Compression, syntax: str, method: str | None
) -> None:
    assert (compression.syntax, compression.lossy_method) == (syntax, method)


@pytest.mark.parametrize(
    ("name", "quality", "complaint"),
    [
        ("zip", None, "'zip', need one of none, rle, jpegls, j2k, jpeg"),
        ("jpeg", None, "1 to 100, found None"),
        ("jpeg", 0, "1 to 100, found 0"),
        ("jpeg", 101, "1 to 100, found 101"),
        ("rle", 90, "rle has no quality, found 90"),
        ("none", 90, "none has no quality, found 90"),
    ],
)
def test_a_compression_that_makes_no_sense_is_refused_when_it_is_named(
    name: CompressionName, quality: int | None, complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint):
        Compression(name, quality)


@pytest.mark.parametrize("bits", [9, 12, 16])
def test_jpeg_of_more_than_eight_bits_is_refused_before_a_frame_is_encoded(bits: int) -> None:
    run, spool = noisy_frames(1, 64, 80, bits), io.BytesIO()

    for attempt in (
        lambda: Compression("jpeg", 90).check_bits(bits),
        lambda: encode_frame(run[0], bits, Compression("jpeg", 90)),
        lambda: encode(frame_file(run, bits), Compression("jpeg", 90), spool),
    ):
        with pytest.raises(ConfigError, match=f"8 bits, found {bits}") as caught:
            attempt()
        assert "jpegls" in caught.value.hint

    assert spool.getvalue() == b""


@pytest.mark.parametrize("frames", [1, 2, 33])
@pytest.mark.parametrize("shape", [(64, 64), (129, 67)])
@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("compression", LOSSLESS, ids=name_of)
def test_any_number_and_size_of_frames_comes_out_as_it_went_in(
    tmp_path: Path, compression: Compression, bits: int, shape: tuple[int, int], frames: int
) -> None:
    run = noisy_frames(frames, *shape, bits)
    path = tmp_path / "run.dcm"
    write_encoded(path, run, bits, compression)

    np.testing.assert_array_equal(by_pydicom(path), run)


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("kind", ["noise", "black", "white", "dark"])
@pytest.mark.parametrize("compression", LOSSLESS, ids=name_of)
def test_frames_that_no_encoder_likes_come_out_bit_for_bit(
    tmp_path: Path, compression: Compression, kind: str, bits: int
) -> None:
    """Noise grows; flat frames are one run; dark ones of 12 bits would fit into 8."""
    top = {"noise": 2**bits, "black": 1, "white": 2**bits, "dark": 20}[kind]
    low = 2**bits - 1 if kind == "white" else 0
    values = np.random.default_rng(5).integers(low, top, (2, 64, 80))
    run: Frames = values.astype(np.uint8 if bits == 8 else np.uint16)
    path = tmp_path / "run.dcm"
    write_encoded(path, run, bits, compression)

    for reader in (by_simpleitk, by_pydicom):
        np.testing.assert_array_equal(reader(path), run)


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_a_stream_declares_the_precision_of_the_bits_stored(bits: int) -> None:
    """A reader that trusts the stream shows 12 bits as 12, not as 16 (PS3.5 8.2.3, 8.2.4)."""
    (frame,) = noisy_frames(1, 64, 80, bits)

    j2k = marker_segment(encode_frame(frame, bits, Compression("j2k")), b"\xff\x51")  # SIZ
    jpegls = marker_segment(encode_frame(frame, bits, Compression("jpegls")), b"\xff\xf7")  # SOF 55

    assert j2k[36] == bits - 1  # Ssiz: unsigned, precision less one
    assert jpegls[0] == bits


@pytest.mark.parametrize("compression", ENCAPSULATED, ids=name_of)
def test_every_stream_has_an_even_length(compression: Compression) -> None:
    lengths = [len(encode_frame(frame, 8, compression)) for frame in noisy_frames(12, 65, 67, 8)]

    assert len(set(lengths)) > 1  # else one lucky length would do
    assert not [length for length in lengths if length % 2]


@pytest.mark.parametrize(
    "frame",
    [
        np.full((64, 80), 4096, np.uint16),
        np.zeros((64, 80), np.uint8),
        np.zeros((64, 80), np.int16),
        np.zeros((2, 64, 80), np.uint16),
    ],
    ids=["13 bits", "bytes", "signed", "two frames"],
)
@pytest.mark.parametrize("compression", LOSSLESS, ids=name_of)
def test_a_frame_that_is_not_what_was_promised_is_an_error(compression: Compression, frame: Frames) -> None:
    with pytest.raises(ValueError, match="12 bits"):
        encode_frame(frame, 12, compression)


@pytest.mark.parametrize("compression", [Compression("jpegls"), Compression("j2k")], ids=name_of)
def test_a_frame_that_the_encoder_refuses_is_an_error_with_its_size(compression: Compression) -> None:
    with pytest.raises(OutputError, match=r"a frame of 1 × 3 cannot be encoded as JPEG"):
        encode_frame(np.array([[0, 200, 13]], np.uint8), 8, compression)


@pytest.mark.parametrize("bits", [8, 12])
def test_uncompressed_frames_are_their_own_value(bits: int) -> None:
    run, spool = noisy_frames(3, 65, 67, bits), io.BytesIO()
    frames = frame_file(run, bits)
    frames.read(2)  # leaves the file elsewhere

    encoded = encode(frames, Compression(), spool)

    assert encoded.file is frames.file
    assert (encoded.vr, encoded.ratio, spool.getvalue()) == ("OB" if bits == 8 else "OW", 1.0, b"")
    assert encoded.file.read()[: run.nbytes] == run.tobytes()


@pytest.mark.parametrize("compression", ENCAPSULATED, ids=name_of)
def test_each_frame_is_one_fragment_that_the_offset_table_finds(compression: Compression) -> None:
    run = noisy_frames(5, 64, 80, 8)

    value = encode(frame_file(run, 8), compression, io.BytesIO()).file.read()

    offsets = parse_basic_offsets(io.BytesIO(value))
    base = 8 + 4 * len(offsets)
    assert int.from_bytes(value[4:8], "little") == 4 * 5
    for frame, at in zip(run, offsets, strict=True):
        stream = encode_frame(frame, 8, compression)
        assert value[base + at :].startswith(b"\xfe\xff\x00\xe0" + len(stream).to_bytes(4, "little") + stream)
    last = base + offsets[-1]
    assert len(value) == last + 8 + int.from_bytes(value[last + 4 : last + 8], "little")


@pytest.mark.parametrize("compression", ENCAPSULATED, ids=name_of)
def test_the_ratio_is_that_of_the_bytes_before_and_after(compression: Compression) -> None:
    run = noisy_frames(4, 64, 80, 8)

    encoded = encode(frame_file(run, 8), compression, io.BytesIO())

    assert encoded.ratio == run.nbytes / sum(map(len, streams_of(encoded, 4)))


def test_a_lossy_ratio_is_the_one_that_our_reader_measures(tmp_path: Path) -> None:
    path = tmp_path / "run.dcm"
    encoded = write_encoded(path, noisy_frames(4, 64, 80, 8), 8, Compression("jpeg", 60))
    ds = dcmread(path)
    for keyword in ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"):
        delattr(ds, keyword)
    ds.save_as(path)

    history = lossy_history(find_series([path]).cines[0])

    assert history.methods == ("ISO_10918_1",)
    assert history.ratios[0] == pytest.approx(encoded.ratio, rel=1e-4)  # stored to four places


@pytest.mark.parametrize("compression", ENCAPSULATED, ids=name_of)
def test_offsets_beyond_32_bits_leave_the_table_empty_and_the_frames_readable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compression: Compression
) -> None:
    """The limit is lowered: 4 GiB of frames would take minutes."""
    monkeypatch.setattr(compress, "_LARGEST_OFFSET", 1000)
    run = noisy_frames(4, 65, 67, 8)
    path = tmp_path / "run.dcm"

    write_encoded(path, run, 8, compression)

    assert dcmread(path).PixelData.startswith(b"\xfe\xff\x00\xe0\0\0\0\0\xfe\xff\x00\xe0")
    for reader in (by_gdcm, by_simpleitk, by_pydicom, ours):
        error = np.abs(reader(path).astype(int) - run)
        assert error.max() <= (
            12 if compression.lossy_method else 0
        )  # as with a table: tests/conversion/test_round_trips.py


def test_the_last_offset_that_fits_is_still_in_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    frames, rle = frame_file(noisy_frames(3, 64, 80, 8), 8), Compression("rle")
    last = parse_basic_offsets(encode(frames, rle, io.BytesIO()).file)[-1]

    found = []
    for limit in (last, last - 1):
        monkeypatch.setattr(compress, "_LARGEST_OFFSET", limit)
        found.append(len(parse_basic_offsets(encode(frames, rle, io.BytesIO()).file)))

    assert found == [3, 0]


def test_a_spool_that_was_used_before_holds_nothing_of_it(tmp_path: Path) -> None:
    long, short = noisy_frames(6, 64, 80, 8), noisy_frames(2, 64, 80, 8)
    with (tmp_path / "spool").open("w+b") as spool:
        encode(frame_file(long, 8), Compression("rle"), spool)
        spool.seek(0)

        encoded = encode(frame_file(short, 8), Compression("rle"), spool)

        alone = encode(frame_file(short, 8), Compression("rle"), io.BytesIO())
        assert encoded.file.read() == alone.file.read()


def test_a_value_may_stand_behind_what_the_spool_holds(tmp_path: Path) -> None:
    frames, rle = frame_file(noisy_frames(2, 64, 80, 8), 8), Compression("rle")
    spool = io.BytesIO(b"kept" + bytes(100_000))
    spool.seek(4)

    value = encode(frames, rle, spool).file.read()

    assert value == encode(frames, rle, io.BytesIO()).file.read()
    assert spool.getvalue() == b"kept" + value


@pytest.mark.parametrize("compression", [*LOSSLESS, Compression("jpeg", 90)], ids=name_of)
def test_a_written_object_can_be_written_again_from_the_same_file(
    tmp_path: Path, compression: Compression
) -> None:
    """pydicom puts the file back to where the value begins."""
    run = noisy_frames(3, 65, 67, 8)
    encoded = encode(frame_file(run, 8), compression, io.BytesIO())
    ds = secondary_capture(run, 8)
    ds.file_meta.TransferSyntaxUID = encoded.syntax
    ds.add(DataElement(Tag("PixelData"), encoded.vr, encoded.file))

    for name in ("one", "two"):
        dcmwrite(tmp_path / name, ds, enforce_file_format=True)

    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_jpeg_gets_smaller_and_worse_as_its_quality_falls() -> None:
    (frame,) = noisy_frames(1, 256, 256, 8)

    streams = [encode_frame(frame, 8, Compression("jpeg", quality)) for quality in (100, 95, 80, 50, 20, 1)]

    errors = [np.abs(np.asarray(Image.open(io.BytesIO(one))).astype(int) - frame).mean() for one in streams]
    sizes = [len(one) for one in streams]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == len(sizes)
    assert errors == sorted(errors)
    assert errors[0] < 0.5


@pytest.mark.parametrize("name", get_args(CompressionName))
def test_memory_does_not_grow_with_the_run(tmp_path: Path, name: CompressionName) -> None:
    compression = Compression(name, 90 if name == "jpeg" else None)

    def peak(frames: int) -> int:
        run = moving_frames(frames, 128, 128)
        with (tmp_path / "raw").open("w+b") as raw, (tmp_path / "spool").open("w+b") as spool:
            raw.write(run.tobytes())
            source = FrameFile(raw, frames, 128, 128, "", 8)
            ds = secondary_capture(run, 8)
            tracemalloc.start()
            encoded = encode(source, compression, spool)
            ds.file_meta.TransferSyntaxUID = encoded.syntax
            ds.add(DataElement(Tag("PixelData"), encoded.vr, encoded.file))
            dcmwrite(tmp_path / "object", ds, enforce_file_format=True, overwrite=True)
            used = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        return used

    peak(4)  # what is imported or cached on first use
    few, many = peak(8), peak(160)

    # Of 152 frames more: four, and half a kilobyte each that pylibjpeg-openjpeg 2.6 does not give back.
    assert many < few + 4 * 128 * 128 + 152 * 600


GROWTH = """
import resource, sys, tempfile
from pathlib import Path
from casgan_dicom.pixels.compress import Compression, encode
from tests.support.encoded import frame_file
from tests.support.factories import moving_frames

name, bits = sys.argv[1], int(sys.argv[2])
compression = Compression(name, 90 if name == "jpeg" else None)
frames = frame_file(moving_frames(40, 128, 128, bits), bits)

def held_after(times):
    for _ in range(times):
        with tempfile.TemporaryFile() as spool:
            encode(frames, compression, spool)
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

before = held_after(2)
print(held_after(8) - before)
"""
"""Encodes 320 frames after 80, and prints how much more memory is held then."""


@pytest.mark.parametrize(("name", "bits"), [("rle", 12), ("jpegls", 12), ("j2k", 12), ("jpeg", 8)])
def test_encoders_keep_nothing_of_a_frame(name: str, bits: int) -> None:
    """What libraries of C allocate, the interpreter does not count; the system does."""
    command = [sys.executable, "-c", GROWTH, name, str(bits)]

    result = subprocess.run(command, check=True, capture_output=True, text=True)

    assert int(result.stdout) < 2 * 2**20  # 320 frames are 5 or 10 MiB; what allocators keep in hand varies
