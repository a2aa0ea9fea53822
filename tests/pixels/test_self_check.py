"""A second decoder on two frames of a run, and frames that look like lost data."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from openjpeg.utils import encode_array
from pydicom import dcmread
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from casgan_dicom.errors import PixelError
from casgan_dicom.pixels import second_decoder
from casgan_dicom.pixels.decode import iter_frames
from casgan_dicom.pixels.self_check import Decoding, SelfCheck, frames_to_compare
from casgan_dicom.source.series import find_series
from tests.support.encoded import noisy_frames
from tests.support.encoders import BY_DCMTK, by_gdcm, dcmtk, with_streams
from tests.support.factories import Frames, moving_frames, uid, write_xa, write_xa_single_frames
from tests.support.htj2k_streams import LOSSLESS_8, LOSSLESS_12, LOSSLESS_16, LOSSY_12

needs_imagecodecs = pytest.mark.skipif(not find_spec("imagecodecs"), reason="needs imagecodecs")
LOSSLESS_BY_DCMTK = [
    RLELossless,
    JPEGLSLossless,
    *(pytest.param(uid, marks=needs_imagecodecs) for uid in (JPEGLossless, JPEGLosslessSV1)),
]


def checked(path: Path) -> Decoding:
    (cine,) = find_series([path]).cines
    check = SelfCheck(cine)
    assert sum(1 for _ in check.passing(iter_frames(cine))) == cine.frames
    return check.result()


def encoded(path: Path, run: Frames, bits: int, syntax: UID, *options: object) -> Path:
    """A run that DCMTK encoded; JPEG 2000 by GDCM."""
    raw = write_xa(path.with_suffix(".raw"), run, BitsStored=bits)
    if syntax == JPEG2000Lossless:
        by_gdcm(raw, path, syntax)
    else:
        program, *others = map(str, options or BY_DCMTK[syntax])
        dcmtk(program, *others, raw, path)
    raw.unlink()
    return path


# --- decoders that agree ----------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("syntax", LOSSLESS_BY_DCMTK, ids=lambda uid: uid.keyword)
def test_two_decoders_agree_on_a_lossless_run(tmp_path: Path, syntax: UID, bits: int) -> None:
    run = noisy_frames(4, 65, 80, bits)

    found = checked(encoded(tmp_path / "run", run, bits, syntax))

    assert len(found.compared) == 2
    assert (found.largest_difference, found.refused) == (0, ())
    assert found.second_decoder != found.decoder


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_two_decoders_agree_on_jpeg_2000(tmp_path: Path, bits: int) -> None:
    found = checked(encoded(tmp_path / "run", noisy_frames(3, 66, 80, bits), bits, JPEG2000Lossless))

    assert (len(found.compared), found.largest_difference) == (2, 0)
    assert (found.decoder, found.second_decoder) == ("OpenJPEG (pylibjpeg)", "OpenJPEG (GDCM)")


@pytest.mark.parametrize("bits", [8, 12])
def test_two_decoders_differ_by_rounding_on_lossy_jpeg_2000(tmp_path: Path, bits: int) -> None:
    run = noisy_frames(3, 66, 80, bits)
    form: dict[str, Any] = {"photometric_interpretation": 2, "use_mct": False, "compression_ratios": [8]}
    streams = [encode_array(frame, bits_stored=bits, **form) for frame in run]

    path = with_streams(tmp_path / "run", run, [s + bytes(len(s) % 2) for s in streams], JPEG2000, bits)

    found = checked(path)
    assert len(found.compared) == 2
    assert found.largest_difference is not None
    assert found.largest_difference <= second_decoder.WAVELET_LEVELS


@pytest.mark.parametrize(
    ("syntax", "option", "bits"),
    [
        (JPEGBaseline8Bit, "+eb", 8),
        (JPEGExtended12Bit, "+ee", 8),
        pytest.param(JPEGExtended12Bit, "+ee", 12, marks=needs_imagecodecs),
    ],
)
@pytest.mark.parametrize("quality", [40, 90])
def test_two_decoders_differ_by_rounding_on_lossy_jpeg(
    tmp_path: Path, syntax: UID, option: str, bits: int, quality: int
) -> None:
    run = noisy_frames(3, 64, 80, bits)

    found = checked(encoded(tmp_path / "run", run, bits, syntax, "dcmcjpeg", option, "+q", quality))

    assert (len(found.compared), found.refused) == (2, ())
    assert found.largest_difference is not None
    assert found.largest_difference <= second_decoder.COSINE_LEVELS


@needs_imagecodecs
@pytest.mark.parametrize(
    ("streams", "bits", "syntax"),
    [
        (LOSSLESS_8, 8, HTJ2KLossless),
        (LOSSLESS_12, 12, HTJ2KLossless),
        (LOSSLESS_16, 16, HTJ2KLossless),
        (LOSSY_12, 12, HTJ2K),
    ],
)
def test_two_decoders_agree_on_htj2k(tmp_path: Path, streams: list[bytes], bits: int, syntax: UID) -> None:
    run = moving_frames(len(streams), bits=bits)

    found = checked(with_streams(tmp_path / "run", run, streams, syntax, bits))

    assert found.second_decoder == "OpenJPH (imagecodecs)"
    assert found.largest_difference is not None
    assert found.largest_difference <= (second_decoder.WAVELET_LEVELS if syntax == HTJ2K else 0)


@pytest.mark.parametrize(
    "syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless], ids=lambda uid: uid.keyword
)
def test_signed_values_are_compared_as_they_are(tmp_path: Path, syntax: UID) -> None:
    run = moving_frames(3, 64, 80, 12).astype(np.int16) - 2048

    found = checked(encoded(tmp_path / "run", run, 12, syntax))

    assert (len(found.compared), found.largest_difference) == (2, 0)


def test_frames_of_single_frame_objects_are_compared(tmp_path: Path) -> None:
    run = noisy_frames(5, 64, 80, 8)
    write_xa_single_frames(tmp_path, run)
    for path in tmp_path.iterdir():
        ds = dcmread(path)
        ds.compress(RLELossless, generate_instance_uid=False)
        ds.save_as(path)

    found = checked(tmp_path)

    assert found.compared == tuple(k + 1 for k in sorted(frames_to_compare(uid("series"), 5)))
    assert found.largest_difference == 0


# --- a decoder that lies ----------------------------------------------------------------------------------


def lying(tell: Callable[[Any], Any]) -> Callable[..., Any]:
    true = second_decoder.OWN_RLE

    def decode(frame: second_decoder.Encoded, gdcm: Any) -> Any:  # noqa: ANN401
        return tell(true.decode(frame, gdcm))

    return decode


@pytest.mark.parametrize("levels", [1, 200])
def test_any_difference_in_a_lossless_run_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, levels: int
) -> None:
    path = encoded(tmp_path / "run", moving_frames(4), 8, RLELossless)

    def tell(words: Any) -> Any:  # noqa: ANN401
        words = words.copy()
        words[3, 3] ^= levels
        return words

    liar = replace(second_decoder.OWN_RLE, name="a liar", decode=lying(tell))
    monkeypatch.setattr(second_decoder, "OWN_RLE", liar)

    with pytest.raises(PixelError, match=r"and a liar decode frame 1 differently, by up to \d+ levels"):
        checked(path)


@pytest.mark.parametrize("frame", [0, 1])
def test_both_frames_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frame: int) -> None:
    path = encoded(tmp_path / "run", moving_frames(2), 8, RLELossless)
    count = iter(range(2))

    liar = replace(second_decoder.OWN_RLE, decode=lying(lambda words: words + np.uint8(next(count) == frame)))
    monkeypatch.setattr(second_decoder, "OWN_RLE", liar)

    with pytest.raises(PixelError, match=f"frame {frame + 1} differently"):
        checked(path)


@pytest.mark.parametrize(("off", "fine"), [(1, True), (2, True), (3, False)])
def test_lossy_jpeg_may_differ_by_what_two_cosine_transforms_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, off: int, fine: bool
) -> None:
    flat = np.full((2, 64, 80), 128, np.uint8)
    flat[1] = 100
    path = encoded(tmp_path / "run", flat, 8, JPEGBaseline8Bit, "dcmcjpeg", "+eb")
    true = second_decoder.LIBJPEG_TURBO
    liar = replace(true, decode=lambda frame, gdcm: true.decode(frame, gdcm) + np.uint8(off))
    monkeypatch.setattr(second_decoder, "LIBJPEG_TURBO", liar)

    if fine:
        assert checked(path).largest_difference == off
    else:
        with pytest.raises(PixelError, match="by up to 3 levels, 2 are allowed"):
            checked(path)


def test_another_size_is_a_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = encoded(tmp_path / "run", moving_frames(2), 8, RLELossless)
    liar = replace(second_decoder.OWN_RLE, decode=lying(lambda words: words[1:]))
    monkeypatch.setattr(second_decoder, "OWN_RLE", liar)

    with pytest.raises(PixelError, match="differently"):
        checked(path)


def test_a_second_decoder_that_refuses_is_said_and_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> Any:  # noqa: ANN401
        raise ValueError("no such predictor")

    path = encoded(tmp_path / "run", moving_frames(2), 8, RLELossless)
    monkeypatch.setattr(second_decoder, "OWN_RLE", replace(second_decoder.OWN_RLE, decode=refuse))

    found = checked(path)

    assert (found.compared, found.largest_difference) == ((), None)
    assert len(found.refused) == 2
    assert "no such predictor" in found.refused[0]


def test_a_decoder_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(second_decoder, "find_spec", lambda _: None)
    path = with_streams(tmp_path / "run", moving_frames(1, bits=12), LOSSLESS_12[:1], HTJ2KLossless, 12)

    found = checked(path)

    assert found.second_decoder == "none installed (imagecodecs would be one)"
    assert found.compared == ()


# --- what is told -----------------------------------------------------------------------------------------


def test_uncompressed_frames_need_no_second_decoder(tmp_path: Path) -> None:
    found = checked(write_xa(tmp_path / "run", moving_frames(3)))

    assert (found.decoder, found.second_decoder) == ("numpy, frame by frame", "none needed: not compressed")
    assert found.compared == ()


@pytest.mark.parametrize("bits", [8, 12])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless, JPEGLSLossless])
def test_the_digest_is_that_of_the_values_whatever_the_syntax(tmp_path: Path, syntax: UID, bits: int) -> None:
    run = moving_frames(3, bits=bits)

    found = checked(encoded(tmp_path / "run", run, bits, syntax))

    assert found.pixel_sha256 == hashlib.sha256(run.tobytes()).hexdigest()


def test_the_other_frame_is_drawn_by_the_series() -> None:
    drawn = {max(frames_to_compare(f"1.2.{k}", 30)) for k in range(200)}

    assert frames_to_compare("1.2.3", 30) == frames_to_compare("1.2.3", 30)
    assert len(drawn) > 20
    assert min(drawn) >= 1
    assert max(drawn) <= 29
    assert frames_to_compare("1.2.3", 1) == {0}


# --- frames that look like lost data ----------------------------------------------------------------------


def test_constant_frames_are_said_between_others_only(tmp_path: Path) -> None:
    run = moving_frames(9)
    run[0], run[3], run[4], run[8] = 5, 7, 7, 9

    assert checked(write_xa(tmp_path / "run", run)).constant == (3, 4)


def test_a_repeated_frame_is_said_where_the_run_moves(tmp_path: Path) -> None:
    run = moving_frames(9)
    run[5] = run[4]

    assert checked(write_xa(tmp_path / "run", run)).repeated == (5,)


def test_a_run_that_stands_still_is_not_said(tmp_path: Path) -> None:
    run = np.repeat(moving_frames(2), 4, axis=0)

    assert checked(write_xa(tmp_path / "run", run)).repeated == ()
