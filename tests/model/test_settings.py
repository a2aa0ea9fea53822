"""Settings: presets, overrides, and every fault in one message."""

from __future__ import annotations

import json
import re
import tomllib
from importlib import resources
from typing import Any

import pytest

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.data import CROP_STEP
from casgan_dicom.model.methods.casgan import CasGan
from casgan_dicom.model.settings import (
    TrainSettings,
    load_settings,
    presets,
    settings_from_dict,
    settings_to_dict,
)


@pytest.mark.parametrize("name", presets())
def test_every_shipped_preset_loads_and_keeps_what_its_file_says(name: str) -> None:
    method, preset = name.split("-", 1)
    text = (resources.files("casgan_dicom.model") / "presets" / f"{name}.toml").read_text()

    settings = load_settings(method, preset)

    loaded = settings_to_dict(settings)
    for key, value in tomllib.loads(text).items():
        found = loaded[key]
        assert found == value if not isinstance(value, dict) else value.items() <= found.items()
    assert (settings.method, settings.preset) == (method, preset)
    assert settings.description


@pytest.mark.parametrize("name", presets())
def test_every_shipped_preset_makes_sense(name: str) -> None:
    settings = load_settings(*name.split("-", 1))
    assert settings.weights.keys() <= set(CasGan.terms)
    assert settings.weights["idt"] == settings.weights["rec"] / 2  # stands in for `rec` where cas.drl is off
    assert settings.optim.decay_steps <= settings.optim.steps
    assert settings.data.crop % CROP_STEP == 0
    assert settings.data.crop <= settings.data.frame_size
    paired = {term for term in settings.weights if term.startswith("pair_")}
    assert bool(paired) is (settings.preset == "desk-paired")


def test_desk_paired_differs_from_desk_in_its_paired_terms_only() -> None:
    desk, paired = (settings_to_dict(load_settings("casgan", name)) for name in ("desk", "desk-paired"))
    for settings in (desk, paired):
        for key in ("preset", "description"):
            del settings[key]
        settings["weights"] = {k: v for k, v in settings["weights"].items() if not k.startswith("pair_")}
    assert desk == paired


def test_the_shipped_presets_are_these() -> None:
    assert {"casgan-desk", "casgan-desk-paired", "casgan-paper", "casgan-smoke"} <= set(presets())


def test_settings_survive_json() -> None:
    settings = load_settings("casgan", "desk-paired", ["optim.betas=[0.4, 0.9]"])
    assert settings_from_dict(json.loads(json.dumps(settings_to_dict(settings)))) == settings


@pytest.mark.parametrize(
    ("override", "keys", "value"),
    [
        ("optim.steps=7", ("optim", "steps"), 7),
        ("optim.lr=1", ("optim", "lr"), 1.0),
        ("optim.lr = 1e-3", ("optim", "lr"), 1e-3),
        ("cas.drl=false", ("cas", "drl"), False),
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


@pytest.mark.parametrize(
    ("key", "suggested"),
    [
        ("optim.step", "did you mean 'optim.steps'"),
        ("net.nfg", "did you mean 'net.ngf'"),
        ("sed", "did you mean 'seed'"),
        ("optim.wholly_other", "known: lr, betas, steps"),
    ],
)
def test_an_unknown_key_names_the_nearest_known_one(key: str, suggested: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings("casgan", "smoke", [f"{key}=1"])
    assert f"unknown key '{key}'" in caught.value.message
    assert suggested in caught.value.message


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"seed": "one"}, "seed is 'one', want int"),
        ({"seed": 1.5}, "seed is 1.5, want int"),
        ({"seed": True}, "seed is True, want int"),
        ({"description": 3}, "description is 3, want str"),
        ({"optim": {"lr": "fast"}}, "optim.lr is 'fast', want float"),
        ({"optim": {"lr": True}}, "optim.lr is True, want float"),
        ({"optim": {"amp": 1}}, "optim.amp is 1, want bool"),
        ({"optim": {"gan": "wgan"}}, "optim.gan is 'wgan', want one of 'lsgan', 'vanilla'"),
        ({"optim": {"betas": [0.5]}}, "optim.betas is [0.5], want 2 numbers"),
        ({"optim": {"betas": ["a", "b"]}}, "optim.betas is ['a', 'b'], want 2 numbers"),
        ({"optim": {"betas": "ab"}}, "optim.betas is 'ab', want 2 numbers"),
        ({"weights": {"pred": "much"}}, "want a table of numbers"),
        ({"weights": {"pred": True}}, "want a table of numbers"),
        ({"weights": 3}, "weights is 3, want a table of numbers"),
        ({"net": 3}, "net is 3, want a table"),
    ],
)
def test_a_value_of_the_wrong_type_says_what_was_found_and_wanted(table: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settings_from_dict(table)
    assert told in caught.value.message


def test_every_fault_is_in_one_message() -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings("casgan", "smoke", ["sed=1", "net.ngf=many", "optim.gan=3", "cas.dlr=true"])
    for fault in ("'sed'", "net.ngf is 'many'", "optim.gan is 3", "'cas.drl'"):
        assert fault in caught.value.message


@pytest.mark.parametrize(("method", "preset"), [("casgan", "dessk"), ("cyclegan", "desk")])
def test_an_unknown_preset_lists_the_known_ones(method: str, preset: str) -> None:
    with pytest.raises(ConfigError, match=preset) as caught:
        load_settings(method, preset)
    assert "casgan-desk-paired" in caught.value.hint


def test_no_keys_give_the_defaults() -> None:
    assert settings_from_dict({}) == TrainSettings()


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("net.ngf=0", "net.ngf is 0, want at least 1"),
        ("data.runs=0", "data.runs is 0, want at least 1"),
        ("data.frames_per_run=-1", "data.frames_per_run is -1, want at least 1"),
        ("optim.pool=-1", "optim.pool is -1, want at least 0"),
        ("optim.betas=[2,3]", "optim.betas is 2.0, 3.0, want 0 to 1"),
        ("optim.ema=1.0", "optim.ema is 1.0, want 0 to 1"),
        ("segmentor.lr=0", "segmentor.lr is 0, want more than 0"),
        ("optim.lr=nan", "optim.lr is nan, want at least 0"),
        ("cas.sem_temperature=0", "cas.sem_temperature is 0, want more than 0"),
        ("optim.decay_steps=1000000", "optim.decay_steps is 1000000, want 0 to optim.steps"),
        ("normalisation.high=-0.4", "-1 ≤ low < high ≤ 1"),
        ("weights.rec=-1", "weights.rec is -1, want at least 0"),
    ],
)
def test_a_number_without_a_meaning_is_refused(override: str, told: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(told)):
        load_settings("casgan", "smoke", [override])


def test_every_number_without_a_meaning_is_named_at_once() -> None:
    with pytest.raises(ConfigError, match=r"net\.ngf is 0.*; data\.runs is 0"):
        load_settings("casgan", "smoke", ["net.ngf=0", "data.runs=0"])


@pytest.mark.parametrize("key", ["method", "preset"])
def test_what_has_an_option_of_its_own_cannot_be_set(key: str) -> None:
    """A bundle would be named after a method that did not train it."""
    with pytest.raises(ConfigError, match=f"--{key}"):
        load_settings("casgan", "smoke", [f"{key}=cyclegan"])
