"""A run is decoded once; what is read from the file afterwards is what was decoded."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import ExplicitVRBigEndian, RLELossless

from casgan_dicom.conversion import synthesize
from casgan_dicom.conversion.options import ConvertOptions
from casgan_dicom.conversion.pipeline import convert_series
from casgan_dicom.conversion.run_frames import RunFrames
from casgan_dicom.errors import PixelError
from casgan_dicom.pixels.decode import StoredFrame, iter_frames
from casgan_dicom.pixels.display import Display
from casgan_dicom.source.cine import Cine
from casgan_dicom.source.series import find_series
from tests.support.factories import Frames, moving_frames, write_xa, write_xa_single_frames
from tests.support.painter import DiscPainter

BYTES, WORDS = moving_frames(5, 40, 56), moving_frames(5, 40, 56, bits=12)
FORMS: dict[str, tuple[Frames, dict[str, object]]] = {
    "bytes": (BYTES, {}),
    "words": (WORDS, {"BitsStored": 12}),
    "inverted": (WORDS, {"BitsStored": 12, "PhotometricInterpretation": "MONOCHROME1"}),
    "signed": (WORDS.astype(np.int16) - 2048, {"BitsStored": 12, "PixelRepresentation": 1}),
    "bytes in words": (BYTES.astype(np.uint16), {"BitsStored": 8}),
    "words at the top": (WORDS << 4, {"BitsStored": 12, "HighBit": 15}),
    "big endian": (WORDS, {"BitsStored": 12, "syntax": ExplicitVRBigEndian}),
    "RLE": (BYTES, {"syntax": RLELossless}),
}


def the_cine(path: Path) -> Cine:
    (series,) = find_series([path]).series
    (cine,) = series.cines
    return cine


@pytest.mark.parametrize("form", FORMS)
def test_frames_read_again_are_the_frames_as_they_were_decoded(form: str, tmp_path: Path) -> None:
    frames, how = FORMS[form]
    cine = the_cine(write_xa(tmp_path / "run", frames, **how))
    display = Display.of(cine)
    expected = [display.apply(k, stored) for k, stored in enumerate(iter_frames(cine))]
    with tempfile.TemporaryFile() as file:
        run = RunFrames(cine, display, file)

        first = list(run.decoded(iter_frames(cine)))

        np.testing.assert_array_equal(first, expected)
        np.testing.assert_array_equal(list(run.shown()), expected)
        np.testing.assert_array_equal(list(run.shown([3, 0, 3])), [expected[k] for k in (3, 0, 3)])


def test_frame_that_was_not_decoded_is_an_error(tmp_path: Path) -> None:
    cine = the_cine(write_xa(tmp_path / "run", BYTES))
    with tempfile.TemporaryFile() as file:
        run = RunFrames(cine, Display.of(cine), file)
        next(run.decoded(iter_frames(cine)))

        next(run.shown([0]))
        with pytest.raises(PixelError, match="frame 2 of 5 has not been decoded"):
            next(run.shown([1]))
        with pytest.raises(PixelError, match="frame 0 of 5"):
            next(run.shown([-1]))


@pytest.mark.parametrize("single", [False, True])
def test_conversion_decodes_every_frame_once(
    single: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames, decoded = moving_frames(9, 64, 64), []

    def counting(cine: Cine, *args: object) -> Iterator[StoredFrame]:
        for k, frame in enumerate(iter_frames(cine, *args)):  # type: ignore[arg-type]
            decoded.append(k)
            yield frame

    monkeypatch.setattr(synthesize, "iter_frames", counting)
    write = write_xa_single_frames if single else write_xa
    write(tmp_path / "in" / "run", frames, syntax=RLELossless)

    load, options = DiscPainter().as_generator, ConvertOptions(maps=True)
    report = convert_series([tmp_path / "in"], load, options, tmp_path / "out")

    assert not report.skipped
    assert report.outputs[0].frames == 9
    assert decoded == list(range(9))
