"""What a trained bundle says of itself: its own name, its own data, its own training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.bundle.shelf import ALIASES, shipped_bundles
from casgan_dicom.model.data.frames import FrameSet
from casgan_dicom.model.preset_files import load_settings
from casgan_dicom.model.training.naming import bundle_name, data_told, recipe_told


@pytest.mark.parametrize(
    ("folder", "asked", "name"),
    [
        ("run", "", "run"),
        ("run", "mine", "mine"),
        ("my run (2)", "", "my-run-2-"),
        ("_hidden", "", "hidden"),
        ("Änderung", "", "nderung"),
        ("x" * 80, "", "x" * 64),
    ],
)
def test_a_bundle_is_called_as_asked_or_like_its_folder(
    tmp_path: Path, folder: str, asked: str, name: str
) -> None:
    settings = replace(load_settings("casgan", "smoke"), name=asked)

    assert bundle_name(settings, tmp_path / folder) == name


@pytest.mark.parametrize("name", [*ALIASES, *shipped_bundles(), "Atlas", "CASGAN_desk", "atlas.desk-"])
@pytest.mark.parametrize("asked", [True, False])
def test_no_bundle_may_pass_for_a_shipped_one(tmp_path: Path, name: str, *, asked: bool) -> None:
    settings = replace(load_settings("casgan", "smoke"), name=name if asked else "")

    with pytest.raises(ConfigError, match=f"'{name}' is the name of a shipped bundle"):
        bundle_name(settings, tmp_path / ("run" if asked else name))


@pytest.mark.parametrize("name", ["a b", "-a", "x" * 65, "a\\b", "Ä"])
def test_a_name_is_letters_and_digits(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="name is "):
        bundle_name(replace(load_settings("casgan", "smoke"), name=name), tmp_path / "run")


@pytest.mark.parametrize(("preset", "scale"), [("desk", None), ("smoke", None), ("paper", "smoke")])
def test_the_text_of_a_preset_is_never_told_as_a_fact(preset: str, scale: str | None) -> None:
    settings = load_settings("casgan", preset, scale=scale)

    told = recipe_told(settings)

    assert settings.description not in told
    assert f"begun from preset '{settings.preset}': {settings.optim.steps} steps" in told


def test_what_was_changed_is_named_and_words_of_the_user_stay() -> None:
    changed = load_settings("casgan", "desk", ["optim.steps=7000", "data.crop=64", "seed=3"])
    own = load_settings("casgan", "desk", ["description=our own cine"])

    assert "with other data.crop, optim.steps: 7000 steps" in recipe_told(changed)
    assert "seed" not in recipe_told(changed)
    assert recipe_told(own) == "our own cine"


def test_frames_and_series_of_files_are_counted() -> None:
    x, y = (
        FrameSet(np.zeros((n, 4, 4), np.uint16), np.zeros((n, 2), np.float32), series=m)
        for n, m in ((30, 3), (8, 2))
    )

    told = data_told("Frames from two folders of the user's.", x, y)

    assert told == (
        "Frames from two folders of the user's: 30 frames of 3 series without contrast, "
        "8 frames of 2 series with."
    )
    assert data_told("Simulated.", replace(x, series=0), replace(y, series=0)) == "Simulated."
