"""Which bundles are measured, and under which label."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from casgan_dicom.errors import ConfigError, WeightsError
from casgan_dicom.model.bundle.bundle import load_bundle
from casgan_dicom.model.evaluation.subjects import find_subjects, paper_order, split_settings
from tests.model.bundles import write_bundle
from tests.model.evaluation.reports import subject


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("bundles") / "one", ["seed=3", "cas.drl=false"])


def test_a_bundle_is_named_by_itself_and_a_run_by_the_bundle_in_it(bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(bundle, tmp_path / "run" / "bundle")
    for place in (bundle, tmp_path / "run"):
        (found,) = find_subjects([place])
        assert (found.label, found.name, found.method) == ("casgan-smoke", "casgan-smoke", "casgan")


def test_a_name_means_the_shipped_bundle_wherever_one_stands(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(bundle, tmp_path / "casgan-desk" / "bundle")
    monkeypatch.chdir(tmp_path)
    (found,) = find_subjects(["casgan-desk"])
    assert found.label == "casgan-desk"


def test_a_subject_tells_how_its_run_was_trained(bundle: Path) -> None:
    (found,) = find_subjects([bundle])
    assert (found.steps, found.images, found.seed, found.cue) == (4, 4 * 2, 3, 1.0)
    assert found.bits == (False, True, True)
    nets = load_bundle(bundle).generators
    assert found.parameters == sum(value.numel() for value in nets.state_dict().values())


def test_whole_frames_count_one_a_step_among_the_images_seen(tmp_path: Path) -> None:
    overrides = ["optim.steps=10", "optim.batch=4", "data.whole_steps=3"]
    (found,) = find_subjects([write_bundle(tmp_path / "whole", overrides)])
    assert found.images == 7 * 4 + 3


def test_runs_of_one_name_are_told_apart_by_their_seeds(bundle: Path, tmp_path: Path) -> None:
    other = write_bundle(tmp_path / "other", ["seed=4"])
    assert [s.label for s in find_subjects([other, bundle])] == ["casgan-smoke-s4", "casgan-smoke-s3"]


def test_one_run_given_twice_is_no_two_seeds(bundle: Path) -> None:
    with pytest.raises(ConfigError, match=r"bundle 'casgan-smoke-s3-[0-9a-f]{8}' is given twice"):
        find_subjects([bundle, bundle])


def test_a_bundle_that_is_called_like_a_row_of_every_table_is_told_apart_from_it(
    bundle: Path, tmp_path: Path
) -> None:
    """The card and the report's readers find rows by their names."""
    copy = tmp_path / "copy"
    shutil.copytree(bundle, copy)
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"name": "truth"}))
    (found,) = find_subjects([copy])
    assert (found.name, found.label) == ("truth", f"truth-{found.weights_sha256[:8]}")


def test_bundles_of_one_name_and_seed_but_other_weights_are_compared(bundle: Path, tmp_path: Path) -> None:
    other = write_bundle(tmp_path / "other", ["seed=3"], attention_bias=-3)

    found = find_subjects([bundle, other])

    assert [one.label for one in found] == [f"casgan-smoke-s3-{one.weights_sha256[:8]}" for one in found]
    assert len({one.label for one in found}) == 2


def test_a_run_that_has_not_ended_is_said_to_be_one(tmp_path: Path) -> None:
    for name in ("config.json", "segmentor.safetensors"):
        (tmp_path / name).touch()
    with pytest.raises(ConfigError, match="has no bundle yet"):
        find_subjects([tmp_path])


def test_a_place_without_a_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="neither a shipped bundle nor a folder"):
        find_subjects([tmp_path])


@pytest.mark.parametrize(
    ("method", "override", "ours"),
    [
        ("casgan", "seed=1", False),
        ("casgan", "cas.vsgl=false", False),
        ("casgan", "cas.reject_input=true", True),
        ("casgan", "cas.sem_temperature=2.0", True),
        ("casgan", "weights.pair_l1=1", True),
        ("casgan", "weights.idt=1", True),
        ("cyclegan", "seed=1", False),
        ("cyclegan", "weights.cyc_x=5", True),
        ("fastcut", "seed=1", True),
        ("oracle", "seed=1", True),
    ],
)
def test_what_the_paper_does_not_compare_is_marked(
    tmp_path: Path, method: str, override: str, ours: bool
) -> None:
    (found,) = find_subjects([write_bundle(tmp_path / "bundle", [override], method=method)])
    assert found.beyond_paper is ours


def test_the_order_is_that_of_the_papers_table() -> None:
    """Written down from Table I; what is beyond the paper comes last."""
    paper = ["cyclegan", "unit", "munit", "cut", "attentiongan", "qs-attn", "stegogan", "casgan"]
    ours = ["fastcut", "segment-then-paint"]
    mixed = [subject(name, name, ours=name in ours) for name in sorted([*paper, *ours])]
    assert [s.method for s in sorted(mixed, key=paper_order)] == [*paper, *ours]


def test_frames_kept_from_training_are_read_with_the_runs_own_split(tmp_path: Path) -> None:
    overrides = ["data.held_out=0.25", "data.split_by='series'", "data.split_seed=9"]
    (found,) = find_subjects([write_bundle(tmp_path / "bundle", overrides)])
    other = replace(subject("a", "cut"), data="Frames from two folders.")
    split = split_settings([found])
    assert (split.held_out, split.split_by, split.split_seed) == (0.25, "series", 9)
    with pytest.raises(ConfigError, match="kept different frames"):
        split_settings([found, other])


def test_bundles_from_the_simulator_saw_nothing_of_any_folder(tmp_path: Path) -> None:
    """Whatever share they were told to hold out: beside them the split is that of the others."""
    (trained,) = find_subjects([write_bundle(tmp_path / "bundle", ["data.held_out=0.25"])])
    simulated = replace(subject("a", "cut"), held_out=0.5)
    assert split_settings([trained, simulated]).held_out == 0.25
    assert split_settings([simulated]).held_out == 0


def test_runs_that_differ_in_their_seed_only_share_a_recipe(tmp_path: Path) -> None:
    made = {"one": ["seed=1"], "two": ["seed=2"], "longer": ["seed=2", "optim.steps=9"]}
    for name, overrides in made.items():
        write_bundle(tmp_path / name, overrides)
    recipe = {name: find_subjects([tmp_path / name])[0].recipe for name in made}
    assert recipe["one"] == recipe["two"] != recipe["longer"]
