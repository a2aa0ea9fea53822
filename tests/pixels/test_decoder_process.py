"""JPEG in a process of its own: values as another encoder wrote them, and no stream that harms the caller."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import UID, JPEGBaseline8Bit, JPEGLossless, JPEGLosslessSV1

from casgan_dicom.errors import PixelError
from casgan_dicom.pixels import decoder_child, decoder_process
from casgan_dicom.pixels.codestream import stream_header
from casgan_dicom.pixels.decode import iter_frames
from casgan_dicom.pixels.decoder_process import DecodeError, DecoderProcess, Way
from casgan_dicom.source.series import find_series
from tests.support.factories import Frames, moving_frames, write_xa, write_xa_single_frames

LOSSLESS = Way("gdcm", JPEGLosslessSV1, (64, 80))
DHT_AT = 15
"""Where the marker of the Huffman table begins in a stream of `lossless_jpeg`."""


def segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2) + content


def lossless_jpeg(frame: Frames, bits: int) -> bytes:
    """Encode by ITU-T T.81 Annex H: predictor 1, one Huffman table of 17 codes of five bits."""
    values = frame.astype(int)
    predicted = np.full(values.shape, 1 << (bits - 1))
    predicted[1:, 0] = values[:-1, 0]
    predicted[:, 1:] = values[:, :-1]
    scan = ""
    for difference in ((values - predicted + 32767) % 65536 - 32767).ravel().tolist():
        size = abs(difference).bit_length()
        extra = size if size < 16 else 0
        low = difference if difference > 0 else difference + (1 << size) - 1
        scan += f"{size:05b}" + (f"{low:0{extra}b}" if extra else "")
    scan += "1" * (-len(scan) % 8)
    rows, columns = frame.shape
    return b"".join(
        [
            b"\xff\xd8",
            segment(0xC3, bytes([bits, *rows.to_bytes(2), *columns.to_bytes(2), 1, 1, 0x11, 0])),
            segment(0xC4, bytes([0, 0, 0, 0, 0, 17, *[0] * 11, *range(17)])),
            segment(0xDA, bytes([1, 1, 0, 1, 0, 0])),
            int(scan, 2).to_bytes(len(scan) // 8).replace(b"\xff", b"\xff\x00"),
            b"\xff\xd9",
        ]
    )


def baseline_jpeg(frame: Frames, options: Mapping[str, Any] = MappingProxyType({})) -> bytes:
    """Encode by Pillow, with options of its JPEG writer."""
    stream = io.BytesIO()
    Image.fromarray(frame).save(stream, format="JPEG", quality=90, **options)
    return stream.getvalue()


def deadly(stream: bytes) -> bytes:
    """A stream whose Huffman table has lost its marker: GDCM 3.2 aborts."""
    return stream[:DHT_AT] + b"\0" + stream[DHT_AT + 1 :]


def store(path: Path, streams: list[bytes], syntax: UID = JPEGLosslessSV1, fragments: int = 1) -> Path:
    """Put streams into a file as its Pixel Data."""
    ds = dcmread(path)
    ds.file_meta.TransferSyntaxUID = syntax
    ds.PixelData = encapsulate([stream + bytes(len(stream) % 2) for stream in streams], fragments)
    ds["PixelData"].VR = "OB"
    ds.save_as(path)
    return path


def decoded(path: Path) -> Frames:
    (cine,) = find_series([path]).cines
    return np.stack(list(iter_frames(cine)))


def run_child(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Let a Python program of one line take the place of the child."""
    start = subprocess.Popen
    pipe = subprocess.PIPE
    monkeypatch.setattr(
        decoder_process,
        "_start",
        lambda: start([sys.executable, "-c", code], stdin=pipe, stdout=pipe, bufsize=0),
    )


def decoders() -> list[str]:
    """Children of this process that decode or did, the dead that nobody waited for included."""
    tasks = Path("/proc/self/task").iterdir()
    pids = [pid for task in tasks for pid in (task / "children").read_text().split()]
    said = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in pids}
    return [
        pid for pid, command in said.items() if not command or str(decoder_child.__file__).encode() in command
    ]


@pytest.mark.parametrize("syntax", [JPEGLossless, JPEGLosslessSV1])
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_lossless_frames_come_out_as_another_encoder_wrote_them(
    tmp_path: Path, syntax: UID, bits: int
) -> None:
    run = moving_frames(3, 64, 80, bits)
    path = write_xa(tmp_path / "run", run, BitsStored=bits)
    store(path, [lossless_jpeg(frame, bits) for frame in run], syntax)

    np.testing.assert_array_equal(decoded(path), run)


def test_a_run_of_single_frames_shares_one_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = moving_frames(5)
    for path, frame in zip(write_xa_single_frames(tmp_path, run), run, strict=True):
        store(path, [lossless_jpeg(frame, 8)])
    start = Mock(wraps=decoder_process._start)
    monkeypatch.setattr(decoder_process, "_start", start)

    np.testing.assert_array_equal(decoded(tmp_path), run)
    assert start.call_count == 1


@pytest.mark.parametrize("at", [0, 2])
def test_a_stream_that_kills_the_decoder_is_an_error_and_no_more(tmp_path: Path, at: int) -> None:
    run = moving_frames(3, bits=12)
    path = write_xa(tmp_path / "run", run, BitsStored=12)
    streams = [lossless_jpeg(frame, 12) for frame in run]
    streams[at] = deadly(streams[at])
    (cine,) = find_series([store(path, streams)]).cines

    with pytest.raises(PixelError, match=cine.instances[0].sop_instance_uid) as caught:
        list(iter_frames(cine))

    assert "the decoder was ended by SIG" in caught.value.message
    assert not decoders()


def test_a_stream_that_kills_the_decoder_says_nothing_on_stderr(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = moving_frames(1, bits=12)
    path = store(write_xa(tmp_path / "run", run, BitsStored=12), [deadly(lossless_jpeg(run[0], 12))])

    with pytest.raises(PixelError):
        decoded(path)

    assert capfd.readouterr().err == ""


def test_an_end_marker_in_the_middle_of_a_lossless_scan_is_an_error(tmp_path: Path) -> None:
    run = moving_frames(2, bits=12)
    streams = [lossless_jpeg(frame, 12) for frame in run]
    streams[1] = streams[1][:3000].rstrip(b"\xff") + b"\xff\xd9"
    path = store(write_xa(tmp_path / "run", run, BitsStored=12), streams)

    with pytest.raises(PixelError, match="premature end"):
        decoded(path)


@pytest.mark.parametrize("rest", ["padding", "old end", "nothing"])
@pytest.mark.parametrize("at", [0, 2])
def test_an_end_marker_in_the_middle_of_a_baseline_scan_is_an_error(
    tmp_path: Path, rest: str, at: int
) -> None:
    """libjpeg makes up the rows that are missing, and warns where nobody listens."""
    run = moving_frames(3)
    streams = [baseline_jpeg(frame) for frame in run]
    lost = len(streams[at]) // 4
    cut = streams[at][:-lost].rstrip(b"\xff") + b"\xff\xd9"
    tails = {"padding": bytes(lost), "old end": bytes(lost) + b"\xff\xd9", "nothing": b""}
    streams[at] = cut + tails[rest]
    path = store(write_xa(tmp_path / "run", run), streams, JPEGBaseline8Bit)

    with pytest.raises(PixelError, match="premature end"):
        decoded(path)


@pytest.mark.parametrize("fragments", [1, 3])
def test_padding_fill_bytes_restarts_comments_and_several_scans_are_legal(
    tmp_path: Path, fragments: int
) -> None:
    run = moving_frames(4)
    options: list[dict[str, Any]] = [
        {"restart_marker_rows": 1},
        {"comment": b"a\xff\xd9b"},
        {"optimize": True},
        {"progressive": True},
    ]
    whole = [baseline_jpeg(frame, option) for frame, option in zip(run, options, strict=True)]
    legal = [stream[:-2] + b"\xff" * 5 + b"\xff\xd9" + bytes(8) for stream in whole]
    path = store(write_xa(tmp_path / "run", run), legal, JPEGBaseline8Bit, fragments)

    ours = decoded(path).astype(int)

    theirs = np.stack([np.asarray(Image.open(io.BytesIO(stream)), dtype=int) for stream in whole])
    assert np.abs(ours - theirs).max() <= 1  # decoders may round the inverse DCT differently


def test_an_extended_offset_table_is_followed(tmp_path: Path) -> None:
    """It skips what lies between the frames: here, a fragment of no frame."""
    run = moving_frames(2)
    streams = [lossless_jpeg(frame, 8) for frame in run]
    even = [stream + bytes(len(stream) % 2) for stream in streams]
    ds = dcmread(path := store(write_xa(tmp_path / "run", run), even))
    ds.PixelData = encapsulate([even[0], even[0], even[1]], has_bot=False)
    ds["PixelData"].VR = "OB"
    offsets = 0, 2 * (len(even[0]) + 8)
    ds.ExtendedOffsetTable = struct.pack("<2Q", *offsets)
    ds.ExtendedOffsetTableLengths = struct.pack("<2Q", *map(len, even))
    ds.save_as(path)

    np.testing.assert_array_equal(decoded(path), run)


def test_a_stream_of_fewer_bits_than_the_header_says_is_an_error(tmp_path: Path) -> None:
    run = moving_frames(2)
    path = write_xa(tmp_path / "run", run.astype(np.uint16), BitsStored=12)
    store(path, [baseline_jpeg(frame) for frame in run], JPEGBaseline8Bit)

    with pytest.raises(PixelError, match=r"encoded with 8 bits, BitsStored \(0028,0101\) says 12"):
        decoded(path)


def test_a_stream_that_lacks_nothing_but_its_end_marker_is_read() -> None:
    frame = moving_frames(1, bits=12)[0]

    with DecoderProcess() as decoder:
        (values,) = decoder.decode(iter([lossless_jpeg(frame, 12)[:-2]]), LOSSLESS)

    np.testing.assert_array_equal(values, frame)


def test_closing_early_ends_the_child(tmp_path: Path) -> None:
    run = moving_frames(4)
    path = store(write_xa(tmp_path / "run", run), [lossless_jpeg(frame, 8) for frame in run])
    (cine,) = find_series([path]).cines
    frames = iter_frames(cine)
    np.testing.assert_array_equal(next(frames), run[0])
    assert len(decoders()) == 1

    frames.close()  # type: ignore[attr-defined]

    assert not decoders()


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("raise SystemExit(3)", "ended early with exit code 3"),
        ("import os; os.abort()", "was ended by SIGABRT"),
        ("print('x' * 30)", "bytes, 5120 are wanted"),
        ("import sys; sys.stdout.buffer.write(b'\\1\\0\\x14\\0\\0\\0\\0\\0\\0abc')", "exit code 0"),
        (
            "import sys; sys.stdout.buffer.write(b'\\1\\1\\x14\\0\\0\\0\\0\\0\\0' + b'a' * 9000)",
            "5121 bytes, 5120",
        ),
    ],
)
def test_a_child_that_dies_or_answers_nonsense_is_an_error(
    monkeypatch: pytest.MonkeyPatch, code: str, message: str
) -> None:
    run_child(monkeypatch, code)
    stream = lossless_jpeg(moving_frames(1)[0], 8)

    with DecoderProcess() as decoder, pytest.raises(DecodeError, match=message):
        list(decoder.decode(iter([stream]), LOSSLESS))

    assert not decoders()


@pytest.mark.parametrize("stream", [b"", b"\xa5" * 500, b"\xff\xd8\xff\xd9"])
def test_what_is_no_jpeg_never_reaches_the_child(monkeypatch: pytest.MonkeyPatch, stream: bytes) -> None:
    monkeypatch.setattr(decoder_process, "_start", lambda: pytest.fail("started"))

    with DecoderProcess() as decoder, pytest.raises(DecodeError, match="no stream of one component"):
        list(decoder.decode(iter([stream]), LOSSLESS))


def test_the_child_starts_where_modules_of_its_names_lie_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("struct", "gdcm", "casgan_dicom"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('wrong module')")
    monkeypatch.chdir(tmp_path)
    frame = moving_frames(1)[0]

    with DecoderProcess() as decoder:
        (values,) = decoder.decode(iter([lossless_jpeg(frame, 8)]), LOSSLESS)

    np.testing.assert_array_equal(values, frame)


def test_a_script_without_a_main_guard_may_decode(tmp_path: Path) -> None:
    run = moving_frames(2)
    path = store(write_xa(tmp_path / "run", run), [lossless_jpeg(frame, 8) for frame in run])
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\nfrom casgan_dicom.pixels.decode import iter_frames\n"
        "from casgan_dicom.source.series import find_series\n"
        "print(len(list(iter_frames(find_series([Path(sys.argv[1])]).cines[0]))))\n"
    )
    root = str(Path(__file__).resolve().parents[2])

    done = subprocess.run(
        [sys.executable, script, path],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": root},
    )

    assert (done.stdout, done.stderr) == ("2\n", "")


def test_the_child_loads_nothing_heavy() -> None:
    code = f"import runpy, sys; runpy.run_path({decoder_child.__file__!r}); print(*sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert not {"numpy", "pydicom", "torch", "SimpleITK", "casgan_dicom"} & set(done.stdout.split())


def test_a_frame_header_is_found_behind_other_segments() -> None:
    stream = lossless_jpeg(moving_frames(1, 64, 80)[0], 8)
    longer = stream[:2] + b"\xff" + segment(0xE0, b"JFIF\xff\xd9\xff\xc0") + stream[2:]

    found = stream_header(longer)
    assert found == stream_header(stream)
    assert found is not None
    assert (found.precision, found.rows, found.columns, found.components) == (8, 64, 80, 1)
