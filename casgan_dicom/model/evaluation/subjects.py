"""What is measured: bundles and the runs they came from, each under a label of its own."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.bundle.bundle import is_simulated, load_bundle
from casgan_dicom.model.bundle.shelf import ALIASES, SEGMENTOR_NAME, bundle_folder, shipped_bundles
from casgan_dicom.model.evaluation.paper import TABLE_1, Bits
from casgan_dicom.model.methods.casgan import CasOptions
from casgan_dicom.model.methods.registry import method_names
from casgan_dicom.model.preset_files import load_settings
from casgan_dicom.model.settings import DataSettings, TrainSettings
from casgan_dicom.model.tables import settings_to_dict

ALL_ON: Bits = (True, True, True)


@dataclass(frozen=True)
class Subject:
    """A bundle to be measured."""

    label: str
    """Name of its row."""
    name: str
    """Name of the bundle: runs that differ in their seed only share it."""
    folder: Path
    """Of the bundle."""
    method: str
    """Name of the method."""
    bits: Bits | None
    """Switches DRL, VSGG, VSGL of CAS-GAN; None for another method."""
    beyond_paper: bool
    """Neither among the paper's eight methods nor a row of its ablation as we read it."""
    parameters: int
    """Of the deployed networks."""
    steps: int
    """Optimiser steps in training; StegoGAN's generators take two on the same gradients in each."""
    images: int
    """Crops and whole frames of each domain seen in training, the same one as often as it was drawn."""
    cue: float
    """Trace of empty arteries in what it was trained on."""
    data: str
    """One sentence about what it was trained on."""
    recipe: str
    """Digest of every setting but the seed, and of the data: runs that share it differ in their seed only."""
    seed: int
    """Of the training run."""
    held_out: float
    """Share of a folder's series or patients that training did not see (not of simulated data)."""
    split_by: Literal["series", "patient"]
    """What `held_out` counts."""
    split_seed: int
    """Seed of which were held out."""
    weights_sha256: str
    """SHA-256 of model.safetensors."""

    @property
    def kept_nothing(self) -> bool:
        """Whether it was trained on all frames of its folders: any of them may have been learnt."""
        return self.held_out == 0 and not is_simulated(self.data)


def find_subjects(places: Sequence[str | Path]) -> list[Subject]:
    """Find bundles, by name or folder, and those of run folders; in the given order.

    Each has a label of its own: its name, its seed behind it where several share the name, and the beginning
    of the SHA-256 of its weights where that is not enough.

    Raises
    ------
    ConfigError
        A run has no bundle yet, or one bundle is given twice.
    WeightsError
        A bundle is unknown or damaged.
    """
    found = [_subject(_folder(place)) for place in places]
    names = Counter(subject.name for subject in found)
    labelled = [
        replace(subject, label=f"{subject.name}-s{subject.seed}") if names[subject.name] > 1 else subject
        for subject in found
    ]
    labels = Counter(subject.label for subject in labelled)
    told_apart = [
        replace(subject, label=f"{subject.label}-{subject.weights_sha256[:8]}")
        if labels[subject.label] > 1 or subject.label in RESERVED
        else subject
        for subject in labelled
    ]
    if twice := [label for label, count in Counter(s.label for s in told_apart).items() if count > 1]:
        raise ConfigError(f"bundle '{twice[0]}' is given twice", hint="name each bundle once")
    return told_apart


RESERVED = ("identity", "chance", "another tree", "another on the own heart", "oracle", "truth")
"""Rows of every table that are no bundle."""


def split_settings(subjects: Sequence[Subject]) -> DataSettings:
    """Settings that read, of folders, what none of the bundles saw in training.

    A bundle that was trained on simulated data saw nothing of any folder. Raises ConfigError when the others
    kept different frames.
    """
    saw = [subject for subject in subjects if not is_simulated(subject.data)]
    splits = {(s.held_out, s.split_by, s.split_seed if s.held_out else 1) for s in saw}
    if len(splits) > 1:
        raise ConfigError(
            "the bundles kept different frames for evaluation",
            hint="evaluate those of one data.held_out, data.split_by and data.split_seed together",
        )
    held_out, split_by, seed = splits.pop() if splits else (0.0, "patient", 1)
    return DataSettings(held_out=held_out, split_by=split_by, split_seed=seed)


def paper_order(subject: Subject) -> tuple[int, int, str]:
    """Sorts subjects as the paper's Table I does, then what is beyond it."""
    names = method_names()
    paper = list(TABLE_1)
    if subject.beyond_paper:
        return (1, names.index(subject.method), subject.label)
    return (0, paper.index(subject.method), subject.label)


def _folder(place: str | Path) -> Path:
    if str(place) in (*ALIASES, *shipped_bundles()):
        return bundle_folder(place)
    inside = Path(place) / "bundle"
    if (inside / "config.json").is_file():
        return inside
    trained, translating = (Path(place) / name for name in (SEGMENTOR_NAME, "model.safetensors"))
    if trained.is_file() and not translating.is_file():
        raise ConfigError(
            f"run '{Path(place).name}' has no bundle yet", hint="a run writes it when its training ends"
        )
    return bundle_folder(place)


def _subject(folder: Path) -> Subject:
    loaded = load_bundle(folder)
    info, settings = loaded.info, loaded.settings
    own = settings.own
    whole = min(settings.data.whole_steps, settings.optim.steps)
    return Subject(
        label=info.name,
        name=info.name,
        folder=folder,
        method=info.method,
        bits=(own.drl, own.vsgg, own.vsgl) if isinstance(own, CasOptions) else None,
        beyond_paper=_beyond_paper(settings),
        parameters=sum(p.numel() for p in loaded.generators.parameters()),
        steps=settings.optim.steps,
        images=(settings.optim.steps - whole) * settings.optim.batch + whole * settings.optim.accumulate,
        cue=settings.data.cue,
        data=info.data,
        recipe=_recipe(settings, info.data),
        seed=settings.seed,
        held_out=settings.data.held_out,
        split_by=settings.data.split_by,
        split_seed=settings.data.split_seed,
        weights_sha256=info.weights_sha256,
    )


def _recipe(settings: TrainSettings, data: str) -> str:
    unseeded = replace(settings, seed=0, name="", segmentor=replace(settings.segmentor, path="", start=""))
    return hashlib.sha256(f"{json.dumps(settings_to_dict(unseeded))}{data}".encode()).hexdigest()[:16]


def _beyond_paper(settings: TrainSettings) -> bool:
    """Whether a run is not what the paper compares: another method, other losses, or settings of our own."""
    if settings.method not in TABLE_1:
        return True
    own = settings.own
    ours = isinstance(own, CasOptions) and (own.reject_input or own.sem_temperature != 1)
    return ours or settings.weights != load_settings(settings.method, "paper").weights
