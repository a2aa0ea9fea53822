"""What a bundle learns of its training frames at the end of a training, or later."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from casgan_dicom.lab.domain import learn_from, training_frames
from casgan_dicom.model.bundle.bundle import load_bundle
from casgan_dicom.model.data.sampler import CropSampler
from casgan_dicom.model.domain import lesson
from casgan_dicom.model.domain.statistics import FEWEST
from casgan_dicom.model.generator import Generator
from tests.model.bundles import write_bundle
from tests.model.toys import made_up_frames, tiny_settings


def shades(seed: int, count: int = FEWEST) -> np.ndarray:
    """Smooth pictures, no two alike."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((count, 5, 5))
    return np.asarray(np.clip(ndimage.zoom(coarse, (1, 13, 13), order=3), 0, 1), dtype=np.float32)


def test_a_bundle_judges_once_it_was_taught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lesson, "FOREIGN_EACH", 2)
    folder = write_bundle(tmp_path / "bundle")
    assert Generator.load(folder).judge([shades(2)[0]]) is None

    learnt = learn_from(folder, shades(1))

    assert learnt is not None
    assert learnt.frames == FEWEST
    own, noise = shades(2, 12), np.random.default_rng(3).random((12, 64, 64)).astype(np.float32)
    found = [Generator.load(folder).judge(list(frames)) for frames in (own, noise)]
    assert found[0] is not None
    assert found[1] is not None
    assert found[0].score < found[1].score
    assert "noise" in found[1].oddity


def test_too_few_frames_teach_nothing_and_say_so(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "bundle")
    said: list[str] = []

    assert learn_from(folder, shades(1, 5), log=said.append) is None

    assert "5 frames are too few" in said[0]
    assert load_bundle(folder).domain is None


def test_frames_of_both_domains_are_learnt_from() -> None:
    settings = tiny_settings()
    x, y = (made_up_frames(k, 6, contrast=k == 2) for k in (1, 2))

    frames = training_frames(CropSampler(x, y, settings.data, settings.normalisation))

    assert frames.shape == (12, 80, 80)
    assert 0 <= frames.min() <= frames.max() <= 1
