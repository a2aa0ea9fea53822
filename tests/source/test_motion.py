"""What is said of a positioner that turns and a table that moves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from casgan_dicom.derived.provenance import view_name
from casgan_dicom.source.acquisition import acquisition_of
from casgan_dicom.source.series import find_series
from tests.support.cines import cine_of
from tests.support.enhanced_factory import write_enhanced
from tests.support.factories import moving_frames, uid, write_xa

DYNAMIC: dict[str, Any] = {"PositionerMotion": "DYNAMIC"}


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (DYNAMIC | {"PositionerPrimaryAngleIncrement": [0, 66, 132, 200]}, "1510) moves by 200 degrees"),
        (DYNAMIC | {"PositionerPrimaryAngleIncrement": [0, -20, -20, -20]}, "1510) moves by 60 degrees"),
        (DYNAMIC | {"PositionerPrimaryAngleIncrement": 20}, "1510) moves by 60 degrees"),
        (DYNAMIC | {"PositionerSecondaryAngleIncrement": [0, 3, 6, 9]}, "1511) moves by 9 degrees"),
        ({"PositionerMotion": None, "PositionerPrimaryAngleIncrement": [0, 10, 20, 30]}, "by 30 degrees"),
        ({"PositionerPrimaryAngleIncrement": [0, 10, 20, 30]}, "moves by 30 degrees"),
        (DYNAMIC, "PositionerMotion (0018,1500) is DYNAMIC and no increment tells how far"),
    ],
)
def test_a_classic_run_whose_positioner_turns_is_a_rotation(
    tmp_path: Path, header: dict[str, Any], said: str
) -> None:
    cine = cine_of(write_xa(tmp_path / "a", moving_frames(4), **header))

    assert (cine.motion, view_name(cine.header, motion=cine.motion)) == (("rotation",), "rotation")
    (note,) = cine.notes
    assert said in note
    assert note.endswith("a rotation, for which no one view stands")
    assert acquisition_of(cine).angles_deg is None


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ({"TableMotion": "DYNAMIC", "TableLongitudinalIncrement": [0, 20, 40, 60]}, "moves by 60 mm"),
        ({"TableMotion": "DYNAMIC", "TableLateralIncrement": [0, 20, 20, 20]}, "moves by 60 mm"),
        ({"TableVerticalIncrement": [0, -5, -10, -15]}, "TableVerticalIncrement (0018,1135)"),
        ({"TableMotion": "DYNAMIC"}, "TableMotion (0018,1134) is DYNAMIC"),
    ],
)
def test_a_classic_run_whose_table_moves_is_stepping(
    tmp_path: Path, header: dict[str, Any], said: str
) -> None:
    cine = cine_of(write_xa(tmp_path / "a", moving_frames(4), **header))

    assert (cine.motion, view_name(cine.header, motion=cine.motion)) == (("stepping",), "RAO30 stepping")
    (note,) = cine.notes
    assert said in note
    assert acquisition_of(cine).angles_deg == (-30.0, 0.0)


@pytest.mark.parametrize(
    "header",
    [
        {},
        DYNAMIC | {"PositionerPrimaryAngleIncrement": [0, 0.2, 0.4, 0.2]},
        {"PositionerPrimaryAngleIncrement": [0, 0, 0, 0], "TableLateralIncrement": [0, 0.5, 0.5, 0]},
        {"TableMotion": "STATIC", "PositionerPrimaryAngleIncrement": 0},
    ],
)
def test_what_hardly_moves_is_not_spoken_of(tmp_path: Path, header: dict[str, Any]) -> None:
    cine = cine_of(write_xa(tmp_path / "a", moving_frames(4), **header))

    assert (cine.motion, cine.notes, view_name(cine.header, motion=cine.motion)) == ((), (), "RAO30")


def test_a_positioner_that_moves_a_little_is_said_and_keeps_its_view(tmp_path: Path) -> None:
    a_little = DYNAMIC | {"PositionerPrimaryAngleIncrement": [0, 1, 2, 3]}

    cine = cine_of(write_xa(tmp_path / "a", moving_frames(4), **a_little))

    assert (cine.motion, view_name(cine.header, motion=cine.motion)) == ((), "RAO30")
    assert cine.notes[0].endswith(
        "moves by 3 degrees during the run: the angles of the first frame are given"
    )


def test_a_run_may_turn_and_step(tmp_path: Path) -> None:
    both = DYNAMIC | {"PositionerPrimaryAngleIncrement": [0, 10, 20, 30], "TableMotion": "DYNAMIC"}

    cine = cine_of(write_xa(tmp_path / "a", moving_frames(4), **both))

    assert view_name(cine.header, motion=cine.motion) == "rotation stepping"


def test_a_rotation_of_single_frames_is_one_run(tmp_path: Path) -> None:
    for k, frame in enumerate(moving_frames(5)):
        own: dict[str, Any] = {
            "NumberOfFrames": None,
            "SOPInstanceUID": uid(str(k)),
            "InstanceNumber": k + 1,
            "AcquisitionTime": f"10000{k}",
            "PositionerPrimaryAngle": -40 + 20 * k,
        }
        write_xa(tmp_path / str(k), frame[None], **own, **DYNAMIC)

    cine = cine_of(tmp_path)

    assert (cine.frames, cine.motion) == (5, ("rotation",))
    assert [angles[0] for angles in cine.frame_angles] == [-40, -20, 0, 20, 40]
    assert any("moves by 80 degrees" in note for note in cine.notes)
    assert acquisition_of(cine).angles_deg is None


def test_frames_of_an_enhanced_object_that_turn_or_step_are_alike(tmp_path: Path) -> None:
    def per_frame(k: int) -> dict[str, Any]:
        return {
            "PositionerPositionSequence": {
                "PositionerPrimaryAngle": -30 + 10 * k,
                "PositionerSecondaryAngle": 0,
            },
            "TablePositionSequence": {"TableTopLongitudinalPosition": 20 * k},
        }

    cine = cine_of(write_enhanced(tmp_path / "e", moving_frames(4), per_frame=per_frame))

    assert view_name(cine.header, motion=cine.motion) == "rotation stepping"
    assert any("PositionerPrimaryAngle (0018,1510) moves by 30 degrees" in note for note in cine.notes)
    assert any("the table moves by 60 mm" in note for note in cine.notes)


def write_views(
    folder: Path, views: Sequence[tuple[float, float]], step_s: float = 0.1, motion: str | None = "STATIC"
) -> None:
    """Single frames, one for each pair of positioner angles."""
    for k, (primary, secondary) in enumerate(views):
        seconds = 3600 * 10 + k * step_s
        write_xa(
            folder / str(k),
            moving_frames(len(views))[k][None],
            SOPInstanceUID=uid(f"view {k}"),
            InstanceNumber=k + 1,
            NumberOfFrames=None,
            AcquisitionTime=f"{int(seconds // 3600):02d}{int(seconds // 60 % 60):02d}{seconds % 60:09.6f}",
            PositionerPrimaryAngle=primary,
            PositionerSecondaryAngle=secondary,
            PositionerMotion=motion,
        )


@pytest.mark.parametrize("motion", ["STATIC", None])
def test_angles_that_hardly_differ_are_one_view(tmp_path: Path, motion: str | None) -> None:
    write_views(tmp_path, [(-30, 20), (-30.1, 20.2), (-29.9, 20), (-30, 19.8)], motion=motion)

    (cine,) = find_series([tmp_path]).cines

    assert (cine.frames, cine.motion) == (4, ())


@pytest.mark.parametrize("degrees", [1.6, 8.0, -12.0])
@pytest.mark.parametrize("motion", ["STATIC", None])
def test_single_frames_of_a_rotation_that_nobody_declares_are_one_run(
    tmp_path: Path, degrees: float, motion: str | None
) -> None:
    write_views(tmp_path, [(-30 + degrees * k, 0) for k in range(6)], motion=motion)

    (cine,) = find_series([tmp_path]).cines

    assert (cine.frames, cine.motion) == (6, ("rotation",))
    assert all("the others differ" not in note for note in cine.notes)


def test_a_rotation_beside_a_run_that_stands_still_is_one_run_of_its_own(tmp_path: Path) -> None:
    write_views(tmp_path, [(-30, 0)] * 4 + [(-28 + 3 * k, 0) for k in range(5)])

    cines = find_series([tmp_path]).cines

    assert [(cine.frames, cine.motion) for cine in cines] == [(4, ()), (5, ("rotation",))]
    assert "the others differ in PositionerPrimaryAngle (0018,1510)" in cines[0].notes[0]


@pytest.mark.parametrize(
    ("views", "step_s"),
    [
        ([(-30, 0), (-20, 0), (-10, 0)], 5.0),  # three exposures, each in its view
        ([(-30, 0), (30, 0), (0, 40)], 0.1),
        ([(-30, 0), (-20, 0)], 0.1),
    ],
)
def test_stills_in_views_of_their_own_are_no_rotation(
    tmp_path: Path, views: list[tuple[float, float]], step_s: float
) -> None:
    write_views(tmp_path, views, step_s)

    assert [cine.frames for cine in find_series([tmp_path]).cines] == [1] * len(views)


def test_two_planes_that_are_told_by_their_angles_alone_are_two_runs(tmp_path: Path) -> None:
    write_views(tmp_path, [(-30.1, 0), (60, 0), (-30, 0), (60.2, 0), (-29.9, 0), (60.1, 0)])

    assert [cine.frames for cine in find_series([tmp_path]).cines] == [3, 3]
