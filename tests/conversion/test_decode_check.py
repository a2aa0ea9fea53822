"""What a conversion does with the answer of a second decoder, and where it says it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import RLELossless

from casgan_dicom.conversion.options import ConvertOptions
from casgan_dicom.conversion.pipeline import convert_series
from casgan_dicom.conversion.report import ConvertReport
from casgan_dicom.pixels import second_decoder
from tests.support.factories import Frames, moving_frames, write_xa
from tests.support.painter import DiscPainter


def convert(source: Path, out: Path, options: ConvertOptions | None = None) -> ConvertReport:
    return convert_series([source], DiscPainter().as_generator, options or ConvertOptions(), out)


def test_the_report_names_both_decoders_and_the_digest_of_the_source(tmp_path: Path) -> None:
    run = moving_frames(4)

    report = convert(write_xa(tmp_path / "in", run, syntax=RLELossless), tmp_path / "out")

    told = report.as_json()["outputs"][0]["decoding"]
    assert told["decoder"] == "pydicom, frame by frame"
    assert told["second_decoder"] == "casgan-dicom (numpy)"
    assert (len(told["compared"]), told["largest_difference"]) == (2, 0)
    assert told["pixel_sha256"] == hashlib.sha256(run.tobytes()).hexdigest()


def test_the_quality_record_names_them_too(tmp_path: Path) -> None:
    source = write_xa(tmp_path / "in", syntax=RLELossless)

    report = convert(source, tmp_path / "out", ConvertOptions(sr=True))

    (record,) = [dcmread(one.path) for one in report.outputs[0].objects if dcmread(one.path).Modality == "SR"]
    texts = [element.value for element in record.iterall() if element.keyword == "TextValue"]
    assert report.outputs[0].decoding.clause() in texts


def test_two_decoders_that_differ_fail_the_series_and_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = second_decoder.OWN_RLE

    def decode(*arguments: Any) -> Frames:  # noqa: ANN401
        words = np.array(true.decode(*arguments))
        words[5, 5] ^= 1
        return words.astype(np.uint8)

    monkeypatch.setattr(second_decoder, "OWN_RLE", replace(true, name="a liar", decode=decode))

    report = convert(write_xa(tmp_path / "in", syntax=RLELossless), tmp_path / "out")

    assert (report.outputs, report.exit_code) == ((), 3)
    (skipped,) = report.skipped
    assert "pydicom, frame by frame and a liar decode frame 1 differently" in skipped.reasons[0]
    assert not skipped.forceable
    assert [path.name for path in (tmp_path / "out").rglob("*") if path.is_file()] == ["report.json"]


def test_frames_that_look_like_lost_data_are_warnings_with_their_numbers(tmp_path: Path) -> None:
    run = moving_frames(9)
    run[3], run[6] = 7, run[5]

    warnings = convert(write_xa(tmp_path / "in", run), tmp_path / "out").outputs[0].warnings

    assert "frames of one value in the middle of the run: 4" in warnings
    assert "frames that equal the one before although the run moves: 7" in warnings
