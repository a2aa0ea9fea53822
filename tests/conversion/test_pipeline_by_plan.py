"""A run that is drawn by plan, from files to files: what the plan is told, and who says what was drawn."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.pixels.utils import pixel_array

from casgan_dicom.conversion.options import ConvertOptions, FrameChoice, InjectionChoice, ViewChoice
from casgan_dicom.conversion.pipeline import convert_series
from casgan_dicom.conversion.report import ConvertReport, Output
from casgan_dicom.verification.verify import verify_file
from tests.support.atlas import DEPTH, FACTS, Planner, PlanPainter
from tests.support.factories import moving_frames, uid, write_xa
from tests.support.painter import DiscPainter
from tests.support.validators import dciodvfy, of_our_making

NO_BANNER = ConvertOptions(banner=False)
RUN = moving_frames(40)


def convert(
    folder: Path,
    planner: Planner,
    options: ConvertOptions = NO_BANNER,
    header: Mapping[str, object] = {},
    name: str = "out",
) -> ConvertReport:
    """Convert a run of 40 frames of 64 × 80 by plan."""
    source = write_xa(folder / "in" / "a", RUN, **header)
    return convert_series([source], PlanPainter(planner).as_generator, options, folder / name)


def only(report: ConvertReport) -> Output:
    (output,) = report.outputs
    return output


# --- pixels and calls -------------------------------------------------------------------------------------


def test_the_planned_tree_darkens_its_frames_and_nothing_else_is_touched(tmp_path: Path) -> None:
    planner = Planner()

    made = pixel_array(only(convert(tmp_path, planner)).path)

    assert [k for batch in planner.drawn for k in batch] == list(range(40))
    for k in range(40):
        row = 8 + k
        # beside an edge a frame is taken for grainy, by 0.06 at most, which falls with the root of the light
        beside = 0.06 * 255 * (np.exp(-DEPTH / 2) - np.exp(-DEPTH))
        off = np.abs(made[k, row] - RUN[k, row] * np.exp(-DEPTH))
        assert off.max() < 0.501 + beside
        assert np.median(off) < 0.501
        np.testing.assert_array_equal(np.delete(made[k], row, axis=0), np.delete(RUN[k], row, axis=0))


def test_one_plan_is_made_from_few_frames_and_what_the_header_says(tmp_path: Path) -> None:
    planner = Planner()
    header = {"PositionerSecondaryAngle": 18, "DistanceSourceToDetector": 1150, "RWavePointer": [4, 18, 31]}

    convert(tmp_path, planner, replace(NO_BANNER, artery="left"), header)

    ((numbers, frames, context),) = planner.told
    assert (len(numbers), numbers[0], numbers[-1], frames) == (16, 0, 39, 40)
    assert planner.seen == [(16, 64, 80)]
    assert (context.angles_deg, context.angles_given) == ((-30, 18), False)
    assert (context.artery, context.key, context.source_detector_mm) == ("LCA", uid("series"), 1150)
    assert (len(context.times_s), len(context.r_waves_s)) == (40, 3)


def test_frames_that_are_not_converted_are_planned_for_all_the_same(tmp_path: Path) -> None:
    """The numbers that are drawn are those of the run, not those of the choice."""
    planner = Planner()

    made = pixel_array(only(convert(tmp_path, planner, replace(NO_BANNER, frames=FrameChoice("11-13")))).path)

    assert planner.told[0][1] == 40
    assert [k for batch in planner.drawn for k in batch] == [10, 11, 12]
    assert (made[1, 19] < RUN[11, 19]).all()


def test_large_frames_are_planned_at_half_their_size(tmp_path: Path) -> None:
    source = write_xa(
        tmp_path / "in" / "a", moving_frames(3, 600, 640), ImagerPixelSpacing=[0.3, 0.3], Rows=600
    )
    planner = Planner()

    convert_series([source], PlanPainter(planner).as_generator, NO_BANNER, tmp_path / "out")

    assert planner.seen == [(3, 300, 320)]
    context = planner.told[0][2]
    assert context.pixel_mm == pytest.approx(0.6)
    assert context.visible is not None
    assert context.visible.shape == (300, 320)


class NobodyLooks(PlanPainter):
    """Its segmentor looks at the source, and fails the test where it is asked about synthetic frames."""

    def vessels(self, frames: np.ndarray, levels: object = None) -> np.ndarray:
        """Nothing in frames of the source."""
        shown = (RUN / 255).astype(np.float32)
        assert all((np.abs(shown - frame) < 1e-6).all(axis=(1, 2)).any() for frame in frames)
        return np.zeros_like(frames)


def test_the_mask_of_vessels_is_what_was_drawn_and_says_so(tmp_path: Path) -> None:
    source = write_xa(tmp_path / "in" / "a", RUN)
    options = replace(NO_BANNER, maps=True, seg=True)

    report = convert_series([source], NobodyLooks(Planner()).as_generator, options, tmp_path / "out")

    objects = {one.kind: one.path for one in only(report).objects}
    drawn = np.zeros(RUN.shape, dtype=np.bool_)
    drawn[range(40), range(8, 48)] = True
    np.testing.assert_array_equal(pixel_array(objects["vessels"]) == 255, drawn)
    np.testing.assert_array_equal(pixel_array(objects["segmentation"]) == 1, drawn)
    assert [one.vessel_cover for one in only(report).quality] == [1 / 64] * 40
    comments = "Where an algorithm drew vessels by an anatomical atlas"
    assert dcmread(objects["vessels"]).ImageComments.startswith(comments)
    ds = dcmread(objects["segmentation"])
    assert ds.ImageComments.startswith(comments)
    assert ds.SegmentSequence[0].SegmentAlgorithmName.endswith("vessels as drawn")


class Injected(PlanPainter):
    """Sees contrast in the second half of the run."""

    def vessels(self, frames: np.ndarray, levels: object = None) -> np.ndarray:
        """A tree of 6 % in frames that are brighter than any of the first half."""
        bright = frames.mean(axis=(1, 2)) > 0.6
        found = np.zeros_like(frames)
        found[bright, :4] = 0.9
        return found


def test_frames_that_show_contrast_are_not_planned_from(tmp_path: Path) -> None:
    frames = np.full((40, 64, 80), 100, np.uint8)
    frames[20:] = 200
    frames[:, 5, 5], frames[:, 6, 6] = 0, 255
    planner = Planner()

    report = convert_series(
        [write_xa(tmp_path / "in" / "a", frames)], Injected(planner).as_generator, NO_BANNER, tmp_path / "out"
    )

    first, last = map(int, only(report).opacified.split("-"))
    assert (10 < first <= 21, last) == (True, 40)
    ((numbers, frames_of_run, _),) = planner.told
    assert frames_of_run == 40
    assert 0 < len(numbers) < 16
    assert max(numbers) + 1 < first


# --- what is said -----------------------------------------------------------------------------------------


def test_the_report_says_what_was_drawn_and_where_each_fact_is_from(tmp_path: Path) -> None:
    planner = Planner(facts=replace(FACTS, notes=("the header says RAO, the picture LAO",)))

    report = convert(tmp_path, planner)

    assert json.loads((tmp_path / "out" / "report.json").read_text())["outputs"][0]["plan"] == {
        "tree": 17,
        "artery": "right",
        "artery_source": "picture",
        "artery_sure": 0.98,
        "angles_deg": [-30.0, 20.0],
        "angles_source": "header",
        "angles_seen_deg": [-27.0, 18.5],
        "angles_spread_deg": 2.5,
        "landmarks_off_mm": 6.0,
        "field_mm": 180.0,
        "scale_source": "header",
        "phase_source": "R waves",
        "heart_rate_bpm": 71.5,
        "tip": [0.25, 0.5],
        "tip_sure": 0.9,
        "darkness": 1.0,
        "darkness_source": "catheter",
        "injection_s": None,
        "refused": "",
        "notes": ["the header says RAO, the picture LAO"],
    }
    assert (report.as_json()["schema"], only(report).seconds.plan > 0) == (4, True)
    assert "the header says RAO, the picture LAO" in only(report).warnings


def test_numbers_of_the_planner_may_be_numpys(tmp_path: Path) -> None:
    facts = replace(
        FACTS,
        tree=np.int64(3),  # type: ignore[arg-type]
        artery_sure=np.float32(0.5),  # type: ignore[arg-type]
        angles_deg=tuple(np.array([1.0, 2.0], np.float32)),
        heart_rate_bpm=None,
        tip=None,
    )

    plan = convert(tmp_path, Planner(facts=facts)).as_json()["outputs"][0]["plan"]

    assert json.loads(json.dumps(plan))["tree"] == 3
    assert (plan["tip"], plan["heart_rate_bpm"], plan["angles_deg"]) == (None, None, [1, 2])


def test_the_header_says_that_the_tree_is_not_the_patients(tmp_path: Path) -> None:
    options = ConvertOptions(maps=True, seg=True, sr=True)

    output = only(convert(tmp_path, Planner(), options))

    ds = dcmread(output.path)
    assert "plausible, NOT THE PATIENT'S" in ds.ImageComments
    assert "For research, not for diagnosis" in ds.ImageComments
    assert (
        "Tree 17 of the library, right artery (picture 0.98), "
        "view RAO30 CRA20 (header; picture RAO27 CRA18), scale header, phase R waves; "
        "plausible, not the patient's. "
    ) in ds.DerivationDescription
    assert len(ds.DerivationDescription) <= 1024
    assert len(output.objects) == 5
    for one in output.objects:
        assert verify_file(one.path) == []
        assert of_our_making(dciodvfy(one.path)) == []


def test_a_refused_plan_draws_nothing_and_says_why(tmp_path: Path) -> None:
    output = only(convert(tmp_path, Planner(refused="no catheter and no heart are seen")))

    ds = dcmread(output.path)
    np.testing.assert_array_equal(ds.pixel_array, RUN)
    assert (output.mean_attention, output.untouched_share) == (0, 1)
    assert "nothing was drawn: no catheter and no heart are seen" in output.warnings
    assert "Nothing was drawn: no catheter and no heart are seen. " in ds.DerivationDescription
    assert "library" not in ds.DerivationDescription
    assert output.plan is not None
    assert output.plan.refused == "no catheter and no heart are seen"
    assert verify_file(output.path) == []


# --- UIDs -------------------------------------------------------------------------------------------------


def test_other_wishes_are_other_series(tmp_path: Path) -> None:
    wishes = [
        NO_BANNER,
        replace(NO_BANNER, artery="left"),
        replace(NO_BANNER, artery="right"),
        replace(NO_BANNER, view=ViewChoice("RAO30")),
        replace(NO_BANNER, view=ViewChoice("LAO30")),
        replace(NO_BANNER, injection=InjectionChoice("0.5")),
    ]
    series = [
        only(convert(tmp_path, Planner(), wish, name=f"{n}")).series_uid for n, wish in enumerate(wishes)
    ]
    assert len(set(series)) == len(wishes)

    again = only(convert(tmp_path, Planner(), replace(NO_BANNER, view=ViewChoice("-30,0")), name="again"))
    assert again.series_uid == series[3]


def test_a_method_that_draws_frame_by_frame_does_not_ask(tmp_path: Path) -> None:
    """The same object, as nothing else was drawn, and a word that the wish was in vain."""
    source = write_xa(tmp_path / "in" / "a", RUN)
    wish = replace(NO_BANNER, artery="left", view=ViewChoice("RAO30"), injection=InjectionChoice("1"))

    plain, asked = (
        only(convert_series([source], DiscPainter().as_generator, options, tmp_path / "out"))
        for options in (NO_BANNER, wish)
    )

    assert (asked.sop_instance_uid, asked.status, asked.plan) == (plain.sop_instance_uid, "kept", None)
    told = "the method draws frame by frame, so --artery, --view and --injection mean nothing to it"
    assert told in asked.warnings
    assert told not in plain.warnings
