"""What a run is measured against beside its vessels."""

from __future__ import annotations

import numpy as np
import pytest

from casgan_dicom.model.atlas.sampling import sampled_frames
from casgan_dicom.model.data.pose_truth import PoseTruth
from casgan_dicom.model.data.rendering import RUN_FRAMES, SimulatedData
from casgan_dicom.model.data.simulated import SimulatedRun, simulated_runs
from casgan_dicom.model.settings import DataSettings
from casgan_dicom.model.simulator.procedural import ProceduralBackgrounds

SMALL = DataSettings(runs=2, frames_per_run=2, frame_size=64, crop=64)


@pytest.fixture(scope="module")
def runs() -> list[SimulatedRun]:
    data = SimulatedData(1, ProceduralBackgrounds, "procedural", None)
    return list(simulated_runs(data, "evaluation", SMALL, posed=True))


def pose_of(run: SimulatedRun) -> PoseTruth:
    assert run.pose is not None
    return run.pose


def drawn(run: SimulatedRun, frames: np.ndarray) -> np.ndarray:
    """Where agent darkens."""
    return np.asarray(run.plain - frames > 0.02)


def test_a_planner_may_see_the_whole_run_and_not_only_what_is_measured(runs: list[SimulatedRun]) -> None:
    for run in runs:
        pose = pose_of(run)
        assert len(pose.times_s) == RUN_FRAMES
        assert pose.sampled == sampled_frames(RUN_FRAMES)
        assert pose.looked_at.shape == pose.looked_at_bare.shape == (len(pose.sampled), 64, 64)
        assert len(pose.numbers) == len(run.plain) == len(pose.ostium)


def test_a_frame_that_is_both_sampled_and_measured_is_the_same_one(runs: list[SimulatedRun]) -> None:
    both = [(run, n) for run in runs for n in pose_of(run).numbers if n in pose_of(run).sampled]
    for run, number in both:
        pose = pose_of(run)
        place, measured = pose.sampled.index(number), pose.numbers.index(number)
        np.testing.assert_array_equal(pose.looked_at[place], run.plain[measured])
        np.testing.assert_array_equal(pose.looked_at_bare[place], pose.bare[measured])


def test_trees_that_the_patient_has_not_lie_elsewhere_and_on_the_own_heart_nearer(
    runs: list[SimulatedRun],
) -> None:
    for run in runs:
        pose = pose_of(run)
        usual, another = drawn(run, pose.usual), drawn(run, pose.another)
        assert usual.any()
        assert another.any()
        assert (usual != run.vessel).any()
        assert (another & run.heart).sum() / another.sum() > 0.5


def test_the_header_of_a_run_fits_its_picture(runs: list[SimulatedRun]) -> None:
    for run in runs:
        near, far = pose_of(run).distances_mm
        assert 600 < near < far < 1300
        assert 100 < pose_of(run).pixel_mm * run.plain.shape[1] < 210
