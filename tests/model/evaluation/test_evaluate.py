"""A whole evaluation of random networks on a few tiny simulated runs."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.data.rendering import SimulatedData
from casgan_dicom.model.data.simulated import simulated_runs
from casgan_dicom.model.data.square import to_square
from casgan_dicom.model.evaluation.evaluate import (
    Instruments,
    Report,
    evaluate_bundles,
    evaluate_frames,
)
from casgan_dicom.model.evaluation.judges import Judges
from casgan_dicom.model.evaluation.protocol import Protocol
from casgan_dicom.model.evaluation.subjects import Subject, find_subjects
from casgan_dicom.model.generator import Generator
from casgan_dicom.model.metrics.extractors import Extractor, load_extractor
from casgan_dicom.model.metrics.frechet import frechet_distance
from casgan_dicom.model.settings import DataSettings
from casgan_dicom.model.simulator.procedural import ProceduralBackgrounds
from tests.model.bundles import write_bundle

SMALL = Protocol(
    runs=2,
    frames_per_run=2,
    frame_size=64,
    cines=2,
    cine_frames=2,
    training_runs=1,
    crop=64,
    segmentor_base=4,
    oracle_base=4,
    steps=2,
)


@pytest.fixture(scope="module")
def subjects(tmp_path_factory: pytest.TempPathFactory) -> list[Subject]:
    """Two seeds of CAS-GAN, one with its attention nearly closed."""
    folder = tmp_path_factory.mktemp("bundles")
    size = "data.frame_size=64"
    places = [
        write_bundle(folder / "one", [size, "seed=1"]),
        write_bundle(folder / "two", [size, "seed=2"], attention_bias=-3),
    ]
    return find_subjects(places)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> SimulatedData:
    return SimulatedData(1, ProceduralBackgrounds, "procedural", tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def judges(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("judges")


@pytest.fixture(scope="module")
def extractor() -> Extractor:
    return load_extractor("efflite0")


@pytest.fixture(scope="module")
def report(subjects: list[Subject], data: SimulatedData, judges: Path, extractor: Extractor) -> Report:
    return evaluate_bundles(subjects, data, SMALL, judges, Instruments(extractor), source="Simulated.")


def test_the_report_has_the_rows_that_give_a_score_its_meaning(report: Report) -> None:
    names = [
        "identity",
        "chance",
        "another tree",
        "another on the own heart",
        "casgan-smoke-s1",
        "casgan-smoke-s2",
        "oracle",
        "truth",
    ]
    assert [row.name for row in report.rows] == names
    assert (report.frames, report.seed, report.data, report.extractor) == (4, 1, "procedural", "efflite0")


def test_the_report_says_what_ran_each_bundle_and_which_networks_judged(
    report: Report, subjects: list[Subject], judges: Path
) -> None:
    generator = Generator.load(subjects[0].folder)
    engines = {row.name: row.engine for row in report.rows}
    assert engines["casgan-smoke-s1"] == f"{generator.engine} on {generator.device}"
    assert engines["truth"] == engines["oracle"] == ""
    kept = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in judges.iterdir()}
    assert report.judges == kept


def test_identity_draws_nothing_and_truth_draws_the_true_contrast(report: Report) -> None:
    rows = {row.name: row for row in report.rows}
    for name, contrast in (("identity", 0), ("truth", 1)):
        scores, flicker = rows[name].scores, rows[name].flicker
        assert scores is not None
        assert flicker is not None
        assert scores.contrast_ratio == contrast
        assert flicker.background_ratio == contrast
    identity, truth = rows["identity"].scores, rows["truth"].scores
    assert identity is not None
    assert truth is not None
    assert identity.background_psnr == math.inf
    assert truth.vessel_psnr == math.inf
    assert 20 < truth.background_psnr < 80


def test_the_true_motion_is_known_to_the_flicker_scores(report: Report) -> None:
    rows = {row.name: row for row in report.rows}
    truth = rows["truth"].flicker
    assert truth is not None
    assert truth.warping_error > 0
    assert truth.warping_excess == 0


def test_only_generators_with_attention_have_it(report: Report) -> None:
    attention = {row.name: row.scores.attention_inside for row in report.rows if row.scores is not None}
    assert 0 < attention["casgan-smoke-s2"] < attention["casgan-smoke-s1"] < 1
    assert all(math.isnan(a) for name, a in attention.items() if not name.startswith("casgan"))


def test_images_are_compared_with_angiograms_of_other_patients(
    report: Report, data: SimulatedData, extractor: Extractor
) -> None:
    """The oracle is the distance of sets put together here."""
    settings = SMALL.data(2)
    x, real, second = (
        np.concatenate([extractor(run.contrast if contrast else run.plain) for run in runs])
        for contrast, runs in (
            (False, simulated_runs(data, "evaluation", settings)),
            (True, simulated_runs(data, "reference", settings)),
            (True, simulated_runs(data, "second reference", settings)),
        )
    )
    sets = report.rows[0].sets
    assert sets is not None
    assert sets.fd == pytest.approx(frechet_distance(x, real))
    assert sets.floor_fd == pytest.approx(frechet_distance(second, real))
    assert (sets.n_generated, sets.n_real, sets.n_floor) == (4, 4, (4, 4))


def test_every_row_that_draws_images_has_distances_and_the_same_floor(report: Report) -> None:
    floors = {row.name: None if row.sets is None else row.sets.floor_fd for row in report.rows}
    assert floors.pop("oracle") is None  # it draws a mask
    assert len(set(floors.values())) == 1


def test_the_page_shows_one_seed_of_a_recipe_between_input_and_truth(
    report: Report, data: SimulatedData
) -> None:
    titles = ["input", "chance", "casgan-smoke-s1", "attention of casgan-smoke-s1", "truth"]
    assert list(report.pictures) == titles
    first = next(simulated_runs(data, "evaluation", SMALL.data(1)))
    np.testing.assert_array_equal(report.pictures["input"][0], first.plain[1])
    np.testing.assert_array_equal(report.pictures["truth"][0], first.contrast[1])


def test_judges_are_trained_once_and_shared_by_reports(
    report: Report, subjects: list[Subject], data: SimulatedData, judges: Path
) -> None:
    """Without an extractor, no set is compared and everything else is the same."""
    kept = sorted(file.name for file in judges.iterdir())
    assert [name.split("-")[0] for name in kept] == ["oracle", "segmentor"]
    written = [(judges / name).stat().st_mtime_ns for name in kept]

    again = evaluate_bundles(subjects[:1], data, SMALL, judges, Instruments(None))

    assert [(judges / name).stat().st_mtime_ns for name in kept] == written
    assert again.extractor == "none"
    assert all(row.sets is None for row in again.rows)
    before = {row.name: row.scores for row in report.rows}
    assert [repr(row.scores) for row in again.rows] == [repr(before[row.name]) for row in again.rows]


def test_the_segmentor_is_the_same_whatever_trace_the_input_has(
    report: Report, data: SimulatedData, judges: Path
) -> None:
    """Filled vessels leave no trace of empty ones; figures of two cues are held against each other."""
    other = Judges.train(data, replace(SMALL, cue=0.0), judges, lambda _: None)

    assert [name for name in report.judges if name in other.files] == [
        name for name in report.judges if name.startswith("segmentor")
    ]


@pytest.mark.parametrize("change", [{"runs": 1}, {"cines": 1}])
def test_a_single_patient_has_no_other_whose_tree_could_be_drawn(
    subjects: list[Subject], data: SimulatedData, tmp_path: Path, change: dict[str, int]
) -> None:
    with pytest.raises(ConfigError, match="want 2 or more of each"):
        evaluate_bundles(subjects, data, replace(SMALL, **change), tmp_path, Instruments(None))


def test_frames_without_truth_have_distances_only(subjects: list[Subject], extractor: Extractor) -> None:
    """Series of two sizes, not square, seen as `convert` sees them: at their own size, each by its levels."""
    rng = np.random.default_rng(0)
    x, y = ([rng.random((3, h, w), dtype=np.float32) for h, w in ((64, 48), (72, 96))] for _ in range(2))
    split = DataSettings(held_out=0.25)

    found = evaluate_frames(
        subjects[:1], lambda: x, lambda: y, Instruments(extractor), source="Noise.", split=split
    )

    assert [row.name for row in found.rows] == ["identity", "casgan-smoke-s1"]
    for row in found.rows:
        assert (row.scores, row.recall_margin, row.flicker) == (None, None, None)
    made = [Generator.load(subjects[0].folder)(series).frames for series in x]
    drawn, real = (np.concatenate([extractor(series) for series in side]) for side in (made, y))
    sets = found.rows[1].sets
    assert sets is not None
    assert sets.fd == pytest.approx(frechet_distance(drawn, real), rel=1e-4)
    assert (found.protocol, found.seed, found.frames, found.judges) == (None, None, 6, {})
    assert (found.source, found.split) == ("Noise.", split)
    assert [bool(row.engine) for row in found.rows] == [False, True]
    page = found.pictures["casgan-smoke-s1"]
    assert [picture.shape for picture in page] == [(256, 256), (256, 256)]
    np.testing.assert_array_equal(page[0], to_square(made[0][1:2], 256)[0])
