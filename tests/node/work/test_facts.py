"""What is known of a series: kinds and angles by its headers, contrast and score by its pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from casgan_dicom.conversion.options import ConvertOptions
from casgan_dicom.conversion.pipeline import convert_series
from casgan_dicom.node.rules.conditions import Truth
from casgan_dicom.node.work.facts import Pixels, RunKnown, Source, facts_of, pixels_of
from casgan_dicom.source.series import find_series
from tests.support.factories import moving_frames, write_xa, write_xa_single_frames
from tests.support.painter import DiscPainter
from tests.support.roadmap import DarkIsVessel, write_reference

YES, NO, UNKNOWN = Truth.YES, Truth.NO, Truth.UNKNOWN


def known(path: Path) -> RunKnown:
    (run,) = facts_of(find_series([path]).cines, Source()).runs
    return run


@pytest.mark.parametrize(
    ("header", "rotation", "stepping", "steady"),
    [
        ({"PositionerMotion": "STATIC", "TableMotion": "STATIC"}, NO, NO, YES),
        ({"PositionerMotion": "DYNAMIC", "PositionerPrimaryAngleIncrement": 5}, YES, UNKNOWN, NO),
        ({"PositionerMotion": "STATIC", "TableMotion": "DYNAMIC"}, NO, YES, NO),
        ({"PositionerMotion": "STATIC", "TableMotion": None}, NO, UNKNOWN, UNKNOWN),
        ({"PositionerMotion": None, "TableMotion": None}, UNKNOWN, UNKNOWN, UNKNOWN),
    ],
)
def test_what_moves_is_told_by_headers_or_unknown(
    tmp_path: Path, header: dict[str, object], rotation: Truth, stepping: Truth, steady: Truth
) -> None:
    kinds = known(write_xa(tmp_path / "a.dcm", moving_frames(6), **header)).kinds

    assert (kinds["rotation"], kinds["stepping"], kinds["steady"]) == (rotation, stepping, steady)
    assert (kinds["image"], kinds["cine"]) == (NO, YES)


def test_a_single_frame_is_an_image_in_which_nothing_moves(tmp_path: Path) -> None:
    kinds = known(write_xa(tmp_path / "a.dcm", moving_frames(1))).kinds

    assert kinds == {"image": YES, "cine": NO, "rotation": NO, "stepping": NO, "steady": YES}


def test_single_frames_together_are_one_cine(tmp_path: Path) -> None:
    write_xa_single_frames(tmp_path, moving_frames(4))

    assert known(tmp_path).kinds["cine"] is YES


def test_angles_are_those_of_the_header_or_unknown(tmp_path: Path) -> None:
    angles: dict[str, Any] = {"PositionerPrimaryAngle": -30, "PositionerSecondaryAngle": 20}

    assert known(write_xa(tmp_path / "a.dcm", **angles)).angles_deg == (-30, 20)
    angles["PositionerSecondaryAngle"] = None  # leaves it out
    assert known(write_xa(tmp_path / "b.dcm", **angles)).angles_deg is None


def test_score_and_contrast_are_those_of_the_conversion(tmp_path: Path) -> None:
    path, painter = write_xa(tmp_path / "a.dcm", moving_frames(6, 128, 128)), DiscPainter()
    painter.score = 0.25
    (cine,) = find_series([path]).cines

    seen = pixels_of(cine, painter.as_generator(), tmp_path / "work")

    (made,) = convert_series([path], painter.as_generator, ConvertOptions(), tmp_path / "out").outputs
    assert seen.score == made.domain.score == 0.25
    assert seen.opacified is (NO if made.opacified == "" else UNKNOWN)


def test_a_bundle_that_judges_nothing_leaves_the_score_unknown_and_says_so(tmp_path: Path) -> None:
    (cine,) = find_series([write_xa(tmp_path / "a.dcm")]).cines

    seen = pixels_of(cine, DiscPainter().as_generator(), tmp_path)

    assert (seen.score, seen.unscored) == (None, "the bundle knows no statistics of its training frames")


def test_pixels_that_cannot_be_read_are_unknown_with_the_reason(tmp_path: Path) -> None:
    path = write_xa(tmp_path / "a.dcm", np.zeros((3, 32, 32), np.uint8))
    (cine,) = find_series([path]).cines

    seen = pixels_of(cine, DiscPainter().as_generator(), tmp_path)

    assert seen == Pixels(UNKNOWN, None, seen.unread, seen.unread)
    assert "Rows (0028,0010)" in seen.unread


def test_a_run_that_is_filled_is_seen_as_one(tmp_path: Path) -> None:
    (cine,) = find_series([write_reference(tmp_path / "r.dcm")]).cines

    assert pixels_of(cine, DarkIsVessel().as_generator(), tmp_path / "work").opacified is YES
