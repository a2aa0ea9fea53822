"""Bundles that a worker keeps loaded: its own, and the last few of the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from casgan_dicom.errors import WeightsError
from casgan_dicom.node.settings import WorkerSettings
from casgan_dicom.node.work.bundles import OTHERS_KEPT, Bundles
from tests.model.bundles import write_bundle


def bundles_in(folder: Path) -> Bundles:
    own = write_bundle(folder / "own")
    return Bundles(WorkerSettings(bundle=str(own), engine="torch"), "cpu")


def test_what_was_loaded_is_not_loaded_again(tmp_path: Path) -> None:
    bundles, other = bundles_in(tmp_path), str(write_bundle(tmp_path / "other", attention_bias=-2))

    own, another = bundles.load(), bundles.load(other)

    assert own.info.weights_sha256 != another.info.weights_sha256
    assert bundles.load("") is own
    assert bundles.load(other) is another


def test_only_the_last_few_stay(tmp_path: Path) -> None:
    bundles = bundles_in(tmp_path)
    others = [str(write_bundle(tmp_path / f"{k}", attention_bias=-k)) for k in range(OTHERS_KEPT + 1)]
    own, loaded = bundles.load(), [bundles.load(other) for other in others]

    assert bundles.load(others[-1]) is loaded[-1]
    assert bundles.load(others[0]) is not loaded[0]
    assert bundles.load() is own


def test_a_bundle_whose_weights_have_changed_is_loaded_anew(tmp_path: Path) -> None:
    bundles, other = bundles_in(tmp_path), write_bundle(tmp_path / "other", attention_bias=-2)
    before = bundles.load(str(other))

    write_bundle(other, attention_bias=-1)

    assert bundles.load(str(other)).info.weights_sha256 != before.info.weights_sha256


def test_a_bundle_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="bundle 'nothing'"):
        bundles_in(tmp_path).load("nothing")
