"""What the pixels of a run tell before anything is drawn: the same as a conversion says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from casgan_dicom.conversion.judgement import judge_run
from casgan_dicom.conversion.options import ConvertOptions
from casgan_dicom.conversion.pipeline import convert_series
from casgan_dicom.errors import PixelError
from casgan_dicom.source.series import find_series
from tests.support.factories import moving_frames, write_xa
from tests.support.painter import DiscPainter
from tests.support.roadmap import DarkIsVessel, write_reference


@pytest.mark.parametrize("score", [None, 0.25])
def test_a_judgement_is_that_of_the_conversion(tmp_path: Path, score: float | None) -> None:
    path, painter = write_xa(tmp_path / "a.dcm", moving_frames(6, 128, 128)), DiscPainter()
    painter.score = score
    (cine,) = find_series([path]).cines

    judged = judge_run(cine, painter.as_generator(), tmp_path / "work")

    (made,) = convert_series([path], painter.as_generator, ConvertOptions(), tmp_path / "out").outputs
    assert judged.domain == made.domain
    assert judged.contrast.probability == tuple(frame.probability for frame in made.contrast)
    assert not list((tmp_path / "work").iterdir())


def test_a_filled_run_is_seen_as_one(tmp_path: Path) -> None:
    path, eye = write_reference(tmp_path / "r.dcm"), DarkIsVessel()
    (cine,) = find_series([path]).cines

    judged = judge_run(cine, eye.as_generator(), tmp_path / "work")

    assert any(judged.contrast.sure)
    assert not all(judged.contrast.opacified)


def test_what_nobody_may_convert_is_not_judged(tmp_path: Path) -> None:
    path = write_xa(tmp_path / "a.dcm", np.zeros((3, 32, 32), np.uint8))
    (cine,) = find_series([path]).cines

    with pytest.raises(PixelError, match="Rows"):
        judge_run(cine, DiscPainter().as_generator(), tmp_path)
