"""Evaluation from Python: what may be named, and what is refused before anything is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from casgan_dicom.errors import ConfigError, WeightsError
from casgan_dicom.lab.evaluate import EvaluateOptions, evaluate
from tests.model.bundles import write_bundle


def test_one_bundle_is_named_by_one_text_and_not_by_its_letters(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="bundle 'casgan-moon'"):
        evaluate("casgan-moon", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_one_bundle_may_be_a_path_and_several_any_iterable(tmp_path: Path) -> None:
    cut = write_bundle(tmp_path / "cut", method="cut")

    for bundles in (cut, [str(cut)], (path for path in [cut])):
        with pytest.raises(ConfigError, match="table 2 needs a bundle of CAS-GAN"):
            evaluate(bundles, out=tmp_path / "out", options=EvaluateOptions(table="2"))


def test_an_empty_text_is_no_folder_for_a_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="a path is an empty text"):
        evaluate("casgan", out="")
