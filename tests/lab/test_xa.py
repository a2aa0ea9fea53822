"""Simulated runs as XA DICOM."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from pydicom import dcmread

from casgan_dicom.errors import OutputError
from casgan_dicom.lab.xa import Frames, Relationship, RunHeader, write_cine, write_single_frames
from casgan_dicom.model.simulator.shutter import Circle, Rectangle, Shutter
from casgan_dicom.pixels.decode import iter_frames
from casgan_dicom.source.eligible import reasons_against
from casgan_dicom.source.series import find_series
from casgan_dicom.source.shutters import shutter_mask, shutter_shapes
from tests.support.factories import moving_frames
from tests.support.programs import find_program


def run_of(frames: int, bits: int = 8) -> Frames:
    return cast("Frames", moving_frames(frames, 64, 80, bits))


def dciodvfy(path: Path) -> list[str]:
    """What the validator has to say beside the name of the object."""
    program = find_program("dciodvfy", "dicom3tools")
    done = subprocess.run([program, "-new", str(path)], capture_output=True, text=True, check=False)
    return [line for line in (done.stdout + done.stderr).splitlines() if line.strip() != "XAImage"]


@pytest.mark.parametrize("relationship", ["LIN", "LOG", "DISP"])
@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("contrast", [False, True])
def test_both_forms_are_valid_xa_without_a_warning(
    tmp_path: Path, relationship: Relationship, bits: int, contrast: bool
) -> None:
    header = RunHeader(seed=7, bits=bits, relationship=relationship, contrast=contrast, primary_deg=-29.73)

    path = write_cine(tmp_path / "run.dcm", run_of(3, bits), header)
    singles = write_single_frames(tmp_path / "single", run_of(2, bits), header)

    assert [dciodvfy(p) for p in (path, *singles)] == [[], [], []]


@pytest.mark.parametrize("bits", [8, 12])
def test_the_frames_come_back_in_both_forms(tmp_path: Path, bits: int) -> None:
    run = run_of(6, bits)
    header = RunHeader(seed=3, bits=bits, frame_time_ms=80)
    write_cine(tmp_path / "multi" / "run.dcm", run, header)
    write_single_frames(tmp_path / "single", run, header)

    cines = find_series([tmp_path]).cines

    assert len(cines) == 2
    for cine in cines:
        np.testing.assert_array_equal(np.stack(list(iter_frames(cine))), run)
        assert cine.timing.frame_time_ms == pytest.approx(80)
        assert cine.notes == ()


def test_a_simulated_run_may_be_converted_and_its_contrast_twin_only_when_forced(tmp_path: Path) -> None:
    write_cine(tmp_path / "x" / "run.dcm", run_of(2), RunHeader(seed=1))
    write_cine(tmp_path / "y" / "run.dcm", run_of(2), RunHeader(seed=1, contrast=True))

    plain, twin = (find_series([tmp_path / side]).cines[0] for side in "xy")

    assert reasons_against(plain) == ()
    assert [reason.forceable for reason in reasons_against(twin)] == [True]


def test_the_same_run_is_the_same_bytes(tmp_path: Path) -> None:
    header = RunHeader(seed=11, bits=12)
    first, again = tmp_path / "first", tmp_path / "again"
    for folder in (first, again):
        write_cine(folder / "run.dcm", run_of(3, 12), header)
        write_single_frames(folder / "single", run_of(3, 12), header)

    files = sorted(path.relative_to(first) for path in first.rglob("*.dcm"))

    assert len(files) == 4
    assert all((first / name).read_bytes() == (again / name).read_bytes() for name in files)


def test_other_pixels_or_another_header_never_share_an_instance_uid(tmp_path: Path) -> None:
    run = run_of(3)
    other = run.copy()
    other[0, 0, 0] ^= 1
    variants = [
        (run, RunHeader(seed=1)),
        (other, RunHeader(seed=1)),
        (run, RunHeader(seed=2)),
        (run, RunHeader(seed=1, run=1)),
        (run, RunHeader(seed=1, contrast=True)),
        (run, RunHeader(seed=1, frame_time_ms=33)),
    ]

    made = [dcmread(write_cine(tmp_path / f"{k}", *variant)) for k, variant in enumerate(variants)]

    assert len({ds.SOPInstanceUID for ds in made}) == len(variants)
    # Only the pixels differ between the first two: one patient, one study, one series.
    assert len({ds.SeriesInstanceUID for ds in made}) == len(variants) - 1
    assert len({ds.StudyInstanceUID for ds in made}) == len({ds.PatientID for ds in made}) == 2


@pytest.mark.parametrize("shutter", [Rectangle(3, 70, 1, 60), Circle(30, 41, 25)])
def test_a_shutter_is_valid_and_hides_what_it_says(tmp_path: Path, shutter: Shutter) -> None:
    path = write_cine(tmp_path / "run.dcm", run_of(2), RunHeader(seed=7, shutter=shutter))

    assert dciodvfy(path) == []
    np.testing.assert_array_equal(shutter_mask(dcmread(path), 64, 80), shutter.visible((64, 80)))


def test_a_run_without_a_shutter_has_no_shutter_module(tmp_path: Path) -> None:
    ds = dcmread(write_cine(tmp_path / "run.dcm", run_of(2), RunHeader(seed=7)))

    assert shutter_shapes(ds) == ()


def test_the_patient_is_made_up_and_the_run_says_it_is_synthetic(tmp_path: Path) -> None:
    ds = dcmread(write_cine(tmp_path / "run.dcm", run_of(2), RunHeader(seed=42)))

    assert str(ds.PatientName) == "Simulated^Seed 42"
    assert ds.SyntheticData == "YES"
    assert list(ds.ImageType) == ["ORIGINAL", "PRIMARY", "SINGLE PLANE"]
    assert ds.BurnedInAnnotation == "NO"


def test_the_geometry_is_that_of_the_header(tmp_path: Path) -> None:
    header = RunHeader(
        seed=1,
        primary_deg=-30.5,
        secondary_deg=20,
        source_isocentre_mm=700,
        source_detector_mm=1050,
        pixel_mm=0.3,
    )

    ds = dcmread(write_cine(tmp_path / "run.dcm", run_of(2), header))

    assert (ds.PositionerPrimaryAngle, ds.PositionerSecondaryAngle) == (-30.5, 20)
    assert (ds.DistanceSourceToPatient, ds.DistanceSourceToDetector) == (700, 1050)
    assert ds.EstimatedRadiographicMagnificationFactor == 1.5
    assert list(ds.ImagerPixelSpacing) == [0.3, 0.3]


@pytest.mark.parametrize(
    ("frames", "bits"),
    [
        (np.zeros((2, 64, 64), dtype=np.uint16), 8),
        (np.zeros((2, 64, 64), dtype=np.uint8), 12),
        (np.zeros((64, 64), dtype=np.uint8), 8),
        (np.zeros((0, 64, 64), dtype=np.uint8), 8),
        (np.full((2, 64, 64), 4096, dtype=np.uint16), 12),
    ],
)
def test_frames_that_do_not_fit_their_header_are_refused(tmp_path: Path, frames: Frames, bits: int) -> None:
    with pytest.raises(ValueError, match="bits"):
        write_cine(tmp_path / "run.dcm", frames, RunHeader(seed=1, bits=bits))

    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_an_output_error_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("a file where a folder is wanted")

    with pytest.raises(OutputError, match="cannot be written"):
        write_cine(tmp_path / "folder" / "run.dcm", run_of(2), RunHeader(seed=1))

    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_no_half_file_is_left_under_the_final_name(tmp_path: Path) -> None:
    target = tmp_path / "run.dcm"
    target.mkdir()

    with pytest.raises(OutputError):
        write_cine(target, run_of(2), RunHeader(seed=1))

    assert [path.name for path in tmp_path.iterdir()] == ["run.dcm"]
