"""Settings: presets, overrides, and every fault in one message."""

from __future__ import annotations

import itertools
import json
import re
import tomllib
from importlib import resources
from typing import Any

import pytest

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.data import CROP_STEP
from casgan_dicom.model.methods.casgan import CasOptions
from casgan_dicom.model.methods.registry import method_class, method_names
from casgan_dicom.model.settings import (
    TrainSettings,
    load_settings,
    presets,
    settings_from_dict,
    settings_to_dict,
)


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


def test_settings_survive_json() -> None:
    settings = load_settings("casgan", "desk-paired", ["optim.betas=[0.4, 0.9]"])
    assert settings_from_dict(json.loads(json.dumps(settings_to_dict(settings)))) == settings


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


@pytest.mark.parametrize(
    ("key", "suggested"),
    [
        ("optim.step", "did you mean 'optim.steps'"),
        ("net.nfg", "did you mean 'net.ngf'"),
        ("sed", "did you mean 'seed'"),
        ("optim.wholly_other", "known: lr, weight_decay"),
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


def test_no_keys_give_the_defaults() -> None:
    assert settings_from_dict({}) == TrainSettings(own=CasOptions())


def test_a_list_of_names_takes_known_ones_only() -> None:
    assert load_settings("casgan", "smoke", ['trackers=["tensorboard"]']).trackers == ("tensorboard",)
    for value in ('["tensorbored"]', '"tensorboard"', "[1]"):
        with pytest.raises(
            ConfigError, match=r"trackers is .*, want a list of tensorboard \| wandb \| mlflow"
        ):
            load_settings("casgan", "smoke", [f"trackers={value}"])


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
        ("cas.cycle_noise=-1", "cas.cycle_noise is -1, want at least 0"),
        ("optim.decay_steps=1000000", "optim.decay_steps is 1000000, want 0 to optim.steps"),
        ("optim.accumulate=3", "optim.accumulate is 3, want a divisor of optim.batch (2)"),
        ("data.held_out=1.0", "data.held_out is 1, want 0 to 1"),
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
