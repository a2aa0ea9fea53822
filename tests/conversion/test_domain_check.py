"""Runs of another kind than the bundle was trained on: turned away with their score, converted by force."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from casgan_dicom.conversion.domain_check import NOT_KNOWN
from casgan_dicom.conversion.options import ConvertOptions
from casgan_dicom.conversion.pipeline import convert_series
from casgan_dicom.conversion.report import ConvertReport
from casgan_dicom.verification.verify import verify_file
from tests.support.factories import moving_frames, write_xa
from tests.support.painter import DiscPainter

RUN = moving_frames(4, 128, 160)
"""Large enough to be judged."""


def converted(source: Path, out: Path, score: float | None, **options: bool) -> ConvertReport:
    """Convert by a painter that gives every frame this score."""
    painter = DiscPainter()
    painter.score = score
    return convert_series(
        [source],
        painter.as_generator,
        ConvertOptions(**options),  # type: ignore[arg-type]
        out,
        clock=lambda: datetime(2026, 5, 1, 12, tzinfo=UTC),
    )


def test_a_usual_run_says_its_score_everywhere(tmp_path: Path) -> None:
    report = converted(write_xa(tmp_path / "in" / "a", RUN), tmp_path / "out", 0.25, sr=True, preview=True)

    (output,) = report.outputs
    assert report.exit_code == 0
    assert (output.domain.foreign, output.domain.score) == (False, 0.25)
    assert [one.frame for one in output.domain.frames] == [1, 2, 3, 4]
    assert [one.domain_score for one in output.quality] == [0.25] * 4
    said = "Out-of-domain score 0.25, limit 1, 4 frames judged"
    assert said in dcmread(output.path).DerivationDescription
    record = next(one.path for one in output.objects if one.kind == "quality-record")
    told = dcmread(record).to_json()
    assert "DOMAINSCORE" in told
    assert said in told
    assert not [finding for one in output.objects for finding in verify_file(one.path)]


def test_a_foreign_run_is_turned_away_with_its_score(tmp_path: Path) -> None:
    report = converted(write_xa(tmp_path / "in" / "a", RUN), tmp_path / "out", 1.75)

    (skipped,) = report.skipped
    assert (report.outputs, report.exit_code) == ((), 4)
    assert skipped.forceable
    assert skipped.domain is not None
    assert (skipped.domain.foreign, skipped.domain.score) == (True, 1.75)
    assert "out-of-domain score 1.75, limit 1" in skipped.reasons[0]
    assert list((tmp_path / "out").rglob("*.dcm")) == []


def test_a_foreign_run_that_is_forced_says_so(tmp_path: Path) -> None:
    report = converted(write_xa(tmp_path / "in" / "a", RUN), tmp_path / "out", 1.75, force=True)

    (output,) = report.outputs
    said = "FOREIGN to what the model was trained on, converted by force: out-of-domain score 1.75"
    assert output.domain.foreign
    assert any(said in warning for warning in output.warnings)
    assert said in dcmread(output.path).DerivationDescription


def test_a_bundle_that_knows_nothing_judges_nothing_and_says_so(tmp_path: Path) -> None:
    report = converted(write_xa(tmp_path / "in" / "a", RUN), tmp_path / "out", None)

    (output,) = report.outputs
    assert (output.domain.foreign, output.domain.score) == (None, None)
    assert output.domain.reasons == (NOT_KNOWN,)
    assert f"Kind of picture not judged: {NOT_KNOWN}" in dcmread(output.path).DerivationDescription


@pytest.mark.parametrize(("frames", "still"), [(8, True), (7, False), (1, False)])
def test_a_run_of_one_frame_repeated_is_foreign(tmp_path: Path, frames: int, *, still: bool) -> None:
    repeated = np.repeat(moving_frames(1), frames, axis=0)

    report = converted(write_xa(tmp_path / "in" / "a", repeated), tmp_path / "out", 0.0)

    assert report.exit_code == (4 if still else 0)
    assert any("no motion" in reason for one in report.skipped for reason in one.reasons) == still


def test_a_picture_of_the_size_of_a_chest_is_foreign(tmp_path: Path) -> None:
    source = write_xa(tmp_path / "in" / "a", ImagerPixelSpacing=[5.6, 5.6])

    report = converted(source, tmp_path / "out", 0.0)

    assert "means a picture of 448 mm" in report.skipped[0].reasons[0]


def test_a_picture_of_few_pixels_is_not_judged_by_its_score(tmp_path: Path) -> None:
    report = converted(write_xa(tmp_path / "in" / "a", moving_frames(4, 127, 160)), tmp_path / "out", 1.75)

    (output,) = report.outputs
    assert output.domain.foreign is None
    assert output.domain.clause() == (
        "Kind of picture not judged: 127 × 160 pixels are too few, 128 a side are wanted"
    )
