"""Simulated frames for training: seeds, cache and what the domains hold."""

from __future__ import annotations

import contextlib
import itertools
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.data.normalisation import measure_levels
from casgan_dicom.model.data.rendering import (
    MOST_SEED,
    Purpose,
    SimulatedData,
    digest_with_simulator,
    seeds,
)
from casgan_dicom.model.data.simulated import angiograms, pairs, simulated_domains, simulated_runs
from casgan_dicom.model.settings import DataSettings, NormalisationSettings
from casgan_dicom.model.simulator.background import BackgroundSource
from casgan_dicom.model.simulator.cine import CineSettings, simulate_cine
from casgan_dicom.model.simulator.procedural import ProceduralBackgrounds

SMALL = DataSettings(runs=1, frames_per_run=2, frame_size=64, crop=64)
NORMALISATION = NormalisationSettings()


def no_backgrounds() -> BackgroundSource:
    raise AssertionError("a run was rendered although the cache holds it")


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> SimulatedData:
    """A cache with one run of domain X and one of domain Y; nothing more can be rendered."""
    cache = tmp_path_factory.mktemp("simulated")
    data = SimulatedData(1, ProceduralBackgrounds, "procedural", cache)
    for purpose in ("x", "y"):
        list(simulated_runs(data, purpose, SMALL))
    return SimulatedData(1, no_backgrounds, "procedural", cache)


def test_seeds_of_two_purposes_or_two_base_seeds_never_meet() -> None:
    """Patients seen in training are not those that are measured on, whatever the number of runs."""
    stretches = []
    for base, purpose in itertools.product((0, 1, 2, 17, MOST_SEED), get_args(Purpose)):
        own = seeds(SimulatedData(base, no_backgrounds, "", Path()), purpose, 1_000_000)
        assert len(own) == own[-1] - own[0] + 1 == 1_000_000
        stretches.append((own[0], own[-1]))
    for (_, last), (first, _) in itertools.pairwise(sorted(stretches)):
        assert last < first


def test_more_runs_keep_the_first_ones() -> None:
    data = SimulatedData(3, no_backgrounds, "", Path())
    assert seeds(data, "y", 7)[:5] == seeds(data, "y", 5)


def test_seeds_of_earlier_versions_stay_what_they_were() -> None:
    """Written down from the version before the reference sets: caches and trained bundles rest on them."""
    first = {"x": 5_000_000, "y": 6_000_000, "evaluation": 7_000_000, "evaluation segmentor": 8_000_000}
    later = {"reference": 3_000_000, "second reference": 4_000_000, "pose": 5_000_000}
    known = first | {"oracle": 9_000_000} | {name: 10**15 + start for name, start in later.items()}
    for purpose in get_args(Purpose)[: len(known)]:
        start = known[purpose]
        assert seeds(SimulatedData(1, no_backgrounds, "", None), purpose, 2) == [start, start + 1]


def test_names_of_the_cache_of_earlier_versions_stay_what_they_were(tmp_path: Path) -> None:
    """Rendering again takes a user twenty minutes."""
    cine = CineSettings(size=64, frames=60, cue=1.0)
    folder = tmp_path / f"ct-{digest_with_simulator(repr(cine), 2, '0123')}"
    folder.mkdir()
    data = SimulatedData(1, ProceduralBackgrounds, "procedural", tmp_path / "own")
    (run,) = simulated_runs(data, "x", SMALL)
    (file,) = (tmp_path / "own").rglob("*.npz")
    file.rename(folder / "5000000.npz")

    (found,) = simulated_runs(SimulatedData(1, no_backgrounds, "ct", tmp_path, "0123"), "x", SMALL)

    np.testing.assert_array_equal(found.plain, run.plain)


@pytest.mark.parametrize(("seed", "runs"), [(-1, 1), (0, 1_000_001), (MOST_SEED + 1, 1)])
def test_seeds_out_of_range_are_refused(seed: int, runs: int) -> None:
    with pytest.raises(ConfigError, match="want a seed"):
        seeds(SimulatedData(seed, no_backgrounds, "", Path()), "x", runs)


def test_a_rendered_run_comes_from_the_cache(rendered: SimulatedData) -> None:
    first, second = (next(simulated_runs(rendered, "x", SMALL)) for _ in range(2))
    for name in ("plain", "contrast", "vessel", "centreline", "heart"):
        assert getattr(first, name).shape == (2, 64, 64)
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


class AskedError(Exception):
    """Raised in place of rendering."""


def missing_seeds(monkeypatch: pytest.MonkeyPatch, data: SimulatedData, settings: DataSettings) -> list[int]:
    """Seeds of domain X that the cache lacks; nothing is rendered."""
    asked: list[int] = []

    def instead(_data: object, _kind: object, _folder: object, missing: list[int]) -> None:
        asked.extend(missing)
        if missing:
            raise AskedError

    with monkeypatch.context() as patched:
        patched.setattr("casgan_dicom.model.data.rendering._render_missing", instead)
        with contextlib.suppress(AskedError):
            list(simulated_runs(data, "x", settings))
    return asked


@pytest.mark.parametrize(
    "other",
    [
        DataSettings(runs=1, frames_per_run=3, frame_size=64, crop=64),
        DataSettings(runs=1, frames_per_run=2, frame_size=80, crop=64),
        DataSettings(runs=1, frames_per_run=2, frame_size=64, crop=64, cue=0.0),
    ],
)
def test_other_settings_of_the_simulator_never_meet_old_frames(
    rendered: SimulatedData, other: DataSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert missing_seeds(monkeypatch, rendered, other) == seeds(rendered, "x", 1)


def test_other_backgrounds_never_meet_old_frames(
    rendered: SimulatedData, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, anatomy in (("ct", ""), ("procedural", "0123")):
        other = SimulatedData(1, no_backgrounds, name, rendered.cache, anatomy)
        assert missing_seeds(monkeypatch, other, SMALL) == seeds(other, "x", 1)
    assert missing_seeds(monkeypatch, rendered, SMALL) == []


def test_crop_flip_and_number_of_runs_share_the_cache(rendered: SimulatedData) -> None:
    other = DataSettings(runs=1, frames_per_run=2, frame_size=64, crop=32, flip=False)
    assert len(list(simulated_runs(rendered, "x", other))) == 1


def test_contrast_darkens_the_vessels_and_leaves_the_rest(rendered: SimulatedData) -> None:
    for purpose in ("x", "y"):
        run = next(simulated_runs(rendered, purpose, SMALL))
        change = run.contrast - run.plain
        assert run.vessel.any()
        assert change[run.vessel].mean() < -0.02
        assert abs(np.median(change[~run.vessel])) < 2 / 255
        assert not (run.centreline & ~run.vessel).any()
        assert 0 <= run.plain.min() < run.plain.max() <= 1


def test_the_two_domains_are_other_patients_without_and_with_contrast(rendered: SimulatedData) -> None:
    x, y = simulated_domains(rendered, SMALL, NORMALISATION)
    x_run, y_run = (next(simulated_runs(rendered, purpose, SMALL)) for purpose in ("x", "y"))

    for domain, shown, run in ((x, x_run.plain, x_run), (y, y_run.contrast, y_run)):
        np.testing.assert_allclose(domain.frames / 65535, shown, atol=1 / 65535)
        assert domain.masks is not None
        np.testing.assert_array_equal(domain.masks, run.vessel)
        levels = measure_levels(shown, NORMALISATION)
        np.testing.assert_allclose(domain.levels, [[levels.low, levels.high]] * 2, atol=1e-6)
    assert x.twins is not None
    np.testing.assert_allclose(x.twins / 65535, x_run.contrast, atol=1 / 65535)
    assert y.twins is None  # nothing may know what an angiogram of this domain looked like before
    assert not np.array_equal(x_run.plain, y_run.plain)


def test_angiograms_and_pairs_are_the_two_forms_of_a_purpose(rendered: SimulatedData) -> None:
    x, y = simulated_domains(rendered, SMALL, NORMALISATION)
    np.testing.assert_array_equal(pairs(rendered, "x", SMALL, NORMALISATION).frames, x.frames)
    np.testing.assert_array_equal(angiograms(rendered, "y", SMALL, NORMALISATION).frames, y.frames)


@pytest.mark.parametrize("runs", [1, 3])
def test_without_a_cache_the_same_runs_are_rendered_on_the_fly(tmp_path: Path, runs: int) -> None:
    """One run is rendered in this process, three in others."""
    settings = DataSettings(runs=runs, frames_per_run=1, frame_size=64, crop=64)
    cached = SimulatedData(1, ProceduralBackgrounds, "procedural", tmp_path)
    on_the_fly = SimulatedData(1, ProceduralBackgrounds, "procedural", None)

    found = list(simulated_runs(on_the_fly, "x", settings))

    assert len(found) == runs
    list(simulated_runs(cached, "x", replace(settings, runs=1)))  # so that the rest is few enough for here
    for one, other in zip(found, simulated_runs(cached, "x", settings), strict=True):
        np.testing.assert_array_equal(one.contrast, other.contrast)
        np.testing.assert_array_equal(one.vessel, other.vessel)
        assert one.plain.dtype == np.float32


def test_a_short_cine_is_consecutive_filled_and_has_its_motion(
    rendered: SimulatedData, tmp_path: Path
) -> None:
    data = SimulatedData(1, ProceduralBackgrounds, "procedural", tmp_path)
    settings = DataSettings(runs=1, frames_per_run=3, frame_size=64, crop=64)

    (run,) = simulated_runs(data, "x", settings, consecutive=True)

    cine = CineSettings(size=64, frames=60)
    filled = simulate_cine(5_000_000, cine, ProceduralBackgrounds(), well_filled=60)
    shown = np.rint(filled.display(filled.contrast) * 255) / 255
    (first,) = (k for k in range(len(shown) - 2) if np.allclose(shown[k : k + 3], run.contrast, atol=1e-6))
    assert np.diff(filled.indices[first : first + 3]).tolist() == [1, 1]
    assert run.tracks is not None
    np.testing.assert_allclose(run.tracks, filled.vessel_tracks()[first : first + 3])
    spread = next(simulated_runs(rendered, "x", SMALL))
    assert spread.tracks is None


def test_consecutive_frames_never_meet_spread_ones_in_the_cache(tmp_path: Path) -> None:
    data = SimulatedData(1, ProceduralBackgrounds, "procedural", tmp_path)
    for consecutive in (False, True):
        list(simulated_runs(data, "x", SMALL, consecutive=consecutive))
    assert len(list(tmp_path.iterdir())) == 2


def test_a_damaged_file_of_the_cache_is_rendered_again(tmp_path: Path) -> None:
    data = SimulatedData(1, ProceduralBackgrounds, "procedural", tmp_path)
    (first,) = simulated_runs(data, "x", SMALL)
    (file,) = tmp_path.rglob("*.npz")
    file.write_bytes(file.read_bytes()[:1000])

    (again,) = simulated_runs(data, "x", SMALL)

    np.testing.assert_array_equal(first.contrast, again.contrast)


def test_progress_of_rendering_is_told(tmp_path: Path) -> None:
    said: list[str] = []
    data = SimulatedData(1, ProceduralBackgrounds, "procedural", tmp_path, log=said.append)
    for _ in range(2):
        list(simulated_runs(data, "x", SMALL))
    assert said == ["1 of 1 simulated runs rendered"]


def test_backgrounds_that_cannot_be_made_are_an_error_of_ours(tmp_path: Path) -> None:
    """Raised in a worker's start it would be lost: all that is told then is that a process ended."""

    def broken() -> BackgroundSource:
        raise ConfigError("the CT cannot be read")

    with pytest.raises(ConfigError, match="the CT cannot be read"):
        list(simulated_runs(SimulatedData(1, broken, "ct", tmp_path), "x", SMALL))


def test_frames_too_small_to_simulate_are_refused(tmp_path: Path) -> None:
    data = SimulatedData(1, ProceduralBackgrounds, "procedural", tmp_path)
    with pytest.raises(ConfigError, match=r"data\.frame_size is 0, the simulator wants at least 32"):
        list(simulated_runs(data, "x", DataSettings(runs=1, frame_size=0, crop=64)))
