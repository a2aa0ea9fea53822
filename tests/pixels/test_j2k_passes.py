"""Reversible JPEG 2000: whole, or cut off, against what another decoder makes of it."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from openjpeg.utils import encode_array
from PIL import Image
from pydicom import dcmread
from pydicom.uid import JPEG2000, UID, JPEG2000Lossless

from casgan_dicom.pixels.codestream import stream_header
from casgan_dicom.pixels.j2k_passes import is_cut_off
from casgan_dicom.pixels.lossy import lossy_history
from casgan_dicom.source.series import find_series
from tests.support.encoded import noisy_frames
from tests.support.encoders import with_streams
from tests.support.factories import Frames


def reversible(frame: Frames, layers: list[float] | None = None, **form: object) -> bytes:
    """A stream by Pillow, cut off at compression ratios; whole without."""
    rates = {} if layers is None else {"quality_mode": "rates", "quality_layers": layers}
    stream = io.BytesIO()
    picture = Image.fromarray(frame)
    picture.save(stream, format="JPEG2000", no_jp2=True, irreversible=False, **rates, **form)
    found = stream_header(stream.getvalue())
    assert found is not None
    assert found.loses is None
    return stream.getvalue() + bytes(stream.tell() % 2)


def back(stream: bytes) -> Frames:
    return np.asarray(Image.open(io.BytesIO(stream)))


@pytest.mark.parametrize("size", [(64, 80), (65, 79), (130, 257), (512, 512)])
@pytest.mark.parametrize("order", ["LRCP", "RLCP", "RPCL", "PCRL", "CPRL"])
@pytest.mark.parametrize("layers", [None, [0], [3, 0]])
def test_a_whole_stream_is_known_as_such(
    size: tuple[int, int], order: str, layers: list[float] | None
) -> None:
    frame = noisy_frames(1, *size, 8)[0]
    stream = reversible(frame, layers, progression=order)

    np.testing.assert_array_equal(back(stream), frame)
    assert is_cut_off(stream) is False


@pytest.mark.parametrize("size", [(64, 80), (130, 257), (512, 512)])
@pytest.mark.parametrize("order", ["LRCP", "RLCP", "RPCL", "PCRL", "CPRL"])
@pytest.mark.parametrize("layers", [[20], [4], [40, 20, 8]])
def test_a_stream_that_was_cut_off_is_known_as_such(
    size: tuple[int, int], order: str, layers: list[float]
) -> None:
    frame = noisy_frames(1, *size, 8)[0]
    stream = reversible(frame, layers, progression=order)

    assert (back(stream) != frame).any()
    assert is_cut_off(stream) is True


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_whole_streams_of_all_depths_are_known(bits: int) -> None:
    frame = noisy_frames(1, 130, 257, bits)[0]

    assert (
        is_cut_off(encode_array(frame, bits_stored=bits, photometric_interpretation=2, use_mct=False))
        is False
    )


def test_of_a_form_that_is_not_read_nothing_is_said() -> None:
    frame = noisy_frames(1, 128, 128, 8)[0]

    assert is_cut_off(reversible(frame, tile_size=(64, 64))) is None
    assert is_cut_off(reversible(frame, precinct_size=(64, 64))) is None
    assert is_cut_off(b"") is None


def test_nothing_that_a_stream_holds_raises() -> None:
    whole = reversible(noisy_frames(1, 64, 80, 8)[0])
    rng = np.random.default_rng(0)
    for k in range(400):
        damaged = bytearray(whole)
        for at in rng.integers(0, 200 if k % 2 else len(damaged), 4):
            damaged[at] = rng.integers(0, 256)

        assert is_cut_off(bytes(damaged[: rng.integers(1, len(damaged))])) in (True, False, None)


@pytest.mark.parametrize("syntax", [JPEG2000, JPEG2000Lossless])
@pytest.mark.parametrize("declared", ["00", "01", None])
@pytest.mark.parametrize("cut", [False, True])
def test_the_stream_tells_of_loss_and_not_its_name(
    tmp_path: Path, syntax: UID, declared: str | None, *, cut: bool
) -> None:
    run = noisy_frames(2, 64, 80, 8)
    streams = [reversible(frame, [8] if cut else None) for frame in run]
    ds = dcmread(path := with_streams(tmp_path / "run", run, streams, syntax, 8))
    if declared:
        ds.LossyImageCompression = declared
        ds.save_as(path)

    history = lossy_history(find_series([path]).cines[0])

    assert history.lossy is (cut or declared == "01")
    assert history.methods == (("ISO_15444_1",) if cut else ())
