"""May an earlier run lend its vessels to a later one? Each criterion: it fits, it does not, it is unknown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from casgan_dicom.source.candidates import Judgement, judge, judge_filled
from casgan_dicom.source.clocks import Moment
from casgan_dicom.source.run_facts import RunFacts, Whose

MINUTE = 60_000_000
DAY = 738_000
WHOSE = Whose("P1", "ward", "19500101", "1.2.3", "1.2.4")
TARGET = RunFacts(
    series_uid="1.2.9",
    instances=("1.2.9.1",),
    frames=40,
    shape=(512, 512),
    whose=WHOSE,
    clocks={"acquisition": Moment(DAY, 650 * MINUTE)},
    length_s=2.6,
    angles_deg=(-30.0, 20.0),
    source_detector_mm=1100.0,
    source_patient_mm=760.0,
    field_mm=(170.0,),
    field_turn=("0", "NO"),
    pixel_mm=(0.3, 0.3),
    intensity="LIN",
    table_mm=((0.0, 10.0, 20.0),),
    artery="right",
    heart_rate_bpm=70.0,
    beat_s=0.86,
)
REFERENCE = replace(
    TARGET, series_uid="1.2.8", instances=("1.2.8.1",), clocks={"acquisition": Moment(DAY, 642 * MINUTE)}
)
CRITERIA = (
    "run", "patient", "study", "frame of reference", "angles", "SID", "matrix", "field", "pixel spacing",
    "intensity", "table", "artery", "heart rate", "time", "filled",
)  # fmt: skip


def verdict(judgement: Judgement, criterion: str) -> tuple[str, str]:
    (found,) = [one for one in judgement.verdicts if one.criterion == criterion]
    return found.answer, found.text


def against(**change: Any) -> Judgement:  # noqa: ANN401 - any field
    return judge(TARGET, replace(REFERENCE, **change))


def test_a_run_of_the_same_view_eight_minutes_earlier_fits_in_everything_that_headers_tell() -> None:
    found = judge(TARGET, REFERENCE)

    assert tuple(one.criterion for one in found.verdicts) == CRITERIA
    assert {one.answer for one in found.verdicts if one.criterion != "filled"} == {"fits"}
    assert verdict(found, "time") == ("fits", "480 s earlier")
    assert (found.sure, found.gap_s, found.refusals) == (True, 480, ())


@pytest.mark.parametrize(
    ("criterion", "change", "forceable"),
    [
        ("run", {"instances": ("1.2.8.1", "1.2.9.1")}, False),
        ("patient", {"whose": replace(WHOSE, patient_id="P2")}, False),
        ("patient", {"whose": replace(WHOSE, issuer="clinic")}, False),
        ("patient", {"whose": replace(WHOSE, birth_date="19500102")}, False),
        ("study", {"whose": replace(WHOSE, study_uid="1.2.5")}, False),
        ("frame of reference", {"whose": replace(WHOSE, frame_of_reference_uid="1.2.5")}, False),
        ("angles", {"angles_deg": (-27.9, 20.0)}, True),
        ("angles", {"angles_deg": (-30.0, 22.1)}, True),
        ("angles", {"turns": True}, False),
        ("SID", {"source_detector_mm": 1106.0}, True),
        ("matrix", {"shape": (512, 1024)}, False),
        ("field", {"field_mm": (200.0,)}, False),
        ("field", {"field_mm": (170.0, 170.0)}, False),
        ("field", {"field_turn": ("90", "NO")}, False),
        ("field", {"field_turn": ("0", "YES")}, False),
        ("pixel spacing", {"pixel_mm": (0.4, 0.4)}, False),
        ("intensity", {"intensity": "LOG"}, False),
        ("artery", {"artery": "left"}, True),
        ("time", {"clocks": {"acquisition": Moment(DAY, 651 * MINUTE)}}, True),
        ("time", {"clocks": TARGET.clocks}, False),
        ("time", {"clocks": {"acquisition": Moment(DAY, 650 * MINUTE - 2_000_000)}}, True),
        ("time", {"clocks": {"acquisition": Moment(DAY, 529 * MINUTE)}}, True),
        ("time", {"clocks": {"acquisition": Moment(DAY - 1, 642 * MINUTE)}}, True),
    ],
)
def test_what_does_not_fit_is_refused_by_its_name(
    criterion: str, change: dict[str, Any], forceable: bool
) -> None:
    found = against(**change)

    assert [one.criterion for one in found.refusals] == [criterion]
    assert (found.forceable, found.sure) == (forceable, False)
    assert (found.allows(force=False), found.allows(force=True)) == (False, forceable)


@pytest.mark.parametrize(
    ("criterion", "change", "sure"),
    [
        ("patient", {"whose": replace(WHOSE, patient_id="")}, True),
        ("study", {"whose": replace(WHOSE, study_uid="")}, True),
        ("frame of reference", {"whose": replace(WHOSE, frame_of_reference_uid="")}, True),
        ("angles", {"angles_deg": None}, False),
        ("SID", {"source_detector_mm": None}, True),
        ("field", {"field_mm": ()}, True),
        ("pixel spacing", {"pixel_mm": None}, True),
        ("intensity", {"intensity": ""}, True),
        ("table", {"table_mm": ()}, True),
        ("artery", {"artery": None}, True),
        ("heart rate", {"heart_rate_bpm": None}, True),
        ("time", {"clocks": {}}, False),
        ("time", {"clocks": {"content": Moment(DAY, 642 * MINUTE)}}, False),
    ],
)
def test_what_is_unknown_is_neither_yes_nor_no(criterion: str, change: dict[str, Any], sure: bool) -> None:
    for found in (against(**change), judge(replace(TARGET, **change), REFERENCE)):
        assert verdict(found, criterion)[0] == "unknown"
        assert (found.refusals, found.sure, found.allows(force=False)) == ((), sure, True)
    both = judge(replace(TARGET, **change), replace(REFERENCE, **change))
    if "content" not in change.get("clocks", ()):
        assert verdict(both, criterion)[0] == "unknown"
        assert "both runs" in verdict(both, criterion)[1]


def test_unknown_is_neither_read_from_one_run_nor_from_both_as_the_same() -> None:
    nobody = replace(WHOSE, patient_id="", study_uid="")

    found = judge(replace(TARGET, whose=nobody), replace(REFERENCE, whose=nobody))

    assert {one.criterion for one in found.unknown} == {"patient", "study", "filled"}


def test_angles_are_compared_around_the_circle_and_two_degrees_are_the_same_view() -> None:
    found = judge(replace(TARGET, angles_deg=(179.0, 0.0)), replace(REFERENCE, angles_deg=(-179.0, 2.0)))

    assert verdict(found, "angles") == ("fits", "2 and 2 degrees apart")


def test_the_planes_of_a_biplane_system_are_two_views() -> None:
    a, b = replace(TARGET, plane="BIPLANE A"), replace(REFERENCE, plane="BIPLANE B")

    assert verdict(judge(a, b), "angles")[0] == "refused"
    assert verdict(judge(a, replace(b, plane="BIPLANE A")), "angles")[0] == "fits"


def test_a_table_that_moved_is_no_reason_and_is_said() -> None:
    found = against(table_mm=((5.0, 10.0, -4.0), (5.0, 11.0, -4.0)))

    answer, text = verdict(found, "table")
    assert answer == "fits"
    assert text == "moved by 24 mm, its height by 5 mm, and moves during the run"


@pytest.mark.parametrize(
    ("target", "reference", "gap"),
    [
        ((None, 5 * MINUTE), (None, 1435 * MINUTE), 600),
        ((DAY, 5 * MINUTE), (None, 1435 * MINUTE), 600),
        ((DAY + 1, 5 * MINUTE), (DAY, 1435 * MINUTE), 600),
        ((DAY, 5 * MINUTE), (DAY, 1435 * MINUTE), -85800),
        ((None, 20 * MINUTE), (None, 10 * MINUTE), 600),
    ],
)
def test_midnight_is_passed_where_no_date_tells(
    target: tuple[int | None, int], reference: tuple[int | None, int], gap: float
) -> None:
    clocks = ({"content": Moment(*moment)} for moment in (target, reference))

    found = judge(*(replace(run, clocks=c) for run, c in zip((TARGET, REFERENCE), clocks, strict=True)))

    assert found.gap_s == gap
    assert verdict(found, "time")[0] == ("fits" if gap > 0 else "refused")


def test_the_first_clock_that_both_runs_have_is_read() -> None:
    both = {"acquisition": Moment(DAY, 0), "content": Moment(DAY, 640 * MINUTE)}

    assert (
        judge(
            replace(TARGET, clocks={"content": Moment(DAY, 650 * MINUTE)}), replace(REFERENCE, clocks=both)
        ).gap_s
        == 600
    )


@pytest.mark.parametrize(
    ("filled", "beat", "answer", "forceable"),
    [
        ([False] * 20, 0.8, "refused", False),
        ([False] * 8 + [True] * 12, 0.8, "fits", False),
        ([True] * 11 + [False] + [True] * 8, 0.8, "refused", True),
        ([True] * 12, None, "refused", True),
        ([True] * 15, None, "fits", False),
    ],
)
def test_a_beat_of_filled_frames_in_a_row_is_wanted(
    filled: list[bool], beat: float | None, answer: str, forceable: bool
) -> None:
    found = judge_filled(replace(REFERENCE, beat_s=beat), filled, 66.7)

    assert (found.criterion, found.answer, found.forceable) == ("filled", answer, forceable)
    assert f"{sum(filled)} of {len(filled)} frames" in found.text


def test_a_later_verdict_takes_the_place_of_the_first() -> None:
    found = judge(TARGET, REFERENCE)

    later = found.with_verdict(judge_filled(REFERENCE, [True] * 20, 66.7))

    assert [one.criterion for one in later.verdicts] == list(CRITERIA)
    assert verdict(later, "filled")[0] == "fits"
    assert later.gap_s == found.gap_s


def test_no_verdict_quotes_a_patient() -> None:
    other = Whose("SECRET-ID", "SECRET-ISSUER", "19010101", "9.9", "9.8")

    text = " ".join(map(str, against(whose=other).verdicts))

    assert "SECRET" not in text
    assert "19010101" not in text
