"""Training that goes on from a bundle's networks."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from casgan_dicom.errors import WeightsError
from casgan_dicom.model.bundle.bundle import load_bundle
from casgan_dicom.model.settings import TrainSettings
from casgan_dicom.model.training.trainer import Trainer
from tests.model.toys import tiny_sampler, tiny_settings

pytestmark = pytest.mark.train

NO_MOVE = {"optim": {"lr": 0.0, "steps": 1, "decay_steps": 0}}


def bundle_of(settings: TrainSettings, out: Path, data: str = "Simulated cine.") -> Path:
    trainer = Trainer(settings, tiny_sampler(settings), out, data=data)
    trainer.run()
    return trainer.export()


def started(bundle: Path, **tables: dict[str, object]) -> TrainSettings:
    return tiny_settings({**NO_MOVE, **tables, "net": {"start": str(bundle), **tables.get("net", {})}})


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle_of(tiny_settings(seed=5), tmp_path_factory.mktemp("first"))


def test_it_begins_with_the_weights_of_the_bundle(first: Path, tmp_path: Path) -> None:
    again = bundle_of(started(first), tmp_path / "again")

    wanted, found = (load_bundle(folder).generators.state_dict() for folder in (first, again))
    assert all(torch.equal(found[key], wanted[key]) for key in wanted)


def test_the_new_bundle_says_what_it_began_from_and_not_where_that_lay(first: Path, tmp_path: Path) -> None:
    again = load_bundle(bundle_of(started(first), tmp_path / "again"))

    weights = load_bundle(first).info.weights_sha256[:12]
    assert again.info.data == (
        f"Simulated cine. Begun from '{first.parent.name}' after 2 steps (weights {weights})."
    )
    assert again.settings.net.start == ""


def test_a_start_on_frames_of_others_makes_the_whole_not_simulated(tmp_path: Path) -> None:
    theirs = bundle_of(tiny_settings(), tmp_path / "theirs", data="Two folders.")
    again = load_bundle(bundle_of(started(theirs), tmp_path / "again"))

    assert again.info.data.startswith("Generator: Simulated cine. Begun from 'theirs' after")
    assert again.info.data.endswith(", trained on: Two folders.")
    assert again.info.licence == "NOASSERTION"


def test_another_size_is_refused_and_the_folder_stays_free(first: Path, tmp_path: Path) -> None:
    wider = started(first, net={"ngf": 8})

    with pytest.raises(WeightsError, match=r"net\.start: bundle 'first0' .* has a network 'enc_bg'"):
        bundle_of(wider, tmp_path / "run")
    assert not (tmp_path / "run" / "config.json").exists()
