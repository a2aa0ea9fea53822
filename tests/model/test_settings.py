"""Settings: types and ranges, and every fault in one message."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.methods.casgan import CasOptions
from casgan_dicom.model.preset_files import load_settings
from casgan_dicom.model.settings import TrainSettings
from casgan_dicom.model.tables import settings_from_dict, settings_to_dict


def test_settings_survive_json() -> None:
    settings = load_settings("casgan", "desk-paired", ["optim.betas=[0.4, 0.9]"])
    assert settings_from_dict(json.loads(json.dumps(settings_to_dict(settings)))) == settings


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
        ({"seed": "one"}, "seed is 'one', want a whole number"),
        ({"seed": 1.5}, "seed is 1.5, want a whole number"),
        ({"seed": True}, "seed is True, want a whole number"),
        ({"description": 3}, "description is 3, want text"),
        ({"optim": {"lr": "fast"}}, "optim.lr is 'fast', want a number"),
        ({"optim": {"lr": True}}, "optim.lr is True, want a number"),
        ({"optim": {"amp": 1}}, "optim.amp is 1, want true or false"),
        ({"optim": {"gan": "wgan"}}, "optim.gan is 'wgan', want one of lsgan, vanilla"),
        ({"optim": {"betas": [0.5]}}, "optim.betas is [0.5], want 2 numbers"),
        ({"optim": {"betas": ["a", "b"]}}, "optim.betas is ['a', 'b'], want 2 numbers"),
        ({"optim": {"betas": "ab"}}, "optim.betas is 'ab', want 2 numbers"),
        ({"weights": {"pred": "much"}}, "weights.pred is 'much', want a number"),
        ({"weights": {"pred": True}}, "weights.pred is True, want a number"),
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


def test_no_keys_give_the_defaults() -> None:
    assert settings_from_dict({}) == TrainSettings(own=CasOptions())


def test_a_list_of_names_takes_known_ones_only() -> None:
    assert load_settings("casgan", "smoke", ['trackers=["tensorboard"]']).trackers == ("tensorboard",)
    for value in ('["tensorbored"]', '"tensorboard"', "[1]"):
        with pytest.raises(ConfigError, match=r"trackers is .*, want a list of tensorboard, wandb, mlflow"):
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
        ("segmentor.empty=1.0", "segmentor.empty is 1, want 0 to 1, 1 excluded"),
        ("data.held_out=1.0", "data.held_out is 1, want 0 to 1"),
        ("normalisation.high=-0.4", "-1 ≤ low < high ≤ 1"),
        ("weights.rec=-1", "weights.rec is -1, want at least 0"),
    ],
)
def test_a_number_without_a_meaning_is_refused(override: str, told: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(told)):
        load_settings("casgan", "smoke", [override])


def test_every_number_without_a_meaning_is_named_at_once() -> None:
    with pytest.raises(ConfigError, match=r"2 settings are wrong:\n  net\.ngf is 0.*\n  data\.runs is 0"):
        load_settings("casgan", "smoke", ["net.ngf=0", "data.runs=0"])
