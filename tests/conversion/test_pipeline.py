"""The pipeline from files to files, with a generator whose work can be redone by hand."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from pydicom import dcmread, dcmwrite
from pydicom.config import IGNORE
from pydicom.pixels.utils import pixel_array
from pydicom.uid import JPEGBaseline8Bit, JPEGLSLossless, RLELossless
from pydicom.valuerep import DSfloat

from casgan_dicom.conversion.options import ConvertOptions
from casgan_dicom.conversion.pipeline import convert_series
from casgan_dicom.conversion.plan import plan_conversion
from casgan_dicom.conversion.report import ConvertReport
from casgan_dicom.conversion.task import Step
from casgan_dicom.derived.provenance import Superseded
from casgan_dicom.errors import OutputError, SeriesError, WeightsError
from casgan_dicom.model.data.normalisation import Levels
from casgan_dicom.model.generator import Generator, Synthesis
from casgan_dicom.pixels.banner import banner_for
from casgan_dicom.verification.verify import verify_file
from tests.support.factories import moving_frames, uid, write_header, write_xa, write_xa_single_frames
from tests.support.painter import SHA256, DiscPainter, Frames, PainterInfo, disc_attention
from tests.support.validators import dcentvfy, dciodvfy, of_our_making

PLAIN = ConvertOptions()
NO_BANNER = ConvertOptions(banner=False)
FORCE = ConvertOptions(force=True)
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def convert(
    source: Path,
    out: Path,
    options: ConvertOptions = PLAIN,
    painter: DiscPainter | None = None,
    clock_at: datetime = NOON,
) -> ConvertReport:
    """Run the pipeline with the disc painter."""
    load = (painter or DiscPainter()).as_generator
    return convert_series([source], load, options, out, clock=lambda: clock_at)


def frames_of(report: ConvertReport, index: int = 0) -> npt.NDArray[np.uint8]:
    """Stored frames of one output, always (frames, rows, columns)."""
    pixels = pixel_array(report.outputs[index].path)
    return pixels if pixels.ndim == 3 else pixels[None]


def in_disc(rows: int, columns: int) -> npt.NDArray[np.bool_]:
    return np.asarray(disc_attention(rows, columns) == 0.5)


def snapshot(folder: Path) -> dict[str, tuple[str, int]]:
    """Digest and modification time of every file."""
    return {
        str(path.relative_to(folder)): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_mtime_ns,
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# --- pixels -----------------------------------------------------------------------------------------------


def test_disc_is_darkened_by_half_and_the_rest_is_the_input(tmp_path: Path) -> None:
    frames = moving_frames(7, 64, 80)
    disc = in_disc(64, 80)

    report = convert(write_xa(tmp_path / "in" / "a", frames), tmp_path / "out", NO_BANNER)

    made = frames_of(report)
    np.testing.assert_array_equal(made[:, ~disc], frames[:, ~disc])
    # Half a level is a tie, which rounding may take either way.
    np.testing.assert_allclose(made[:, disc], frames[:, disc] / 2, atol=0.5)
    assert report.outputs[0].untouched_share > (~disc).mean() - 0.01


def test_banner_is_in_every_frame_and_hides_nothing_else(tmp_path: Path) -> None:
    source = write_xa(tmp_path / "in" / "a", moving_frames(5, 64, 80))
    banner = banner_for(64, 80)
    mask = banner.mask((64, 80))

    bare = frames_of(convert(source, tmp_path / "bare", NO_BANNER))
    marked = frames_of(convert(source, tmp_path / "marked"))

    np.testing.assert_array_equal(marked[:, ~mask], bare[:, ~mask])
    for frame in marked:
        np.testing.assert_array_equal(frame[banner.rows, banner.columns], np.where(banner.ink, 255, 0))


def test_method_without_attention_is_taken_as_it_is(tmp_path: Path) -> None:
    frames = moving_frames(4, 64, 80)
    painter = DiscPainter(with_attention=False)

    report = convert(write_xa(tmp_path / "in" / "a", frames), tmp_path / "out", NO_BANNER, painter)

    expected = frames * (1 - disc_attention(64, 80))
    np.testing.assert_allclose(frames_of(report), expected, atol=0.5001)
    assert report.outputs[0].mean_attention is None


def test_picture_behind_a_shutter_stays_as_it_was(tmp_path: Path) -> None:
    frames = moving_frames(4, 64, 80)
    shutter = {
        "ShutterShape": "RECTANGULAR",
        "ShutterLeftVerticalEdge": 41,
        "ShutterRightVerticalEdge": 80,
        "ShutterUpperHorizontalEdge": 1,
        "ShutterLowerHorizontalEdge": 64,
    }

    report = convert(write_xa(tmp_path / "in" / "a", frames, **shutter), tmp_path / "out", NO_BANNER)

    made, disc = frames_of(report), in_disc(64, 80)
    np.testing.assert_array_equal(made[:, :, :40], frames[:, :, :40])
    right = disc.copy()
    right[:, :40] = False
    np.testing.assert_allclose(made[:, right], frames[:, right] / 2, atol=0.5)


def test_twelve_bits_inverted_come_out_as_a_viewer_shows_them(tmp_path: Path) -> None:
    frames = moving_frames(4, 64, 80, bits=12)
    source = write_xa(tmp_path / "in" / "a", frames, BitsStored=12, PhotometricInterpretation="MONOCHROME1")

    report = convert(source, tmp_path / "out", NO_BANNER)

    outside = ~in_disc(64, 80)
    shown = np.rint((4095 - frames.astype(np.float64)) / 4095 * 255)
    # float32 display values may fall on the other side of a tie.
    np.testing.assert_allclose(frames_of(report)[:, outside], shown[:, outside], atol=1)


def test_mean_attention_is_that_of_the_maps(tmp_path: Path) -> None:
    report = convert(write_xa(tmp_path / "in" / "a", moving_frames(5, 64, 80)), tmp_path / "out")

    assert report.outputs[0].mean_attention == pytest.approx(disc_attention(64, 80).mean(), rel=1e-6)


@pytest.mark.parametrize("syntax", [RLELossless, JPEGBaseline8Bit])
def test_compressed_sources_convert_and_lossy_ones_say_so(tmp_path: Path, syntax: str) -> None:
    declared = None if syntax == JPEGBaseline8Bit else "00"
    frames = moving_frames(4, 64, 80)
    source = write_xa(tmp_path / "in" / "a", frames, syntax=syntax, LossyImageCompression=declared)

    report = convert(source, tmp_path / "out")

    ds = dcmread(report.outputs[0].path)
    lossy = syntax == JPEGBaseline8Bit
    assert ds.LossyImageCompression == ("01" if lossy else "00")
    assert report.outputs[0].lossy is lossy
    assert verify_file(report.outputs[0].path) == []


def test_lossy_source_that_does_not_say_how_much_is_lossy_all_the_same(tmp_path: Path) -> None:
    source = write_xa(tmp_path / "in" / "a", LossyImageCompression="01")

    (output,) = convert(source, tmp_path / "out").outputs

    ds = dcmread(output.path)
    assert ds.LossyImageCompression == "01"
    assert "LossyImageCompressionRatio" not in ds
    assert dciodvfy(output.path) == []


def test_single_frames_become_one_cine_in_the_order_of_time(tmp_path: Path) -> None:
    frames = moving_frames(6, 64, 80)
    write_xa_single_frames(tmp_path / "in", frames, step_s=0.04)

    report = convert(tmp_path / "in", tmp_path / "out", NO_BANNER)

    (output,) = report.outputs
    outside = ~in_disc(64, 80)
    np.testing.assert_array_equal(frames_of(report)[:, outside], frames[:, outside])
    assert output.frame_time_ms == pytest.approx(40)
    assert len(output.source_instances) == 6


def test_what_was_clamped_or_read_otherwise_than_it_says_is_in_the_report(tmp_path: Path) -> None:
    frames = moving_frames(2, 64, 80, bits=12)
    source = write_xa(tmp_path / "a", frames, syntax=JPEGLSLossless, BitsStored=12)
    ds = dcmread(source)
    ds.BitsStored, ds.HighBit = 11, 10
    ds.save_as(source)
    source.write_bytes(source.read_bytes()[:-8])

    report = convert(source, tmp_path / "out", NO_BANNER)

    beyond = np.count_nonzero(frames > 2047)
    assert [said for said in report.outputs[0].warnings if "opacified" not in said] == [
        "PixelData (7FE0,0010) ends without its sequence delimiter: all 2 frames are whole",
        f"{beyond} values of 2 frames lie beyond BitsStored (0028,0101), which is 11, in streams of 12 bits: "
        "clamped",
    ]


# --- the two passes ---------------------------------------------------------------------------------------


def test_levels_are_measured_on_the_whole_run_before_the_first_frame(tmp_path: Path) -> None:
    frames = moving_frames(8, 64, 80)
    painter = DiscPainter(batch=3)

    convert(write_xa(tmp_path / "in" / "a", frames), tmp_path / "out", painter=painter)

    assert painter.measured == 8
    assert painter.calls == [3, 3, 2]
    whole = Levels(float(np.float32(frames.min() / 255)), float(np.float32(frames.max() / 255)))
    assert painter.levels == [whole] * 3


def test_batch_size_changes_no_pixel(tmp_path: Path) -> None:
    source = write_xa(tmp_path / "in" / "a", moving_frames(7, 64, 80))

    reports = [convert(source, tmp_path / f"out{n}", painter=DiscPainter(batch=n)) for n in (1, 3, 16)]

    assert len({report.outputs[0].pixel_sha256 for report in reports}) == 1
    assert len({report.outputs[0].sop_instance_uid for report in reports}) == 1


def test_progress_tells_both_passes_to_their_end(tmp_path: Path) -> None:
    source = write_xa(tmp_path / "in" / "a", moving_frames(7, 64, 80))
    steps: list[Step] = []

    convert_series([source], DiscPainter().as_generator, PLAIN, tmp_path / "out", progress=steps.append)

    assert [step.done for step in steps if step.stage == "measure"] == list(range(1, 8))
    assert [step.done for step in steps if step.stage == "generate"] == [3, 6, 7]
    assert {step.source_instance_uid for step in steps} == {uid("instance")}


class NotANumber(DiscPainter):
    """A generator that overflows."""

    def __call__(self, frames: Frames, levels: Levels | None = None) -> Synthesis:
        made = super().__call__(frames, levels)
        made.frames[0, 0, 0] = np.nan
        return made


class WrongSize(DiscPainter):
    """A generator that forgets to enlarge."""

    def __call__(self, frames: Frames, levels: Levels | None = None) -> Synthesis:
        made = super().__call__(frames, levels)
        return Synthesis(made.frames[:, ::2, ::2], None)


@pytest.mark.parametrize(("painter", "reason"), [(NotANumber(), "not finite"), (WrongSize(), "shape")])
def test_broken_generator_leaves_no_object(tmp_path: Path, painter: DiscPainter, reason: str) -> None:
    report = convert(write_xa(tmp_path / "in" / "a"), tmp_path / "out", painter=painter)

    assert report.exit_code == 3
    assert reason in report.skipped[0].reasons[0]
    assert set(snapshot(tmp_path / "out")) == {"report.json"}


# --- the object and the report ----------------------------------------------------------------------------


def test_output_satisfies_both_validators_and_our_rules(tmp_path: Path) -> None:
    source = write_xa(tmp_path / "in" / "a", PatientBirthDate="19600101", PatientSex="F")

    (output,) = convert(source, tmp_path / "out").outputs

    assert dciodvfy(output.path) == []
    assert dcentvfy(source, output.path) == []
    assert verify_file(output.path) == []


def test_source_that_this_software_simulated_may_be_converted(tmp_path: Path) -> None:
    source = write_xa(tmp_path / "in" / "a", Manufacturer="casgan-dicom", SyntheticData="YES")

    (output,) = convert(source, tmp_path / "out").outputs

    assert verify_file(output.path) == []
    assert dciodvfy(output.path) == []


def test_files_lie_where_they_are_promised(tmp_path: Path) -> None:
    report = convert(write_xa(tmp_path / "in" / "a"), tmp_path / "out", replace(PLAIN, preview=True))

    (output,) = report.outputs
    ds = dcmread(output.path)
    assert output.path == tmp_path / "out" / ds.SeriesInstanceUID / f"{ds.SOPInstanceUID}.dcm"
    assert output.preview == tmp_path / "out" / f"{ds.SeriesInstanceUID}.png"
    assert set(snapshot(tmp_path / "out")) == {
        f"{ds.SeriesInstanceUID}/{ds.SOPInstanceUID}.dcm",
        f"{ds.SeriesInstanceUID}.png",
        "report.json",
    }


def test_report_tells_who_what_and_how(tmp_path: Path) -> None:
    report = convert(write_xa(tmp_path / "in" / "a", FrameTime=40), tmp_path / "out")

    told = json.loads((tmp_path / "out" / "report.json").read_text())
    assert told == report.as_json()
    (output,) = told["outputs"]
    (made,) = output["objects"]
    assert made["sha256"] == hashlib.sha256(Path(made["path"]).read_bytes()).hexdigest()
    assert output["pixel_sha256"] == hashlib.sha256(frames_of(report).tobytes()).hexdigest()
    assert (output["frames"], output["rows"], output["columns"]) == (4, 64, 80)
    assert output["frame_time_ms"] == 40
    assert output["source_series_uid"] == uid("series")
    assert output["source_instances"] == [uid("instance")]
    assert output["seconds"]["total"] >= output["seconds"]["measure"] + output["seconds"]["generate"]
    assert told["model"]["weights_sha256"] == SHA256
    assert (told["model"]["engine"], told["model"]["device"]) == ("numpy-fp32", "cpu")
    assert told["created"] == "2026-05-01T12:00:00+00:00"


def test_report_holds_no_patient_data(tmp_path: Path) -> None:
    source = write_xa(
        tmp_path / "in" / "a", PatientName="Very^Secret", PatientID="SECRET-7", BodyPartExamined="LEG"
    )
    convert(source, tmp_path / "out")

    assert "secret" not in (tmp_path / "out" / "report.json").read_text().lower()


def test_what_is_unusual_about_the_source_is_reported(tmp_path: Path) -> None:
    report = convert(
        write_xa(tmp_path / "in" / "a", BodyPartExamined="LEG", Laterality="L"), tmp_path / "out"
    )

    assert any("BodyPartExamined" in warning for warning in report.outputs[0].warnings)


def test_several_cines_of_a_series_get_a_sheet_each(tmp_path: Path) -> None:
    for k in (1, 2):
        write_xa(tmp_path / "in" / str(k), SOPInstanceUID=uid(f"run {k}"), InstanceNumber=k)

    report = convert(tmp_path / "in", tmp_path / "out", replace(PLAIN, preview=True))

    assert len({output.series_uid for output in report.outputs}) == 1
    sheets = [output.preview.name for output in report.outputs if output.preview]
    assert sheets == [f"{output.series_uid}-{output.sop_instance_uid}.png" for output in report.outputs]
    assert [dcmread(output.path).InstanceNumber for output in report.outputs] == [1, 2]


def test_the_sheet_of_a_cine_is_not_replaced_by_that_of_another_call(tmp_path: Path) -> None:
    sources = [
        write_xa(tmp_path / "in" / str(k), SOPInstanceUID=uid(f"run {k}"), InstanceNumber=k) for k in (1, 2)
    ]

    sheets = []
    for source in sources:
        (output,) = convert(source, tmp_path / "out", replace(PLAIN, preview=True)).outputs
        sheets.append((output.preview, output.preview.read_bytes() if output.preview else b""))

    assert len({path for path, _ in sheets}) == 2
    assert all(path is not None and path.read_bytes() == content for path, content in sheets)


def test_a_report_is_written_even_where_nothing_was_converted(tmp_path: Path) -> None:
    """One that an earlier call left would speak of other files."""
    convert(write_xa(tmp_path / "in" / "a"), tmp_path / "out")

    report = convert(write_xa(tmp_path / "in" / "b", Modality="CT"), tmp_path / "out")

    assert report.outputs == ()
    told = json.loads((tmp_path / "out" / "report.json").read_text())
    assert told["outputs"] == []
    assert "Modality" in told["skipped"][0]["reasons"][0]


def test_the_report_of_what_is_done_survives_what_stops_the_rest(tmp_path: Path) -> None:
    for k in (1, 2):
        write_xa(
            tmp_path / "in" / str(k), SOPInstanceUID=uid(f"run {k}"), SeriesInstanceUID=uid(f"series {k}")
        )
    source, out = tmp_path / "in", tmp_path / "out"
    plan = plan_conversion([source], PLAIN, out)
    first = plan.cines[0].series_uid

    def full_disk(step: Step) -> None:
        if step.source_instance_uid != plan.cines[0].instances[0].sop_instance_uid:
            raise OutputError("no space left on the device")

    with pytest.raises(OutputError, match="no space left"):
        convert_series([source], DiscPainter().as_generator, PLAIN, out, progress=full_disk)

    (output,) = json.loads((tmp_path / "out" / "report.json").read_text())["outputs"]
    assert output["source_series_uid"] == first
    assert Path(output["objects"][0]["path"]).is_file()


@pytest.mark.parametrize(
    "junk", [b"", b"\0" * 128 + b"DICM", b"\0" * 128 + b"DICM\x02\x00\x00\x00UL\x04\x00\xff"]
)
def test_a_damaged_file_beside_the_output_disturbs_nothing(tmp_path: Path, junk: bytes) -> None:
    source = write_xa(tmp_path / "in" / "a")
    (output,) = convert(source, tmp_path / "out").outputs
    output.path.unlink()
    (output.path.parent / "damaged.dcm").write_bytes(junk)

    (again,) = convert(source, tmp_path / "out").outputs

    assert again.status == "written"


def test_what_a_killed_run_left_in_the_output_folder_is_no_input(tmp_path: Path) -> None:
    source = write_xa(tmp_path / "in" / "a")
    out = tmp_path / "in" / "derived"
    (output,) = convert(source, out).outputs
    part = output.path.with_name(f".{output.path.name}.{'0' * 16}.part")
    part.write_bytes(output.path.read_bytes())
    output.path.with_name(f".1.2.3.dcm.{'1' * 16}.part").write_bytes(part.read_bytes()[:400])

    report = convert(tmp_path / "in", out)

    assert [output.status for output in report.outputs] == ["kept"]
    assert report.skipped == ()


@pytest.mark.parametrize("rows", [64, 100])
def test_a_wide_frame_has_a_banner_too(tmp_path: Path, rows: int) -> None:
    report = convert(write_xa(tmp_path / "in" / "a", moving_frames(2, rows, 4096)), tmp_path / "out")

    assert verify_file(report.outputs[0].path) == []
    assert banner_for(rows, 4096).text == "AI SYNTHETIC - NOT FOR DIAGNOSIS"


@pytest.mark.parametrize("angle", ["NaN", "inf"])
def test_an_angle_that_is_no_number_is_left_out_of_the_description(tmp_path: Path, angle: str) -> None:
    source = write_xa(tmp_path / "in" / "a")
    header = dcmread(source)
    header.add_new("PositionerPrimaryAngle", "DS", "0")
    header["PositionerPrimaryAngle"].value = DSfloat(float(angle), auto_format=False, validation_mode=IGNORE)
    dcmwrite(source, header)

    (output,) = convert(source, tmp_path / "out").outputs

    assert "LAO" not in dcmread(output.path).SeriesDescription


@pytest.mark.parametrize(
    "vector", [[0.0] + [66.667] * 10 + [33.333] * 10, [0.0, 33.3, 66.6], [0.0] + [40.0] * 3 + [100.0] * 3]
)
def test_a_rate_that_changes_half_way_is_converted(tmp_path: Path, vector: list[float]) -> None:
    """The median of an even number of intervals lies between two of them."""
    source = write_xa(
        tmp_path / "in" / "a",
        moving_frames(len(vector), 64, 80),
        FrameTime=None,
        FrameTimeVector=vector,
        FrameIncrementPointer=0x00181065,
    )

    (output,) = convert(source, tmp_path / "out").outputs

    assert output.frames == len(vector)
    assert verify_file(output.path) == []


# --- again, and other than before -------------------------------------------------------------------------


def test_second_run_keeps_what_the_first_one_wrote(tmp_path: Path) -> None:
    source = write_xa(tmp_path / "in" / "a")
    first = convert(source, tmp_path / "out")
    before = snapshot(tmp_path / "out" / first.outputs[0].series_uid)

    second = convert(source, tmp_path / "out", clock_at=datetime(2027, 1, 1, tzinfo=UTC))

    assert (first.outputs[0].status, second.outputs[0].status) == ("written", "kept")
    assert second.outputs[0].objects[0].sha256 == first.outputs[0].objects[0].sha256
    assert second.exit_code == 0
    assert snapshot(tmp_path / "out" / first.outputs[0].series_uid) == before


@pytest.fixture
def converted(tmp_path: Path) -> Path:
    """An object in tmp_path/out, made of tmp_path/in/a."""
    return convert(write_xa(tmp_path / "in" / "a"), tmp_path / "out").outputs[0].path


def changed_header(path: Path) -> None:
    ds = dcmread(path)
    ds.PatientID = "SOMEBODY ELSE"
    dcmwrite(path, ds)


def changed_pixel(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-50])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [changed_header, changed_pixel, cut_short, emptied])
def test_different_object_in_the_place_is_left_alone_without_force(
    tmp_path: Path, converted: Path, damage: object
) -> None:
    assert callable(damage)
    damage(converted)
    content = converted.read_bytes()

    report = convert(tmp_path / "in" / "a", tmp_path / "out")

    assert report.exit_code == 3
    assert "--force" in " ".join(report.skipped[0].reasons)
    assert converted.read_bytes() == content

    forced = convert(tmp_path / "in" / "a", tmp_path / "out", FORCE)

    assert forced.outputs[0].status == "written"
    assert converted.read_bytes() != content
    assert verify_file(converted) == []


class Drifted(DiscPainter):
    """The same weights on a processor that rounds otherwise."""

    def __call__(self, frames: Frames, levels: Levels | None = None) -> Synthesis:
        made = super().__call__(frames, levels)
        assert made.attention is not None
        return Synthesis(made.frames * np.float32(0.98), made.attention)


def test_result_that_drifted_never_hides_behind_an_old_uid(tmp_path: Path, converted: Path) -> None:
    refused = convert(tmp_path / "in" / "a", tmp_path / "out", painter=Drifted())
    assert refused.exit_code == 3
    assert converted.exists()

    forced = convert(tmp_path / "in" / "a", tmp_path / "out", FORCE, Drifted())

    (output,) = forced.outputs
    assert output.path.parent == converted.parent
    assert output.path != converted
    assert not converted.exists()  # one object of one source in one series


def test_other_weights_write_beside_the_first(tmp_path: Path, converted: Path) -> None:
    other = DiscPainter(info=PainterInfo(weights_sha256="77" * 32))

    report = convert(tmp_path / "in" / "a", tmp_path / "out", painter=other)

    assert report.outputs[0].status == "written"
    assert converted.exists()


# --- what is never touched --------------------------------------------------------------------------------


def test_input_is_neither_changed_nor_added_to(tmp_path: Path) -> None:
    write_xa(tmp_path / "in" / "a")
    before = snapshot(tmp_path / "in")

    convert(tmp_path / "in", tmp_path / "out", replace(FORCE, preview=True))

    assert snapshot(tmp_path / "in") == before


@pytest.mark.parametrize("out", ["in", "in/deep", "in/deep/a", "in/../in"])
def test_output_into_the_input_is_refused(tmp_path: Path, out: str) -> None:
    write_xa(tmp_path / "in" / "deep" / "a")
    before = snapshot(tmp_path / "in")

    with pytest.raises(OutputError, match=r"holds the input|not a folder"):
        convert(tmp_path / "in", tmp_path / out)

    assert snapshot(tmp_path / "in") == before


def test_output_reached_by_a_link_into_the_input_is_refused(tmp_path: Path) -> None:
    write_xa(tmp_path / "in" / "a")
    (tmp_path / "link").symlink_to(tmp_path / "in")

    with pytest.raises(OutputError, match="holds the input"):
        convert(tmp_path / "in" / "a", tmp_path / "link")


def test_output_folder_inside_the_input_is_no_input_of_the_next_run(tmp_path: Path) -> None:
    write_xa(tmp_path / "in" / "a")
    convert(tmp_path / "in", tmp_path / "in" / "derived")

    report = convert(tmp_path / "in", tmp_path / "in" / "derived")

    assert report.exit_code == 0
    assert [output.status for output in report.outputs] == ["kept"]
    assert "1 objects of an earlier run in the output folder passed over" in report.warnings


def test_folder_that_cannot_be_made_is_an_error_before_anything_is_generated(tmp_path: Path) -> None:
    source = write_xa(tmp_path / "in" / "a")
    (tmp_path / "file").write_text("not a folder")
    painter = DiscPainter()

    with pytest.raises(OutputError, match="cannot be written"):
        convert(source, tmp_path / "file" / "out", painter=painter)

    assert painter.calls == []


def test_interrupted_run_leaves_no_file_behind(tmp_path: Path) -> None:
    class Stopped(DiscPainter):
        def __call__(self, frames: Frames, levels: Levels | None = None) -> Synthesis:
            if len(self.calls) == 1:
                raise KeyboardInterrupt
            return super().__call__(frames, levels)

    source = write_xa(tmp_path / "in" / "a", moving_frames(9, 64, 80))

    with pytest.raises(KeyboardInterrupt):
        convert(source, tmp_path / "out", painter=Stopped())

    assert snapshot(tmp_path / "out") == {}


# --- what is skipped --------------------------------------------------------------------------------------


def test_one_bad_series_does_not_stop_the_others(tmp_path: Path) -> None:
    write_xa(tmp_path / "in" / "good")
    cut = write_xa(tmp_path / "in" / "cut", SOPInstanceUID=uid("2"), SeriesInstanceUID=uid("series 2"))
    cut.write_bytes(cut.read_bytes()[:-6000])

    report = convert(tmp_path / "in", tmp_path / "out")

    assert report.exit_code == 4
    assert [output.source_instances for output in report.outputs] == [(uid("instance"),)]
    (skipped,) = report.skipped
    assert skipped.source_series_uid == uid("series 2")
    assert skipped.reasons


@pytest.mark.parametrize(
    ("header", "word"),
    [
        ({"ContrastBolusAgent": "Iohexol"}, "ContrastBolusAgent"),
        ({"RecommendedViewingMode": "SUB"}, "RecommendedViewingMode"),
    ],
)
def test_contrast_and_dsa_convert_only_by_force(tmp_path: Path, header: dict[str, object], word: str) -> None:
    source = write_xa(tmp_path / "in" / "a", None, **header)

    refused = convert(source, tmp_path / "out")
    forced = convert(source, tmp_path / "out", FORCE)

    assert refused.exit_code == 3
    assert refused.skipped[0].forceable
    assert word in refused.skipped[0].reasons[0]
    assert forced.exit_code == 0
    assert any(word in warning for warning in forced.outputs[0].warnings)
    assert word not in dcmread(forced.outputs[0].path)


def test_what_cannot_be_forced_is_skipped_even_by_force(tmp_path: Path) -> None:
    report = convert(write_header(tmp_path / "in" / "a", ContrastBolusAgent="x"), tmp_path / "out", FORCE)

    assert report.exit_code == 3
    assert not report.skipped[0].forceable
    assert len(report.skipped[0].reasons) == 2


def test_own_output_is_no_source(tmp_path: Path, converted: Path) -> None:
    report = convert(converted, tmp_path / "again", FORCE)

    assert report.exit_code == 3
    assert set(snapshot(tmp_path / "again")) == {"report.json"}


@pytest.mark.parametrize(("modality", "loads"), [("XA", 1), ("CT", 0)])
def test_the_generator_is_loaded_once_and_only_if_there_is_a_cine(
    tmp_path: Path, modality: str, loads: int
) -> None:
    for name in ("a", "b"):
        uids = {"SeriesInstanceUID": uid(f"series {name}"), "SOPInstanceUID": uid(f"run {name}")}
        write_xa(tmp_path / "in" / name, None, Modality=modality, **uids)
    asked: list[str] = []
    steps: list[Step] = []

    def load() -> Generator:
        asked.append("generator")
        return DiscPainter().as_generator()

    report = convert_series([tmp_path / "in"], load, PLAIN, tmp_path / "out", progress=steps.append)

    assert len(asked) == loads
    assert (report.model is not None) == bool(loads)
    assert len(report.outputs) == 2 * loads
    assert {step.cines for step in steps} == ({2} if loads else set())


def test_nothing_is_written_if_the_generator_cannot_be_loaded(tmp_path: Path) -> None:
    def load() -> Generator:
        raise WeightsError("no such bundle")

    with pytest.raises(WeightsError, match="no such bundle"):
        convert_series([write_xa(tmp_path / "in" / "a")], load, PLAIN, tmp_path / "out")

    assert not (tmp_path / "out").exists()


def test_nothing_is_written_by_a_plan(tmp_path: Path) -> None:
    write_xa(tmp_path / "in" / "a")

    plan = plan_conversion([tmp_path / "in"], PLAIN, tmp_path / "out")

    assert [cine.series_uid for cine in plan.cines] == [uid("series")]
    assert not (tmp_path / "out").exists()


def test_folder_without_dicom_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "notes.txt").write_text("hello")

    with pytest.raises(SeriesError, match="no DICOM files"):
        convert(tmp_path / "in", tmp_path / "out")


# --- a real file ------------------------------------------------------------------------------------------


@pytest.fixture
def real_cine(real_xa: Path) -> Iterator[Path]:
    path = real_xa / "XA_RCA_96f_jpegbaseline.dcm"
    if not path.exists():
        pytest.skip("the real cine is not among the test data")
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    yield path
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before


@pytest.mark.e2e
def test_real_cine_of_1994_becomes_an_honest_object(tmp_path: Path, real_cine: Path) -> None:
    report = convert(real_cine, tmp_path / "out")

    (output,) = report.outputs
    ds = dcmread(output.path)
    assert (ds.NumberOfFrames, ds.FrameTime, ds.CineRate) == (96, 33, 30)
    assert ds.LossyImageCompression == "01"
    assert ds.LossyImageCompressionMethod == "ISO_10918_1"
    assert [element.tag for element in ds.iterall() if element.tag.is_private] == []
    assert b"CARDIO" not in output.path.read_bytes()
    assert of_our_making(dciodvfy(output.path)) == []
    assert verify_file(output.path) == []
    outside = ~in_disc(512, 512) & ~banner_for(512, 512).mask((512, 512))
    np.testing.assert_array_equal(frames_of(report)[:, outside], pixel_array(real_cine)[:, outside])


def test_another_revision_is_another_series_that_names_the_one_before(tmp_path: Path) -> None:
    """Archives keep the old object under a known UID: what was made of other frames must never share one."""
    source = write_xa(tmp_path / "a.dcm", moving_frames())
    first = convert(source, tmp_path / "one").outputs[0]

    later = ConvertOptions(revision=2, supersedes=first.series_uid)
    second = convert(source, tmp_path / "two", later).outputs[0]

    assert second.series_uid != first.series_uid
    assert second.sop_instance_uid != first.sop_instance_uid
    words = dcmread(second.path).DerivationDescription
    assert f"Revision 2, supersedes series {first.series_uid}." in words
    assert "Revision" not in dcmread(first.path).DerivationDescription
    assert verify_file(second.path) == []


def test_what_a_revision_supersedes_is_named_by_references(tmp_path: Path) -> None:
    source = write_xa(tmp_path / "a.dcm", moving_frames())
    first = convert(source, tmp_path / "one").outputs[0]
    before = dcmread(first.path)
    mine = Superseded(before.SOPClassUID, first.sop_instance_uid, first.series_uid, first.source_instances)
    other = replace(mine, sop_uid=uid("of another cine"), sources=(uid("another cine"),))

    later = ConvertOptions(revision=2, supersedes=first.series_uid, superseded=(mine, other))
    second = convert(source, tmp_path / "two", later).outputs[0]

    ds = dcmread(second.path)
    (item,) = ds.ReferencedImageSequence
    assert (item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID) == (mine.sop_class_uid, mine.sop_uid)
    (purpose,) = item.PurposeOfReferenceCodeSequence
    assert (purpose.CodeValue, purpose.CodingSchemeDesignator) == ("SUPERSEDED", "99CASGAN")
    listed = {
        (series.SeriesInstanceUID, one.ReferencedSOPInstanceUID)
        for series in ds.ReferencedSeriesSequence
        for one in series.ReferencedInstanceSequence
    }
    assert listed == {(uid("series"), uid("instance")), (first.series_uid, first.sop_instance_uid)}
    assert verify_file(second.path) == []
    assert verify_file(second.path, {uid("instance"): dcmread(source)}) == []
    assert of_our_making(dciodvfy(second.path)) == []
    assert "ReferencedImageSequence" not in before


def test_a_part_says_so_in_the_object_and_in_the_report(tmp_path: Path) -> None:
    said = "part of a series: 4 of 8 promised instances came"
    source = write_xa(tmp_path / "a.dcm", moving_frames())

    output = convert(source, tmp_path / "out", ConvertOptions(part=said)).outputs[0]

    assert "Part of a series: 4 of 8 promised instances came." in dcmread(output.path).DerivationDescription
    assert said in output.warnings


@pytest.mark.parametrize(
    "other", [{"PatientID": "TEST-2"}, {"PatientName": "Another"}, {"StudyInstanceUID": uid("another study")}]
)
def test_two_patients_or_studies_never_share_a_derived_series(
    tmp_path: Path, other: dict[str, object]
) -> None:
    """Although their sources share a Series Instance UID (0020,000E), by mistake."""
    one = write_xa(tmp_path / "a.dcm", SOPInstanceUID=uid("a"))
    two = write_xa(tmp_path / "b.dcm", None, **{"SOPInstanceUID": uid("b"), **other})

    made = [convert(path, tmp_path / path.stem).outputs[0] for path in (one, two)]

    assert made[0].series_uid != made[1].series_uid
