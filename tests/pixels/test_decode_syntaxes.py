"""Every transfer syntax that is read, encoded by another implementation than the one that decodes it here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from openjpeg.utils import encode_array
from pydicom import dcmread
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSNearLossless,
    RLELossless,
)

from casgan_dicom.pixels.decode import iter_frames
from casgan_dicom.pixels.display import Display
from casgan_dicom.pixels.lossy import lossy_history
from tests.support.cines import cine_of
from tests.support.encoders import BY_DCMTK, by_gdcm, dcmtk, with_streams
from tests.support.factories import Frames, moving_frames, write_xa
from tests.support.htj2k_streams import LOSSLESS_8, LOSSLESS_12, LOSSLESS_16, LOSSY_12


def decoded(path: Path) -> Frames:
    return np.stack(list(iter_frames(cine_of(path))))


@pytest.mark.parametrize("syntax", BY_DCMTK, ids=lambda uid: uid.keyword)
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_what_dcmtk_encoded_without_loss_comes_out_as_it_went_in(
    tmp_path: Path, syntax: UID, bits: int
) -> None:
    run = moving_frames(3, 65, 80, bits)
    raw = write_xa(tmp_path / "raw", run, BitsStored=bits)
    dcmtk(*BY_DCMTK[syntax], raw, tmp_path / "encoded")

    assert cine_of(tmp_path / "encoded").instances[0].transfer_syntax == syntax
    np.testing.assert_array_equal(decoded(tmp_path / "encoded"), run)


@pytest.mark.parametrize("syntax", BY_DCMTK, ids=lambda uid: uid.keyword)
def test_signed_frames_that_dcmtk_encoded_are_displayed_alike(tmp_path: Path, syntax: UID) -> None:
    """Some codecs hand out signed values without their sign: what counts is what is displayed."""
    run = moving_frames(2, 64, 80, 12).astype(np.int16) - 2048
    raw = write_xa(tmp_path / "raw", run, BitsStored=12, WindowCenter=-100, WindowWidth=900)
    dcmtk(*BY_DCMTK[syntax], raw, tmp_path / "encoded")

    cine = cine_of(tmp_path / "encoded")
    display = Display.of(cine)
    ours = [display.apply(k, frame) for k, frame in enumerate(iter_frames(cine))]

    wanted = np.clip((run + 100.5) / 899 + 0.5, 0, 1)  # PS3.3 C.11.2.1.2.1
    np.testing.assert_allclose(ours, wanted, atol=1e-6)


def test_rle_is_decoded_by_pydicom_whatever_else_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pylibjpeg-rle would come first, and refuses some damaged streams that pydicom decodes."""
    run = moving_frames(3, 65, 80, 12)
    path = write_xa(tmp_path / "rle", run, BitsStored=12, syntax=RLELossless)
    decoder = get_decoder(RLELossless)

    def other(*_: object) -> bytearray:
        return bytearray(2 * 65 * 80)

    monkeypatch.setattr(decoder, "_available", {"pylibjpeg": other, **decoder._available})

    np.testing.assert_array_equal(decoded(path), run)


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_what_gdcm_encoded_as_jpeg_2000_comes_out_as_it_went_in(tmp_path: Path, bits: int) -> None:
    run = moving_frames(2, 66, 80, bits)
    raw = write_xa(tmp_path / "raw", run, BitsStored=bits)
    by_gdcm(raw, tmp_path / "encoded", JPEG2000Lossless)

    np.testing.assert_array_equal(decoded(tmp_path / "encoded"), run)


@pytest.mark.parametrize("bits", [8, 12])
def test_lossy_jpeg_2000_is_decoded_and_known_as_lossy(tmp_path: Path, bits: int) -> None:
    run = moving_frames(2, 66, 80, bits)
    form: dict[str, Any] = {"photometric_interpretation": 2, "use_mct": False, "compression_ratios": [8]}
    streams = [encode_array(frame, bits_stored=bits, **form) for frame in run]
    path = with_streams(tmp_path / "run", run, [s + bytes(len(s) % 2) for s in streams], JPEG2000, bits)

    error = np.abs(decoded(path).astype(int) - run)

    assert error.max() <= 2**bits * 0.25  # a bar one pixel wide loses most of its edge
    assert 0 < error.mean() <= 2**bits * 0.02
    assert lossy_history(cine_of(path)).methods == ("ISO_15444_1",)


@pytest.mark.parametrize("bits", [8, 12])
def test_jpeg_2000_that_gdcm_calls_lossy_and_that_lost_nothing_is_lossless(tmp_path: Path, bits: int) -> None:
    run = moving_frames(2, 66, 80, bits)
    raw = write_xa(tmp_path / "raw", run, BitsStored=bits)
    by_gdcm(raw, tmp_path / "encoded", JPEG2000)

    np.testing.assert_array_equal(decoded(tmp_path / "encoded"), run)
    assert not lossy_history(cine_of(tmp_path / "encoded")).lossy


@pytest.mark.parametrize(
    ("syntax", "option", "bits"),
    [(JPEGBaseline8Bit, "+eb", 8), (JPEGExtended12Bit, "+ee", 8), (JPEGExtended12Bit, "+ee", 12)],
)
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_lossy_jpeg_comes_out_as_dcmtk_decodes_it(
    tmp_path: Path, syntax: UID, option: str, bits: int, photometric: str
) -> None:
    run = moving_frames(3, 64, 80, bits)
    raw = write_xa(tmp_path / "raw", run, BitsStored=bits, PhotometricInterpretation=photometric)
    dcmtk("dcmcjpeg", option, raw, tmp_path / "encoded")
    dcmtk("dcmdjpeg", tmp_path / "encoded", tmp_path / "back")

    ours = decoded(tmp_path / "encoded").astype(int)

    assert cine_of(tmp_path / "encoded").instances[0].transfer_syntax == syntax
    theirs = dcmread(tmp_path / "back").pixel_array.astype(int)
    assert np.abs(ours - theirs).max() <= 1  # two inverse cosine transforms round differently
    assert lossy_history(cine_of(tmp_path / "encoded")).methods == ("ISO_10918_1",)


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("deviation", [1, 5])
def test_near_lossless_jpeg_ls_stays_within_its_error_bound(
    tmp_path: Path, bits: int, deviation: int
) -> None:
    noise = np.random.default_rng(bits).integers(0, 40, (2, 64, 80))
    run = np.clip(moving_frames(2, 64, 80, bits) + noise, 0, 2**bits - 1).astype(
        np.uint8 if bits == 8 else np.uint16
    )
    raw = write_xa(tmp_path / "raw", run, BitsStored=bits)
    dcmtk("dcmcjpls", "+en", "+md", deviation, raw, tmp_path / "encoded")

    error = np.abs(decoded(tmp_path / "encoded").astype(int) - run)

    assert 0 < error.max() <= deviation
    assert cine_of(tmp_path / "encoded").instances[0].transfer_syntax == JPEGLSNearLossless
    assert lossy_history(cine_of(tmp_path / "encoded")).methods == ("ISO_14495_1",)


@pytest.mark.parametrize("syntax", [HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K], ids=lambda uid: uid.keyword)
@pytest.mark.parametrize(("streams", "bits"), [(LOSSLESS_8, 8), (LOSSLESS_12, 12), (LOSSLESS_16, 16)])
def test_htj2k_that_openjph_encoded_without_loss_comes_out_as_it_went_in(
    tmp_path: Path, syntax: UID, streams: list[bytes], bits: int
) -> None:
    run = moving_frames(len(streams), bits=bits)

    path = with_streams(tmp_path / "run", run, streams, syntax, bits)

    np.testing.assert_array_equal(decoded(path), run)


def test_lossy_htj2k_is_decoded_and_known_as_lossy(tmp_path: Path) -> None:
    run = moving_frames(1, bits=12)

    path = with_streams(tmp_path / "run", run, LOSSY_12, HTJ2K, 12)

    # OpenJPH itself is off by at most 9 of 4096 levels when it decodes what it encoded.
    assert np.abs(decoded(path).astype(int) - run).max() <= 10
    assert lossy_history(cine_of(path)).methods == ("ISO_15444_15",)
