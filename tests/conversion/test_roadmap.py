"""The patient's own vessels of an earlier run laid over a later one, from files to files."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.pixels.utils import pixel_array

from casgan_dicom.conversion.options import ConvertOptions, FrameChoice
from casgan_dicom.conversion.pipeline import convert_series
from casgan_dicom.conversion.reference_choice import ReferenceChoice
from casgan_dicom.conversion.report import ConvertReport, Output
from casgan_dicom.errors import ConfigError
from casgan_dicom.model.data.normalisation import Levels
from casgan_dicom.pixels.banner import NO_ROADMAP, banner_for, own_vessels
from casgan_dicom.verification.verify import verify, verify_file
from tests.support.enhanced_factory import write_enhanced
from tests.support.factories import Frames, uid, write_xa_single_frames
from tests.support.roadmap import (
    BEAT,
    COLUMNS,
    ROWS,
    VIEW,
    WAVES,
    DarkIsVessel,
    line,
    reference_frames,
    target_frames,
    write_reference,
    write_target,
)
from tests.support.validators import dcentvfy, dciodvfy, of_our_making

OWN = banner_for(ROWS, COLUMNS, own_vessels("10:42"))
NONE = banner_for(ROWS, COLUMNS, NO_ROADMAP)


def convert(
    targets: list[Path], choice: ReferenceChoice, out: Path, options: ConvertOptions | None = None
) -> ConvertReport:
    """Lay a reference over runs, with a segmentor that takes what is dark for vessel."""
    asked = replace(options or ConvertOptions(), reference=choice)
    return convert_series(targets, DarkIsVessel().as_generator, asked, out)


def only(report: ConvertReport) -> Output:
    assert report.skipped == ()
    (output,) = report.outputs
    return output


def reasons(report: ConvertReport) -> str:
    assert report.outputs == ()
    return "; ".join(reason for skipped in report.skipped for reason in skipped.reasons)


@dataclass(frozen=True)
class Pair:
    """Two runs, and what became of them."""

    target: Path
    reference: Path
    out: Path
    output: Output


@pytest.fixture(scope="module")
def laid(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """A target of 20 frames with every form of output that one object can have."""
    folder = tmp_path_factory.mktemp("laid")
    target = write_target(folder / "t" / "a.dcm")
    reference = write_reference(folder / "r" / "a.dcm")
    options = ConvertOptions(maps=True, seg=True, sr=True)
    report = convert([target], ReferenceChoice((reference,)), folder / "out", options)
    return Pair(target, reference, folder / "out", only(report))


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """The same where the last six frames of the target show something else."""
    folder = tmp_path_factory.mktemp("half")
    target = write_target(folder / "t" / "a.dcm", target_frames(strange=slice(14, 20)))
    reference = write_reference(folder / "r" / "a.dcm")
    report = convert([target], ReferenceChoice((reference,)), folder / "out", ConvertOptions(sr=True))
    return Pair(target, reference, folder / "out", only(report))


# --- pixels -----------------------------------------------------------------------------------------------


def test_vessels_are_where_they_were_in_this_phase_of_the_heart_and_nothing_else_is_touched(
    laid: Pair,
) -> None:
    made, run = pixel_array(laid.output.path), target_frames()

    assert laid.output.roadmap is not None
    for k, frame in enumerate(laid.output.roadmap.frames):
        assert frame.refused == ""
        assert (frame.reference_frame - 1) % BEAT == k % BEAT
        bare = ~OWN.mask((ROWS, COLUMNS))
        vessel = line(k % BEAT / BEAT)
        near = np.zeros_like(vessel)
        for shift in range(-4, 5):
            near |= np.roll(vessel, shift, axis=0) | np.roll(vessel, shift, axis=1)
        np.testing.assert_array_equal(made[k][bare & ~near], run[k][bare & ~near])
        inside = vessel & bare
        assert np.median(made[k][inside] / run[k][inside]) < 0.5
        assert np.array_equal(made[k][OWN.rows, OWN.columns] == 255, OWN.ink)


def test_where_the_picture_is_covered_nothing_is_drawn(tmp_path: Path) -> None:
    shutter: dict[str, Any] = {
        "ShutterShape": "RECTANGULAR",
        "ShutterLeftVerticalEdge": 64,
        "ShutterRightVerticalEdge": COLUMNS,
        "ShutterUpperHorizontalEdge": 1,
        "ShutterLowerHorizontalEdge": ROWS,
    }
    target = write_target(tmp_path / "t" / "a", **shutter)
    reference = write_reference(tmp_path / "r" / "a")

    output = only(
        convert([target], ReferenceChoice((reference,)), tmp_path / "out", ConvertOptions(banner=False))
    )

    made, run = pixel_array(output.path), target_frames()
    covered = np.zeros((ROWS, COLUMNS), dtype=bool)
    covered[:, :60] = True
    assert len(np.unique(made[:, covered])) <= len(np.unique(run[:, covered]))
    assert (made[:, ~covered] < run[:, ~covered]).any()


def test_a_frame_that_is_refused_keeps_its_picture_and_says_so(half: Pair) -> None:
    made, run = pixel_array(half.output.path), target_frames(strange=slice(14, 20))
    roadmap = half.output.roadmap

    assert roadmap is not None
    refused = [k for k, frame in enumerate(roadmap.frames) if frame.refused]
    assert set(refused) >= set(range(15, 20))
    assert set(refused) <= set(range(13, 20))
    for k in refused:
        bare = ~NONE.mask((ROWS, COLUMNS))
        np.testing.assert_array_equal(made[k][bare], run[k][bare])
        assert np.array_equal(made[k][NONE.rows, NONE.columns] == 255, NONE.ink)
    assert sum(roadmap.refusals.values()) == len(refused)


def test_refused_frames_are_left_out_on_request(half: Pair, tmp_path: Path) -> None:
    choice = ReferenceChoice((half.reference,), refused="omit")

    output = only(convert([half.target], choice, tmp_path / "out"))

    assert half.output.roadmap is not None
    assert output.roadmap is not None
    kept = sum(not frame.refused for frame in half.output.roadmap.frames)
    assert output.frames == kept == len(output.roadmap.frames)
    assert output.roadmap.left_out == 20 - kept
    assert (
        f"{20 - kept} of 20 frames without roadmap, {20 - kept} of them left out" in output.roadmap.clause()
    )
    assert output.series_uid != half.output.series_uid
    assert verify_file(output.path) == []


# --- what is said -----------------------------------------------------------------------------------------


def test_the_header_names_both_runs_and_leaves_no_doubt(laid: Pair) -> None:
    ds = dcmread(laid.output.path)

    assert ds.SyntheticData == "YES"
    assert ds.SeriesDescription == "AI SYNTHETIC own vessels 10:42 RAO30 CRA20 - not for diagnosis"
    assert "the patient's own vessels of 10:42" in ds.DerivationDescription
    assert "not the current filling; stenoses, stents and flow are those of 10:42" in ds.DerivationDescription
    assert "phase by ECG" in ds.DerivationDescription
    assert "invented" not in ds.DerivationDescription
    assert "Experimental" in ds.ImageComments
    purposes = {
        (
            item.ReferencedSOPInstanceUID,
            item.PurposeOfReferenceCodeSequence[0].CodeValue,
            item.SpatialLocationsPreserved,
        )
        for item in ds.SourceImageSequence
    }
    assert purposes == {(uid("instance"), "121322", "YES"), (uid("reference"), "121321", "NO")}
    series = {
        one.SeriesInstanceUID: [item.ReferencedSOPInstanceUID for item in one.ReferencedInstanceSequence]
        for one in ds.ReferencedSeriesSequence
    }
    assert series == {uid("series"): [uid("instance")], uid("reference series"): [uid("reference")]}
    assert [item.CodeValue for item in ds.DerivationCodeSequence] == ["123110", "113053"]


def test_every_frame_says_which_frame_was_laid_over_it(laid: Pair, half: Pair) -> None:
    for pair in (laid, half):
        ds = dcmread(pair.output.path)
        assert pair.output.roadmap is not None
        for k, (group, frame) in enumerate(
            zip(ds.PerFrameFunctionalGroupsSequence, pair.output.roadmap.frames, strict=True)
        ):
            made = group.DerivationImageSequence[0]
            used = [(i.ReferencedSOPInstanceUID, i.ReferencedFrameNumber) for i in made.SourceImageSequence]
            assert used[0] == (uid("instance"), k + 1)
            if frame.refused:
                assert made.DerivationDescription.startswith(f"NO ROADMAP: {frame.reason}")
                assert len(used) == 1
            else:
                assert used[1:] == [(uid("reference"), frame.reference_frame)]
                assert made.DerivationDescription.startswith(
                    f"patient's own vessels of 10:42, frame {frame.reference_frame}, moved "
                )
                assert "phase by ECG; not the current filling" in made.DerivationDescription


def test_the_report_says_everything(half: Pair) -> None:
    (output,) = json.loads((half.out / "report.json").read_text())["outputs"]

    said = output["roadmap"]
    assert (said["series_uid"], said["clock"], said["phase_by"]) == (uid("reference series"), "10:42", "ECG")
    assert len(said["frames"]) == 20
    assert {criterion for criterion, _, _ in said["verdicts"]} >= {"kind", "patient", "angles", "filled"}
    assert any("without roadmap" in warning for warning in output["warnings"])
    assert any(warning.startswith("unknown of the reference: ") for warning in output["warnings"])


def test_the_quality_record_holds_the_reasons(half: Pair) -> None:
    record = next(one.path for one in half.output.objects if one.kind == "quality-record")

    text = str(dcmread(record))

    assert half.output.roadmap is not None
    refused = sum(bool(frame.refused) for frame in half.output.roadmap.frames)
    assert text.count("NOROADMAP") == refused
    assert text.count("Vessels of an earlier run were laid over") == 20
    assert uid("reference") in text


def test_independent_judges_have_nothing_to_say(laid: Pair, half: Pair) -> None:
    for pair in (laid, half):
        for one in pair.output.objects:
            assert of_our_making(dciodvfy(one.path)) == [], one.kind
            assert verify_file(one.path) == [], one.kind
    assert dcentvfy(laid.output.path, laid.target, laid.reference) == []


def test_the_banner_of_every_frame_is_checked_by_what_that_frame_says(half: Pair, tmp_path: Path) -> None:
    """The first frame has a roadmap, the last has none; exchanged, both lie."""
    ds = dcmread(half.output.path)
    frames = pixel_array(half.output.path)[::-1]
    ds.PixelData = frames.tobytes()
    ds.save_as(tmp_path / "a.dcm", enforce_file_format=True)

    assert [finding.rule for finding in verify_file(tmp_path / "a.dcm")] == ["banner-pixels"]


def test_both_sources_are_wanted_to_verify_an_object(laid: Pair, tmp_path: Path) -> None:
    paths = [one.path for one in laid.output.objects if one.kind != "quality-record"]
    other = write_reference(tmp_path / "other" / "a", PatientID="SOMEBODY-ELSE")
    later = write_reference(tmp_path / "later" / "a", StudyInstanceUID=uid("another study"))

    both = verify(laid.out, sources=[laid.target, laid.reference])
    alone = verify(laid.out, sources=[laid.target])

    assert set(map(tuple, both.values())) == {()}
    for path in paths:
        assert "reference-missing" in {finding.rule for finding in alone[path]}
        for wrong in (other, later):
            found = verify(path, sources=[laid.target, wrong])[path]
            assert "reference-identity" in {finding.rule for finding in found}
            assert "SOMEBODY" not in "".join(map(str, found))


def test_uids_depend_on_both_runs_and_on_nothing_else(laid: Pair, tmp_path: Path) -> None:
    again = only(convert([laid.target], ReferenceChoice((laid.reference,)), tmp_path / "again"))
    moved = write_reference(tmp_path / "r" / "a", SOPInstanceUID=uid("copy"))
    other = only(convert([laid.target], ReferenceChoice((moved,)), tmp_path / "other"))

    assert (again.series_uid, again.sop_instance_uid) == (
        laid.output.series_uid,
        laid.output.sop_instance_uid,
    )
    assert other.series_uid != again.series_uid
    assert other.sop_instance_uid != again.sop_instance_uid


def test_a_reference_of_unknown_time_is_called_so(tmp_path: Path) -> None:
    target = write_target(tmp_path / "t" / "a")
    reference = write_reference(tmp_path / "r" / "a", AcquisitionTime=None, AcquisitionDate=None)

    output = only(convert([target], ReferenceChoice((reference,)), tmp_path / "out"))

    ds = dcmread(output.path)
    assert ds.SeriesDescription.startswith("AI SYNTHETIC own vessels, time unknown")
    assert "own vessels of an unknown time" in ds.DerivationDescription
    assert verify_file(output.path) == []


def test_without_r_waves_the_phase_is_called_estimated_or_the_run_refused(tmp_path: Path) -> None:
    target = write_target(tmp_path / "t" / "a", RWavePointer=None)
    reference = write_reference(tmp_path / "r" / "a")

    report = convert([target], ReferenceChoice((reference,)), tmp_path / "out")

    if report.outputs:
        assert "phase estimated" in dcmread(only(report).path).DerivationDescription
    else:
        assert "no roadmap" in reasons(report)


def test_blades_of_a_reference_do_not_count_for_its_grey_values(tmp_path: Path) -> None:
    """A shutter that covers a quarter, black below it: the segmentor sees neither."""

    seen: list[tuple[np.ndarray, Levels]] = []

    class Watched(DarkIsVessel):
        def vessels(
            self, frames: np.ndarray, levels: Levels | None = None, *, twice: bool = False
        ) -> np.ndarray:
            if twice:
                assert levels is not None
                seen.append((frames, levels))
            return super().vessels(frames, levels, twice=twice)

    shutter: dict[str, Any] = {
        "ShutterShape": "RECTANGULAR",
        "ShutterLeftVerticalEdge": 33,
        "ShutterRightVerticalEdge": COLUMNS,
        "ShutterUpperHorizontalEdge": 1,
        "ShutterLowerHorizontalEdge": ROWS,
    }
    frames = reference_frames()
    frames[:, :, :30] = 0
    target = write_target(tmp_path / "t" / "a")
    reference = write_reference(tmp_path / "r" / "a", frames, **shutter)

    options = ConvertOptions(reference=ReferenceChoice((reference,)))
    only(convert_series([target], Watched().as_generator, options, tmp_path / "out"))

    assert len(seen) > 1
    for batch, levels in seen:
        assert levels == seen[0][1]
        assert levels.low > 0
        for frame in batch:
            assert frame[:, :30].min() > 0.5 * frame[:, 40:].mean()


# --- the artery -------------------------------------------------------------------------------------------


def _seen(
    targets: list[Path], choice: ReferenceChoice, out: Path, evidence: float, *, force: bool = False
) -> ConvertReport:
    """Convert with a bundle that says so much of where the catheter lies."""
    generator = DarkIsVessel()
    generator.evidence = evidence
    options = ConvertOptions(reference=choice, force=force)
    return convert_series(targets, generator.as_generator, options, out)


def test_a_catheter_that_is_not_seen_in_the_artery_is_refused_where_no_header_tells(tmp_path: Path) -> None:
    target, reference = write_target(tmp_path / "t" / "a"), write_reference(tmp_path / "r" / "a")
    choice = ReferenceChoice((reference,))

    refused = _seen([target], choice, tmp_path / "out", -1.0)
    assert "the catheter is not seen in the artery of the reference" in reasons(refused)
    assert "no header tells the artery" in reasons(refused)
    assert not list((tmp_path / "out").rglob("*.dcm"))

    forced = only(_seen([target], choice, tmp_path / "forced", -1.0, force=True))
    assert forced.roadmap is not None
    assert {name: answer for name, answer, _ in forced.roadmap.verdicts}["artery"] == "unknown"


def test_a_catheter_that_is_seen_in_the_artery_is_said(tmp_path: Path) -> None:
    target, reference = write_target(tmp_path / "t" / "a"), write_reference(tmp_path / "r" / "a")

    output = only(_seen([target], ReferenceChoice((reference,)), tmp_path / "out", 1.0))

    assert output.roadmap is not None
    assert ("artery", "fits") in {(name, answer) for name, answer, _ in output.roadmap.verdicts}
    assert not any("artery" in one for one in output.warnings if one.startswith("unknown of the reference"))


def test_pictures_are_not_asked_for_an_artery_that_headers_tell(tmp_path: Path) -> None:
    target = write_target(tmp_path / "t" / "a", SeriesDescription="RCA")
    reference = write_reference(tmp_path / "r" / "a", SeriesDescription="RCA")

    output = only(_seen([target], ReferenceChoice((reference,)), tmp_path / "out", -1.0))

    assert output.roadmap is not None


# --- forms ------------------------------------------------------------------------------------------------


def test_single_frames_say_it_each_for_itself(half: Pair, tmp_path: Path) -> None:
    options = ConvertOptions(single_frames=True, frames=FrameChoice("10-16"))

    output = only(convert([half.target], ReferenceChoice((half.reference,)), tmp_path / "out", options))

    assert output.roadmap is not None
    for one, frame in zip(output.objects, output.roadmap.frames, strict=True):
        ds = dcmread(one.path)
        assert verify_file(one.path) == []
        assert ("NO ROADMAP" in ds.DerivationDescription) == bool(frame.refused)
        assert len(ds.SourceImageSequence) == (1 if frame.refused else 2)
    first = output.objects[0].path
    assert of_our_making(dciodvfy(first)) == []
    assert {bool(frame.refused) for frame in output.roadmap.frames} == {True, False}


def single_frames(folder: Path, frames: Frames, name: str, start: str, waves: list[int]) -> Path:
    """A run as single frames, with the time since the last R wave in each."""
    for k, frame in enumerate(frames):
        last = max(wave - 1 for wave in waves if wave - 1 <= k)
        write_xa_single_frames(
            folder / f"{k}",
            frame[None],
            **VIEW
            | {
                "SOPInstanceUID": uid(f"{name} {k}"),
                "SeriesInstanceUID": uid(name),
                "InstanceNumber": k + 1,
                "AcquisitionTime": f"{start}{k / 15:09.6f}",
                "TriggerTime": (k - last) / 15 * 1000,
                "SeriesNumber": 5 if name == "t" else 4,
            },
        )
    return folder


def test_series_of_single_frames_serve_on_both_sides(tmp_path: Path) -> None:
    target = single_frames(tmp_path / "t", target_frames(), "t", "1050", [1, 14])
    reference = single_frames(tmp_path / "r", reference_frames(), "r", "1042", WAVES)

    output = only(convert([target], ReferenceChoice((reference,)), tmp_path / "out"))

    ds = dcmread(output.path)
    assert output.roadmap is not None
    assert output.roadmap.phase_by == "ECG"
    assert {one.SeriesInstanceUID for one in ds.ReferencedSeriesSequence} == {uid("t"), uid("r")}
    assert verify(output.path, sources=[target, reference])[output.path] == []
    assert of_our_making(dciodvfy(output.path)) == []


def test_enhanced_objects_serve_on_both_sides(tmp_path: Path) -> None:
    """R waves by the delay of each frame; the phase is that of the same place in the beat."""

    def beating(k: int) -> dict[str, dict[str, object]]:
        return {"CardiacSynchronizationSequence": {"NominalCardiacTriggerDelayTime": 80.0 * (k % BEAT)}}

    target = write_enhanced(
        tmp_path / "t" / "a", target_frames(), per_frame=beating, AcquisitionDateTime="20240102105000"
    )
    reference = write_enhanced(
        tmp_path / "r" / "a",
        reference_frames(),
        per_frame=beating,
        AcquisitionDateTime="20240102104200",
        SOPInstanceUID=uid("reference"),
        SeriesInstanceUID=uid("reference series"),
    )

    output = only(convert([target], ReferenceChoice((reference,)), tmp_path / "out"))

    assert output.roadmap is not None
    assert (output.roadmap.phase_by, output.roadmap.clock) == ("ECG", "10:42")
    drawn = [(k, frame) for k, frame in enumerate(output.roadmap.frames) if not frame.refused]
    assert len(drawn) >= 15
    assert all((frame.reference_frame - 1) % BEAT == k % BEAT for k, frame in drawn)
    assert verify(output.path, sources=[target, reference])[output.path] == []


# --- which run --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "told", "forceable"),
    [
        ({"PatientID": "SOMEBODY-ELSE"}, "patient: another patient", False),
        ({"StudyInstanceUID": uid("another study")}, "study: StudyInstanceUID", False),
        ({"PositionerPrimaryAngle": -20}, "angles: 10 and 0 degrees apart", True),
        ({"DistanceSourceToDetector": 1000}, "SID: 1100 mm, that of the reference 1000 mm", True),
        ({"ImagerPixelSpacing": [1.0, 1.0]}, "pixel spacing", False),
        ({"AcquisitionTime": "105500"}, "time: taken later than this run", True),
        ({"RecommendedViewingMode": "SUB"}, "kind: RecommendedViewingMode", False),
    ],
)
def test_a_named_run_that_does_not_fit_is_refused_and_nothing_is_written(
    header: dict[str, Any], told: str, forceable: bool, tmp_path: Path
) -> None:
    target = write_target(tmp_path / "t" / "a")
    reference = write_reference(tmp_path / "r" / "a", **header)

    report = convert([target], ReferenceChoice((reference,)), tmp_path / "out")

    assert report.exit_code == 3
    assert told in reasons(report)
    assert ("--force uses it all the same" in reasons(report)) == forceable
    assert "SOMEBODY" not in reasons(report)
    assert [path.name for path in (tmp_path / "out").rglob("*") if path.is_file()] == ["report.json"]


def test_force_overrules_the_view_and_never_the_patient(tmp_path: Path) -> None:
    target = write_target(tmp_path / "t" / "a")
    view = write_reference(tmp_path / "v" / "a", PositionerPrimaryAngle=-27)
    other = write_reference(tmp_path / "o" / "a", PatientID="SOMEBODY-ELSE")
    forced = ConvertOptions(force=True)

    output = only(convert([target], ReferenceChoice((view,)), tmp_path / "out", forced))

    assert any("used in spite of its angles" in warning for warning in output.warnings)
    assert "another patient" in reasons(convert([target], ReferenceChoice((other,)), tmp_path / "no", forced))


def test_a_run_of_another_background_is_refused_as_a_whole(tmp_path: Path) -> None:
    target = write_target(tmp_path / "t" / "a", target_frames(seed=7))
    reference = write_reference(tmp_path / "r" / "a")

    report = convert([target], ReferenceChoice((reference,)), tmp_path / "out")

    assert report.exit_code == 3
    assert "no roadmap: too many of its frames are refused" in reasons(report)
    assert "of 20 frames refused" in reasons(report)
    assert [path.name for path in (tmp_path / "out").rglob("*") if path.is_file()] == ["report.json"]


def test_a_reference_without_contrast_is_refused(tmp_path: Path) -> None:
    target = write_target(tmp_path / "t" / "a")
    reference = write_reference(tmp_path / "r" / "a", reference_frames(filled=False))

    report = convert([target], ReferenceChoice((reference,)), tmp_path / "out")

    assert "filled: 0 of 48 frames show filled vessels" in reasons(report)


def test_a_run_is_no_reference_of_itself(tmp_path: Path) -> None:
    reference = write_reference(tmp_path / "r" / "a", ContrastBolusAgent=None)

    report = convert([reference], ReferenceChoice((reference,)), tmp_path / "out")

    assert "run: it is the run itself" in reasons(report)


def test_a_reference_has_to_be_one_run(tmp_path: Path) -> None:
    target = write_target(tmp_path / "t" / "a")
    write_reference(tmp_path / "r" / "a")
    write_reference(tmp_path / "r" / "b", SOPInstanceUID=uid("b"))

    with pytest.raises(ConfigError, match="the reference holds 2 runs, need one"):
        convert([target], ReferenceChoice((tmp_path / "r",)), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_nearest_earlier_run_that_is_filled_is_found(tmp_path: Path) -> None:
    """Nearer ones are of another view, later, or not filled; the one before is further away."""
    target = write_target(tmp_path / "t" / "a")
    runs: list[tuple[str, str, dict[str, object]]] = [
        ("far", "103000", {}),
        ("wanted", "104200", {}),
        ("not filled", "104500", {}),
        ("another view", "104800", {"PositionerPrimaryAngle": 0}),
        ("later", "105500", {}),
        ("no time", "", {"AcquisitionTime": None, "AcquisitionDate": None}),
    ]
    for name, time, header in runs:
        frames = reference_frames(filled=name != "not filled")
        own = {"AcquisitionTime": time, "SOPInstanceUID": uid(name), "SeriesInstanceUID": uid(f"s {name}")}
        write_reference(tmp_path / "folder" / name, frames, **(own | header))

    choice = ReferenceChoice(search=(tmp_path / "folder",))

    output = only(convert([target], choice, tmp_path / "out"))

    assert output.roadmap is not None
    assert output.roadmap.instances == (uid("wanted"),)


def test_where_none_fits_every_run_says_why(tmp_path: Path) -> None:
    target = write_target(tmp_path / "t" / "a")
    write_reference(tmp_path / "r" / "a", PositionerPrimaryAngle=0)
    write_reference(
        tmp_path / "r" / "b", SOPInstanceUID=uid("b"), SeriesInstanceUID=uid("sb"), AcquisitionTime=None
    )

    report = convert([target], ReferenceChoice(search=(tmp_path / "r",)), tmp_path / "out")

    assert "none of 2 other runs fits" in reasons(report)
    assert "angles: 30 and 0 degrees apart" in reasons(report)
    assert "time: no clock that both have" in reasons(report)
    alone = convert([target], ReferenceChoice(), tmp_path / "alone")
    assert "there is no other run to take vessels from" in reasons(alone)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"run": (Path("a"),), "search": (Path("b"),)}, "want one of both"),
        ({"refused": "hide"}, "refused is 'hide', want mark or omit"),
        ({"run": "a"}, "run is 'a', want a tuple of Path"),
    ],
)
def test_a_choice_that_means_nothing_is_refused(wrong: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        ReferenceChoice(**wrong)  # type: ignore[arg-type]
