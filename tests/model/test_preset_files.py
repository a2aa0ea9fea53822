"""Presets: what the shipped ones say, how they extend each other, and how they are changed."""

from __future__ import annotations

import itertools
import json
import tomllib
from importlib import resources
from typing import Any

import pytest

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.data.sampler import CROP_STEP
from casgan_dicom.model.methods.casgan import CasOptions
from casgan_dicom.model.methods.registry import method_class, method_names
from casgan_dicom.model.preset_files import load_settings, presets
from casgan_dicom.model.tables import settings_from_dict, settings_to_dict


@pytest.mark.parametrize(("method", "preset"), presets())
def test_every_shipped_preset_loads_and_keeps_what_its_file_says(method: str, preset: str) -> None:
    text = (resources.files("casgan_dicom.model") / "presets" / f"{method}-{preset}.toml").read_text()

    settings = load_settings(method, preset)

    loaded = settings_to_dict(settings)
    for key, value in tomllib.loads(text).items():
        if key == "extends":
            continue
        found = loaded[key]
        assert (
            found == value
            if not isinstance(value, dict)
            else as_json(value).items() <= as_json(found).items()
        )
    assert (settings.method, settings.preset) == (method, preset)
    assert settings.description


@pytest.mark.parametrize(("method", "preset"), presets())
def test_every_shipped_preset_makes_sense(method: str, preset: str) -> None:
    settings = load_settings(method, preset)
    assert settings.weights.keys() <= set(method_class(method).terms)
    assert any(settings.weights.values())
    assert settings.data.crop % CROP_STEP == 0
    assert settings.data.crop <= settings.data.frame_size


@pytest.mark.parametrize("preset", [preset for method, preset in presets() if method == "casgan"])
def test_identity_stands_in_for_reconstruction_at_half_its_weight(preset: str) -> None:
    settings = load_settings("casgan", preset)
    assert settings.weights["idt"] == settings.weights["rec"] / 2  # where cas.drl is off
    paired = {term for term in settings.weights if term.startswith("pair_")}
    assert bool(paired) is (preset == "desk-paired")


def as_json(value: object) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(value))
    return plain


def test_every_method_has_the_three_presets() -> None:
    found = presets()
    for method in method_names():
        assert {(method, name) for name in ("paper", "desk", "smoke")} <= set(found), method


def test_the_rows_of_the_ablation_are_presets_in_the_order_of_the_paper() -> None:
    rows = [load_settings("casgan", f"table2-{k}").own for k in range(1, 9)]
    bits = [(row.drl, row.vsgg, row.vsgl) for row in rows if isinstance(row, CasOptions)]
    assert bits == list(itertools.product([False, True], repeat=3))


def test_a_scale_is_laid_over_a_preset_and_under_the_overrides() -> None:
    plain, scaled = (
        load_settings("casgan", "paper"),
        load_settings("casgan", "paper", ["net.ndf=5"], scale="desk"),
    )
    assert (plain.net.ngf, scaled.net.ngf, scaled.net.ndf) == (64, 16, 5)
    assert scaled.weights == plain.weights
    assert (scaled.preset, scaled.description) == (
        "paper-desk",
        f"{plain.description}; scaled down to 'desk'",
    )


def test_desk_paired_differs_from_desk_in_its_paired_terms_only() -> None:
    desk, paired = (settings_to_dict(load_settings("casgan", name)) for name in ("desk", "desk-paired"))
    for settings in (desk, paired):
        for key in ("preset", "description"):
            del settings[key]
        settings["weights"] = {k: v for k, v in settings["weights"].items() if not k.startswith("pair_")}
    assert desk == paired


@pytest.mark.parametrize(
    ("override", "keys", "value"),
    [
        ("optim.steps=7", ("optim", "steps"), 7),
        ("optim.lr=1", ("optim", "lr"), 1.0),
        ("optim.lr = 1e-3", ("optim", "lr"), 1e-3),
        ("cas.drl=false", ("own", "drl"), False),
        ("net.upsampling=resize", ("net", "upsampling"), "resize"),
        ('net.upsampling="resize"', ("net", "upsampling"), "resize"),
        ("optim.betas=[0.1, 0.2]", ("optim", "betas"), (0.1, 0.2)),
        ("weights.idt=5", ("weights", "idt"), 5),
        ("segmentor.path=a folder/unet=1.safetensors", ("segmentor", "path"), "a folder/unet=1.safetensors"),
        ("seed=12", ("seed",), 12),
    ],
)
def test_an_override_changes_its_key(override: str, keys: tuple[str, ...], value: object) -> None:
    found: Any = load_settings("casgan", "smoke", [override])
    for key in keys:
        found = found[key] if isinstance(found, dict) else getattr(found, key)
    assert found == value
    assert type(found) is type(value)


def test_the_last_of_two_overrides_wins() -> None:
    assert load_settings("casgan", "smoke", ["seed=1", "seed=2"]).seed == 2


@pytest.mark.parametrize("override", ["optim.steps", "=3", "", " = "])
def test_an_override_without_key_or_value_is_refused(override: str) -> None:
    with pytest.raises(ConfigError, match="no KEY=VALUE"):
        load_settings("casgan", "smoke", [override])


def test_an_override_below_a_value_is_refused() -> None:
    with pytest.raises(ConfigError, match="'description' is a value"):
        load_settings("casgan", "smoke", ["description.text=1"])


def test_an_unknown_preset_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="no preset 'dessk' for method 'casgan'") as caught:
        load_settings("casgan", "dessk")
    assert "desk-paired" in caught.value.hint


def test_an_unknown_method_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="no method 'pix2pix'") as caught:
        load_settings("pix2pix", "desk")
    assert "cyclegan, unit, munit" in caught.value.hint
    with pytest.raises(ConfigError, match="no method 'pix2pix'"):
        settings_from_dict({"method": "pix2pix"})


def test_a_scale_is_no_preset_of_a_method() -> None:
    assert not [preset for method, preset in presets() if method == "scale"]


@pytest.mark.parametrize("key", ["method", "preset"])
def test_what_has_an_option_of_its_own_cannot_be_set(key: str) -> None:
    """A bundle would be named after a method that did not train it."""
    with pytest.raises(ConfigError, match=f"--{key}"):
        load_settings("casgan", "smoke", [f"{key}=cyclegan"])
