"""Which cine was made of which, in every form of output, and which frame of it belongs to which."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from casgan_dicom.conversion.options import ConvertOptions, FrameChoice
from casgan_dicom.conversion.pipeline import convert_series
from casgan_dicom.conversion.reference_choice import ReferenceChoice
from casgan_dicom.player.order import derived_at, times_ms
from casgan_dicom.player.records import laid_over, measured
from casgan_dicom.player.runs import Run, runs_in
from casgan_dicom.source.series import find_series
from tests.player.exhibits import converted
from tests.support.cines import cine_of
from tests.support.factories import moving_frames, uid, write_xa, write_xa_single_frames
from tests.support.painter import DiscPainter
from tests.support.roadmap import TARGET_FRAMES, DarkIsVessel, target_frames, write_reference, write_target

EVERYTHING: dict[str, Any] = {"maps": True, "seg": True, "sr": True}


def runs(*paths: Path) -> tuple[Run, ...]:
    """The runs of files and folders."""
    return runs_in(find_series(paths).cines)


def test_everything_that_was_made_of_a_run_is_found_by_its_references(tmp_path: Path) -> None:
    source = write_xa(tmp_path / "in" / "a", moving_frames(6))
    converted(source, tmp_path / "out", EVERYTHING)
    other = write_xa(
        tmp_path / "in" / "b", moving_frames(4), SOPInstanceUID=uid("b"), SeriesInstanceUID=uid("b series")
    )

    first, second = runs(tmp_path / "in", tmp_path / "out")

    assert first.source is not None
    assert first.source.instances[0].path == source
    made = (first.derived, first.attention, first.vessels, first.segmentation)
    descriptions = [str(cine.header.DerivationDescription)[:13] for cine in made if cine is not None]
    assert descriptions == ["Synthetic ang", "Attention map", "Vessel mask o", "Vessel mask o"]
    assert first.segmentation is not None
    assert first.segmentation.header.Modality == "SEG"
    assert first.report is not None
    assert first.report.Modality == "SR"
    assert second.source is not None
    assert second.source.instances[0].path == other
    assert second.derived is None


def test_two_conversions_of_one_source_are_two_runs_each_with_its_own_maps(tmp_path: Path) -> None:
    source = write_xa(tmp_path / "in" / "a", moving_frames(6))
    converted(source, tmp_path / "whole", EVERYTHING)
    converted(source, tmp_path / "part", EVERYTHING | {"frames": FrameChoice("2-4")})

    found = runs(tmp_path)

    assert sorted(run.derived.frames for run in found if run.derived) == [3, 6]
    for run in found:
        assert run.derived is not None
        assert run.attention is not None
        assert run.vessels is not None
        assert run.segmentation is not None
        assert run.report is not None
        assert run.attention.frames == run.vessels.frames == run.segmentation.frames == run.derived.frames
        assert len(measured(run.report, run.derived)) == run.derived.frames


@pytest.mark.parametrize("single_source", [False, True])
@pytest.mark.parametrize("single_output", [False, True])
@pytest.mark.parametrize(
    ("frames", "wanted"),
    [("all", (0, 1, 2, 3, 4, 5)), ("3-5", (None, None, 0, 1, 2, None))],
)
def test_each_derived_frame_belongs_to_the_frame_it_was_made_of(
    tmp_path: Path, single_source: bool, single_output: bool, frames: str, wanted: tuple[int | None, ...]
) -> None:
    if single_source:
        write_xa_single_frames(tmp_path / "in", moving_frames(6))
    else:
        write_xa(tmp_path / "in" / "a", moving_frames(6))
    form = EVERYTHING | {"single_frames": single_output, "frames": FrameChoice(frames)}
    converted(tmp_path / "in", tmp_path / "out", form)

    (run,) = runs(tmp_path)

    assert run.source is not None
    assert run.derived is not None
    assert derived_at(run) == wanted
    assert run.report is not None
    assert sorted(measured(run.report, run.derived)) == list(range(run.derived.frames))


def test_what_the_report_measured_is_what_the_conversion_says(tmp_path: Path) -> None:
    source = write_xa(tmp_path / "in" / "a", moving_frames(6))
    options = ConvertOptions(sr=True)
    report = convert_series([source], DiscPainter().as_generator, options, tmp_path / "out")
    (run,) = runs(tmp_path)
    assert run.report is not None
    assert run.derived is not None

    found = measured(run.report, run.derived)

    for k, quality in enumerate(report.outputs[0].quality):
        assert found[k]["vessels"] == pytest.approx(quality.vessel_cover)
        assert found[k]["attention"] == pytest.approx(quality.mean_attention)
        assert found[k]["opacified"] == pytest.approx(quality.opacified_probability)
        assert found[k]["answer"] in ("yes", "no", "uncertain")
        assert "domain" not in found[k]  # the painter does not judge


@pytest.mark.parametrize("single", [False, True])
def test_frames_of_a_roadmap_say_what_was_laid_over_them_or_why_nothing_was(
    tmp_path: Path, single: bool
) -> None:
    target = write_target(tmp_path / "target" / "a", target_frames(strange=slice(14, 20)))
    reference = write_reference(tmp_path / "reference" / "a")
    options = ConvertOptions(reference=ReferenceChoice((reference,)), single_frames=single)
    report = convert_series([target], DarkIsVessel().as_generator, options, tmp_path / "out")
    roadmap = report.outputs[0].roadmap
    assert roadmap is not None

    run = next(run for run in runs(tmp_path) if run.derived is not None)

    assert run.derived is not None
    assert run.source is not None
    assert run.source.instances[0].path == target
    assert derived_at(run) == tuple(range(TARGET_FRAMES))
    said = laid_over(run.derived)
    for k, frame in enumerate(roadmap.frames):
        if frame.refused:
            assert said[k]["kind"] == "refused"
            assert frame.reason in said[k]["text"]
        else:
            wanted = f"own vessels of 10:42, frame {frame.reference_frame} of the reference"
            assert said[k] == {"kind": "R", "text": wanted}
    assert {said[k]["kind"] for k in range(14, 20)} == {"refused"}


def test_times_are_those_of_the_header_and_end_with_the_last_frame(tmp_path: Path) -> None:
    even = cine_of(write_xa(tmp_path / "a", moving_frames(3), FrameTime=40))
    vector = {"FrameTime": None, "FrameTimeVector": [0, 50, 70], "FrameIncrementPointer": 0x00181065}
    uneven = cine_of(write_xa(tmp_path / "b", moving_frames(3), **vector))

    assert times_ms(even) == (0, 40, 80, 120)
    assert times_ms(uneven) == (0, 50, 120, 180)  # the last frame stays for the usual time


def test_a_derived_cine_of_another_source_is_not_put_beside_this_one(tmp_path: Path) -> None:
    source = write_xa(tmp_path / "in" / "a", moving_frames(6))
    converted(source, tmp_path / "out")
    source.unlink()
    write_xa(tmp_path / "in" / "b", moving_frames(6), SOPInstanceUID=uid("stranger"))

    made, stranger = runs(tmp_path)

    assert made.source is None
    assert made.derived is not None
    assert stranger.source is not None
    assert stranger.derived is None


def test_a_mask_of_another_number_of_frames_is_left_out(tmp_path: Path) -> None:
    source = write_xa(tmp_path / "in" / "a", moving_frames(6))
    made = converted(source, tmp_path / "out", {"seg": True})
    mask = next(path for path in made if dcmread(path).Modality == "SEG")
    (before,) = runs(tmp_path)
    ds = dcmread(mask)
    ds.NumberOfFrames = 5
    ds.save_as(mask)

    (after,) = runs(tmp_path)

    assert before.segmentation is not None
    assert after.segmentation is None
    assert after.derived is not None
