"""Streams that ask for more than their size: refused before they are decoded, or bounded while they are."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import jpeg_ls  # type: ignore[import-untyped]
import numpy as np
import pytest
from openjpeg.utils import encode_array
from pydicom import dcmread
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    UID,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from casgan_dicom.conversion.inspection import inspect
from casgan_dicom.errors import PixelError
from casgan_dicom.pixels import decoder_child
from casgan_dicom.pixels.compress import Compression, CompressionName
from casgan_dicom.pixels.decode import iter_frames
from casgan_dicom.pixels.decoder_process import DecodeError, DecoderProcess, Way, decoder_process
from casgan_dicom.verification.verify import verify_file
from tests.pixels.test_decoder_process import baseline_jpeg, lossless_jpeg
from tests.support.cines import cine_of
from tests.support.encoders import with_streams
from tests.support.factories import Frames, moving_frames, write_xa
from tests.support.honest import write_frame

FRAME = moving_frames(1)[0]
SHAPE = (64, 80)
HUGE = 60000


def jpegls(frame: Frames) -> bytes:
    return bytes(jpeg_ls.encode_array(frame))


def sized(stream: bytes, kind: str, rows: int, columns: int) -> bytes:
    """The stream with other words about its size."""
    if kind == "J2K":
        return stream[:8] + struct.pack(">II", columns, rows) + stream[16:]
    at = min(at for marker in (0xC0, 0xC3, 0xF7) if (at := stream.find(bytes([0xFF, marker]))) > 0)
    return stream[: at + 5] + struct.pack(">HH", rows, columns) + stream[at + 9 :]


STREAMS: dict[str, tuple[UID, bytes]] = {
    "baseline": (JPEGBaseline8Bit, baseline_jpeg(FRAME)),
    "lossless": (JPEGLosslessSV1, lossless_jpeg(FRAME, 8)),
    "JPEG-LS": (JPEGLSLossless, jpegls(FRAME)),
    "J2K": (JPEG2000Lossless, bytes(encode_array(FRAME, photometric_interpretation=2))),
}


@pytest.mark.parametrize("kind", STREAMS)
@pytest.mark.parametrize(
    ("rows", "columns"), [(HUGE, HUGE), (64, HUGE), (63, 80), (64, 81), (0, 80), (64, 0)]
)
def test_a_stream_of_another_size_than_the_header_is_refused_undecoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, rows: int, columns: int
) -> None:
    syntax, stream = STREAMS[kind]
    hostile = sized(stream, kind, rows, columns)
    path = with_streams(tmp_path / "run", FRAME[np.newaxis], [hostile], syntax, 8)
    monkeypatch.setattr(DecoderProcess, "_send", lambda *_: pytest.fail("it was sent to the decoder"))

    with pytest.raises(PixelError, match=r"encoded as|do not say their size"):
        list(iter_frames(cine_of(path)))


@pytest.mark.parametrize("kind", STREAMS)
def test_so_does_the_dry_run(tmp_path: Path, kind: str) -> None:
    syntax, stream = STREAMS[kind]
    path = with_streams(tmp_path / "run", FRAME[np.newaxis], [sized(stream, kind, HUGE, HUGE)], syntax, 8)

    (found,) = inspect([path]).cines

    assert any(f"encoded as {HUGE} × {HUGE}" in reason.text for reason in found.reasons)


@pytest.mark.parametrize(("kind", "at"), [("baseline", 9), ("JPEG-LS", 9)])
def test_a_stream_of_several_components_is_refused(tmp_path: Path, kind: str, at: int) -> None:
    syntax, stream = STREAMS[kind]
    marker = b"\xff\xc0" if kind == "baseline" else b"\xff\xf7"
    place = stream.index(marker) + at
    path = with_streams(
        tmp_path / "run", FRAME[np.newaxis], [stream[:place] + b"\x03" + stream[place + 1 :]], syntax, 8
    )

    with pytest.raises(PixelError, match="3 components"):
        list(iter_frames(cine_of(path)))


def tiny_tiles(stream: bytes) -> bytes:
    """J2K that says it has a tile for each pixel."""
    return stream[:24] + struct.pack(">II", 1, 1) + stream[32:]


def test_a_wavelet_of_a_million_tiles_is_an_error_and_no_memory(tmp_path: Path) -> None:
    frame = moving_frames(1, 1024, 1024)[0]
    stream = tiny_tiles(bytes(encode_array(frame, photometric_interpretation=2)))
    path = with_streams(tmp_path / "run", frame[np.newaxis], [stream], JPEG2000Lossless, 8)

    with pytest.raises(PixelError, match="cannot be decoded"):
        list(iter_frames(cine_of(path)))


LIBRARY = """
import resource, sys, time
def {name}(*_, **__):
    {body}
"""
GREEDY = "return (bytes(2**31), {})"
BUSY = "while True: pass"


LIBRARIES = {"charls": ("jpeg_ls", "decode_pixel_data"), "jpegxl_decode": ("imagecodecs", "jpegxl_decode")}


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(
    ("body", "message"),
    [(GREEDY, "more memory than a stream of its size"), (BUSY, "took more than 1 seconds of the processor")],
)
def test_what_a_decoder_takes_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str, body: str, message: str
) -> None:
    """Whatever fault of a library a stream may find."""
    module, function = LIBRARIES[library]
    (tmp_path / f"{module}.py").write_text(LIBRARY.format(name=function, body=body))
    script = Path(decoder_child.__file__).read_text().replace("CPU_SECONDS = 60", "CPU_SECONDS = 1")
    (tmp_path / "child.py").write_text(script)
    monkeypatch.setattr(decoder_child, "__file__", str(tmp_path / "child.py"))
    monkeypatch.setattr(decoder_child, "CPU_SECONDS", 1)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    stream = STREAMS["JPEG-LS"][1]

    with DecoderProcess() as process, pytest.raises(DecodeError, match=message):
        list(process.decode(iter([stream]), Way(library, JPEGLSLossless, SHAPE)))


def test_no_answer_is_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("casgan_dicom.pixels.decoder_process.SECONDS", 0.5)
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    pipe = subprocess.PIPE
    monkeypatch.setattr(
        "casgan_dicom.pixels.decoder_process._start",
        lambda: subprocess.Popen(command, stdin=pipe, stdout=pipe, bufsize=0),
    )

    with (
        DecoderProcess() as process,
        pytest.raises(DecodeError, match=r"no answer of the decoder in 0\.5 seconds"),
    ):
        list(process.decode(iter([STREAMS["JPEG-LS"][1]]), Way("charls", JPEGLSLossless, SHAPE)))


def test_a_process_that_is_shared_never_mixes_up_answers() -> None:
    """Nobody took the second frame of the first run: the next run must not get it."""
    other = np.ascontiguousarray(FRAME[::-1])
    way = Way("charls", JPEGLSLossless, SHAPE)
    with decoder_process() as process:
        first = process.decode(iter([jpegls(FRAME)] * 3), way)
        np.testing.assert_array_equal(next(first), FRAME)
        first.close()  # type: ignore[attr-defined]
        with decoder_process() as again:
            assert again is process
            (words,) = again.decode(iter([jpegls(other)]), way)

    np.testing.assert_array_equal(words, other)


def test_a_process_that_died_is_started_again() -> None:
    broken = lossless_jpeg(FRAME, 8)
    broken = broken[:15] + b"\0" + broken[16:]  # a Huffman table without its marker: GDCM 3.2 aborts
    way = Way("gdcm", JPEGLosslessSV1, SHAPE)
    with DecoderProcess() as process:
        with pytest.raises(DecodeError):
            list(process.decode(iter([broken]), way))
        (words,) = process.decode(iter([lossless_jpeg(FRAME, 8)]), way)

    np.testing.assert_array_equal(words, FRAME)


@pytest.mark.parametrize("name", ["jpegls", "j2k"])
def test_verify_decodes_nothing_that_is_larger_than_the_header_says(
    tmp_path: Path, name: CompressionName
) -> None:
    """A file that somebody hands in to be verified may be as hostile as one to be converted."""
    source = cine_of(write_xa(tmp_path / "source", moving_frames(2, 256, 256)))
    path = write_frame(source, tmp_path / "derived.dcm", compression=Compression(name))
    assert verify_file(path) == []
    ds = dcmread(path)
    (stream,) = generate_frames(ds.PixelData, number_of_frames=1)
    kind = {"jpegls": "JPEG-LS", "j2k": "J2K"}[name]
    ds.PixelData = encapsulate([sized(stream, kind, HUGE, HUGE)])
    ds.save_as(path)

    found = verify_file(path)

    assert [one.rule for one in found] == ["banner-pixels"]
    assert "cannot be decoded (DecodeError)" in found[0].message


def rle_stream(*segments: bytes) -> bytes:
    """A stream of RLE Lossless of these segments (PS3.5 G.5)."""
    starts = [64 + sum(map(len, segments[:k])) for k in range(len(segments))]
    return struct.pack("<16I", len(segments), *starts, *[0] * (15 - len(segments))) + b"".join(segments)


_BOMB = """
import resource, sys
from casgan_dicom.errors import PixelError
from casgan_dicom.pixels.decode import iter_frames
from tests.support.cines import cine_of
from pathlib import Path
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    list(iter_frames(cine_of(Path(sys.argv[1]))))
except PixelError as error:
    print(error.message)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_a_stream_of_rle_that_holds_more_than_its_frame_takes_no_memory(tmp_path: Path) -> None:
    """1.3 MB in runs of 128 bytes stand for 84 MB; the frame has 5,120 bytes, and 1 MiB may be anything."""
    stream = rle_stream(b"\x81\0" * 530_000)
    path = with_streams(tmp_path / "x.dcm", moving_frames(1), [stream], RLELossless, 8)

    done = subprocess.run([sys.executable, "-c", _BOMB, path], capture_output=True, text=True, check=True)

    message, grown = done.stdout.splitlines()
    assert "a segment of RLE holds more than the 5120 bytes of a frame" in message
    assert int(grown) < 60


@pytest.mark.parametrize("kind", ["JPEG-LS", "baseline", "RLE"])
def test_a_frame_that_is_encoded_in_many_times_its_bytes_is_refused_unread(tmp_path: Path, kind: str) -> None:
    syntax, stream = (RLELossless, rle_stream(b"\x7f" * 100)) if kind == "RLE" else STREAMS[kind]
    longer = stream + bytes(2**20 + 4 * 5120)
    path = with_streams(tmp_path / "x.dcm", moving_frames(1), [longer], syntax, 8)

    with pytest.raises(PixelError, match="a frame of 5120 bytes is encoded in"):
        list(iter_frames(cine_of(path)))
