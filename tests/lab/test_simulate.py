"""Simulation from Python: arrays without a file, and files without the command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread

from casgan_dicom.errors import ConfigError
from casgan_dicom.lab.simulate import Files, Patients, simulate, write_simulated
from casgan_dicom.model.simulator.cine import CineSettings
from casgan_dicom.model.simulator.shutter import Circle, Rectangle
from casgan_dicom.source.shutters import shutter_mask, shutter_shapes

SHAPES = {Rectangle: "RECTANGULAR", Circle: "CIRCULAR"}


def test_a_seed_gives_the_arrays_that_the_command_writes(tmp_path: Path) -> None:
    cine = simulate(4, size=96, frames=12)

    settings, files = CineSettings(size=96, frames=12), Files(str(tmp_path), pairs=True)
    (written,) = write_simulated(Patients(first=4), settings, files)

    plain, contrast, masks = written.paths
    np.testing.assert_array_equal(dcmread(plain).pixel_array, cine.plain)
    np.testing.assert_array_equal(dcmread(contrast).pixel_array, cine.contrast)
    with np.load(masks) as arrays:
        for name in ("vessel_mask", "catheter_mask", "clutter_mask"):
            np.testing.assert_array_equal(arrays[name], getattr(cine, name))


def test_a_tagged_shutter_is_told_in_the_header_and_black_in_the_pixels(tmp_path: Path) -> None:
    settings = CineSettings(size=96, frames=1)
    for written in write_simulated(Patients(first=12, count=30), settings, Files(tmp_path)):
        ds = dcmread(written.paths[0])
        shutter = written.cine.calibration.shutter
        assert shutter_shapes(ds) == (() if shutter is None else (SHAPES[type(shutter)],))
        if shutter is not None:
            shown = written.cine.display(ds.pixel_array)
            assert (shown[~shutter_mask(ds, 96, 96)] == 0).all()
            break
    else:
        pytest.fail("no run of thirty has a shutter")


def test_a_seed_of_numpy_is_the_same_seed() -> None:
    seed: Any = np.int64(4)

    cine = simulate(seed, size=96, frames=2)

    assert type(cine.seed) is int
    np.testing.assert_array_equal(cine.plain, simulate(4, size=96, frames=2).plain)


def test_cines_are_written_as_they_are_asked_for(tmp_path: Path) -> None:
    cines = write_simulated(Patients(count=2), CineSettings(size=96, frames=1), Files(tmp_path))

    assert not any(tmp_path.iterdir())
    assert next(cines).seed == 0
    assert [folder.name for folder in tmp_path.iterdir()] == ["seed-0"]


def test_first_and_filled_frames_are_kept_to_be_measured(tmp_path: Path) -> None:
    (written,) = write_simulated(Patients(first=4), CineSettings(size=64, frames=40), Files(tmp_path))

    cine = written.cine
    assert cine.indices[:6] == (0, 1, 2, 3, 4, 5)
    assert set(cine.run.well_filled(4)) <= set(cine.indices)
    assert len(cine.plain) == len(cine.phase) == len(cine.indices) <= 10


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"seed": -1}, "seed is -1, want 0 or more"),
        ({"size": 20}, "size is 20, want 64 to 1024"),
        ({"frames": 0, "bits": 9}, "frames is 0, want 1 or more; bits is 9, want 8, 10, 12"),
        ({"cue": -0.5}, "cue is -0.5, want 0 or more"),
        ({"cue": float("nan")}, "cue is nan, want a finite number"),
        ({"cue": float("inf")}, "cue is inf, want a finite number"),
        ({"seed": "1"}, "seed is '1', want a whole number"),
        ({"seed": 1.0, "size": 64.5}, "seed is 1.0, want a whole number; size is 64.5, want a whole number"),
        ({"bits": 8.0, "cue": "1"}, "bits is 8.0, want a whole number; cue is '1', want a finite number"),
    ],
)
def test_values_out_of_range_are_all_named(values: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        simulate(**values)
    assert caught.value.message == told


def test_an_empty_text_is_no_folder_for_files() -> None:
    with pytest.raises(ConfigError, match="a path is an empty text"):
        Files("")


def test_a_ct_folder_without_its_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"holds no chest_ct\.nii\.gz"):
        simulate(1, ct=str(tmp_path))


def test_a_reference_is_an_earlier_run_of_the_same_study(tmp_path: Path) -> None:
    settings, files = CineSettings(size=64, frames=24), Files(tmp_path, reference=True)
    (written,) = write_simulated(Patients(first=4), settings, files)

    earlier, later = (dcmread(path) for path in written.paths)
    assert [path.name for path in written.paths] == ["reference.dcm", "without-contrast.dcm"]
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "PositionerPrimaryAngle"):
        assert earlier[keyword].value == later[keyword].value
    assert earlier.SeriesInstanceUID != later.SeriesInstanceUID
    assert earlier.AcquisitionTime < later.AcquisitionTime
    assert "ContrastBolusAgent" in earlier
    assert "ContrastBolusAgent" not in later
    for ds in (earlier, later):
        assert all(1 <= frame <= 24 for frame in np.atleast_1d(ds.RWavePointer))
        assert "TableTopLateralPosition" in ds
    assert earlier.TableTopLongitudinalPosition != later.TableTopLongitudinalPosition
    assert np.abs(earlier.pixel_array[-1].astype(float) - later.pixel_array[-1]).max() > 20
