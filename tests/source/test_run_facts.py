"""What headers tell by which two runs are compared; what they do not tell stays unknown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from casgan_dicom.source.clocks import Moment
from casgan_dicom.source.run_facts import RunFacts, Whose, facts_of
from casgan_dicom.source.series import find_series
from tests.support.enhanced_factory import write_enhanced
from tests.support.factories import moving_frames, uid, write_xa, write_xa_single_frames

NOTHING: dict[str, Any] = dict.fromkeys(
    (
        "PatientID", "AcquisitionDate", "AcquisitionTime", "PositionerPrimaryAngle",
        "PositionerSecondaryAngle", "FrameTime", "FrameIncrementPointer",
        "PixelIntensityRelationship", "BodyPartExamined",
    )
)  # fmt: skip


def facts(folder: Path, frames: int = 4, /, **header: Any) -> RunFacts:  # noqa: ANN401 - any element
    path = write_xa(folder / "a.dcm", moving_frames(frames), **header)
    return facts_of(find_series([path]).cines[0])


def code(value: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "SCT", "artery"
    return item


def test_a_full_header_is_read(tmp_path: Path) -> None:
    found = facts(
        tmp_path,
        30,
        IssuerOfPatientID="ward",
        PatientBirthDate="19500203",
        FrameOfReferenceUID="1.2.3",
        PositionerSecondaryAngle=20,
        DistanceSourceToDetector=1100,
        DistanceSourceToPatient=760,
        FieldOfViewDimensions=[170, 170],
        FieldOfViewRotation=0,
        FieldOfViewHorizontalFlip="NO",
        ImagerPixelSpacing=[2, 2],
        TableTopVerticalPosition=1.5,
        TableTopLateralPosition=-2,
        TableTopLongitudinalPosition=300,
        RWavePointer=[2, 16, 30],
        SeriesDescription="RCA LAO",
    )

    assert found.whose == Whose("TEST-1", "ward", "19500203", uid("study"), "1.2.3")
    assert found.clocks == {"acquisition": Moment(738887, (10 * 3600 + 16 * 60 + 23) * 10**6)}
    assert found.started is not None
    assert found.started.clock == "10:16"
    assert (found.angles_deg, found.turns) == ((-30, 20), False)
    assert (found.source_detector_mm, found.source_patient_mm) == (1100, 760)
    assert (found.field_mm, found.field_turn, found.pixel_mm) == ((170, 170), ("0", "NO"), (2, 2))
    assert (found.table_mm, found.intensity, found.artery) == (((1.5, -2, 300),), "LIN", "right")
    assert found.beat_s == pytest.approx(14 / 15, rel=1e-3)
    assert found.heart_rate_bpm == pytest.approx(64.3, abs=0.1)
    assert found.length_s == pytest.approx(29 / 15, rel=1e-3)


def test_a_header_that_tells_nothing_leaves_everything_unknown(tmp_path: Path) -> None:
    found = facts(tmp_path, **NOTHING)

    assert found == RunFacts(
        series_uid=uid("series"),
        instances=(uid("instance"),),
        frames=4,
        shape=(64, 80),
        whose=Whose(study_uid=uid("study")),
    )
    assert found.started is None


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "wrong",
    [
        {"DistanceSourceToDetector": 10},
        {"ImagerPixelSpacing": [2, 3]},
        {"ImagerPixelSpacing": [-2, -2]},
        {"HeartRate": 0},
        {"HeartRate": 999},
        {"TableTopVerticalPosition": 5},
        {"AcquisitionTime": "lunch"},
        {"AcquisitionDate": "20240102"},
        {"SeriesDescription": "LCA and RCA"},
        {"SeriesDescription": "Lockdown sARCAsm"},
        {"AnatomicRegionSequence": [code("80891009")]},
    ],
)
def test_values_that_cannot_be_are_unknown(tmp_path: Path, wrong: dict[str, Any]) -> None:
    assert facts(tmp_path, **(NOTHING | wrong)) == facts(tmp_path, **NOTHING)


@pytest.mark.parametrize(
    ("header", "side"),
    [
        ({"AnatomicRegionSequence": [code("13647002")]}, "right"),
        ({"AnatomicRegionSequence": [code("41801008")], "SeriesDescription": "LAD"}, "left"),
        ({"PrimaryAnatomicStructureSequence": [code("59438005")]}, "left"),
        ({"AnatomicRegionSequence": [code("13647002")], "SeriesDescription": "LCA"}, "right"),
        ({"ProtocolName": "Coro rca 15fps"}, "right"),
    ],
)
def test_the_artery_is_read_from_codes_then_from_words(
    tmp_path: Path, header: dict[str, Any], side: str
) -> None:
    assert facts(tmp_path, **header).artery == side


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("header", "moment"),
    [
        ({"AcquisitionDateTime": "20240102235900.5+0100"}, (738887, 86340_500000)),
        ({"AcquisitionDate": None}, (None, 36983_000000)),
        ({"AcquisitionTime": None, "ContentDate": "20240102", "ContentTime": "10"}, (738887, 36000_000000)),
        ({"AcquisitionTime": "995959", "ContentTime": "1000"}, (None, 36000_000000)),
    ],
)
def test_the_time_is_that_of_the_first_clock_that_tells(
    tmp_path: Path, header: dict[str, Any], moment: tuple[int | None, int]
) -> None:
    assert facts(tmp_path, **header).started == Moment(*moment)


def test_the_time_of_a_series_is_no_time_of_its_frames(tmp_path: Path) -> None:
    found = facts(tmp_path, **(NOTHING | {"SeriesTime": "101500"}))

    assert found.started is None
    assert found.clocks["series"].clock == "10:15"


def test_single_frames_tell_where_the_table_was_in_each(tmp_path: Path) -> None:
    for k in range(3):
        write_xa_single_frames(
            tmp_path / f"{k}",
            moving_frames(3)[k : k + 1],
            SOPInstanceUID=uid(f"frame {k}"),
            InstanceNumber=k + 1,
            AcquisitionTime=f"10000{k}",
            TableTopVerticalPosition=0,
            TableTopLateralPosition=4 * k,
            TableTopLongitudinalPosition=10,
        )

    (cine,) = find_series([tmp_path]).cines

    assert facts_of(cine).table_mm == ((0, 0, 10), (0, 4, 10), (0, 8, 10))


def test_an_enhanced_run_tells_the_same(tmp_path: Path) -> None:
    field: dict[str, object] = {
        "FieldOfViewShape": "RECTANGLE",
        "FieldOfViewDimensionsInFloat": [200.0, 200.0],
    }
    field |= {"FieldOfViewOrigin": [0.0, 0.0], "FieldOfViewRotation": 90.0, "FieldOfViewHorizontalFlip": "NO"}
    moved: dict[str, object] = {"TableTopVerticalPosition": 1.0, "TableTopLateralPosition": 2.0}

    def table(k: int) -> dict[str, Any]:
        return {"TablePositionSequence": moved | {"TableTopLongitudinalPosition": float(k)}}

    still = write_enhanced(tmp_path / "still" / "a", moving_frames(3), shared={"FieldOfViewSequence": field})
    moves = write_enhanced(tmp_path / "moves" / "a", moving_frames(3), per_frame=table)

    found = facts_of(find_series([still]).cines[0])

    assert (found.angles_deg, found.source_detector_mm) == ((-30, 20), 1200)
    assert (found.field_mm, found.field_turn) == ((200, 200), ("90", "NO"))
    assert found.table_mm == ((100, 0, 0),)
    assert found.started == Moment(738887, (10 * 3600 + 16 * 60 + 23) * 10**6)
    assert facts_of(find_series([moves]).cines[0]).table_mm == ((1, 2, 0), (1, 2, 1), (1, 2, 2))


def test_a_table_whose_way_nothing_measures_is_unknown(tmp_path: Path) -> None:
    places = dict.fromkeys(
        ("TableTopVerticalPosition", "TableTopLateralPosition", "TableTopLongitudinalPosition"), 1
    )

    assert facts(tmp_path, **places).table_mm == ((1, 1, 1),)
    assert facts(tmp_path, **places, TableMotion="DYNAMIC").table_mm == ()


def test_a_rotation_has_no_view(tmp_path: Path) -> None:
    found = facts(tmp_path, PositionerPrimaryAngleIncrement=[0, 10, 20, 30])

    assert (found.angles_deg, found.turns) == (None, True)


def test_the_planes_of_a_biplane_system_are_told_apart(tmp_path: Path) -> None:
    assert facts(tmp_path, ImageType=["ORIGINAL", "PRIMARY", "BIPLANE B"]).plane == "BIPLANE B"
    assert facts(tmp_path, ImageType="ORIGINAL").plane == ""
