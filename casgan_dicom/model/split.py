"""What training never sees: series or patients kept for evaluation.

The draw depends on the seed and on the names of the groups alone, not on the order of files. One rule serves
all domains, so that a patient found in two of them stands on one side in both.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.data import Domains, FrameSet


def split(domains: Domains, held_out: float, seed: int) -> tuple[Domains, Domains]:
    """Divide all domains into (training, evaluation) by their groups.

    Of each domain at least the share `held_out` of its groups, rounded, is kept for evaluation, at least one;
    at least one stays for training.

    Raises
    ------
    ConfigError
        `held_out` outside 0 to 1; a domain without groups or with one only; groups so shared between the
        domains that one of them would have nothing to train on or nothing to be evaluated on.
    """
    if not 0 < held_out < 1:
        raise ConfigError(f"data.held_out is {held_out:g}, want more than 0 and less than 1")
    sets = {"x": domains.x, "y": domains.y}
    if domains.labelled is not None:
        sets["labelled"] = domains.labelled
    kept = _kept({name: _groups(name, frames) for name, frames in sets.items()}, held_out, seed)
    sides = [
        {name: _part(frames, np.isin(_keys(frames), sorted(kept)) == wanted) for name, frames in sets.items()}
        for wanted in (False, True)
    ]
    for side, role in zip(sides, ("train on", "be evaluated on"), strict=True):
        for name, frames in side.items():
            if not len(frames):
                raise ConfigError(
                    f"data.held_out is {held_out:g}, but domain {name} would have nothing to {role}",
                    hint="its groups are shared with the other domains: use more, or another seed",
                )
    training, evaluation = (Domains(side["x"], side["y"], side.get("labelled")) for side in sides)
    return training, evaluation


def _keys(frames: FrameSet) -> npt.NDArray[np.str_]:
    if frames.groups is None:
        raise ConfigError("data.held_out needs frames whose series or patient is known")
    return frames.groups


def _groups(name: str, frames: FrameSet) -> frozenset[str]:
    groups = frozenset(map(str, _keys(frames)))
    if len(groups) < 2:
        raise ConfigError(
            f"data.held_out: domain {name} has {len(groups)} series or patient, want at least 2",
            hint="a sub-folder for each patient tells them apart; data.split_by chooses series or patients",
        )
    return groups


def _kept(groups: Mapping[str, frozenset[str]], held_out: float, seed: int) -> set[str]:
    """Go through all groups in the order of their hashes; keep one while a domain it is in wants more."""
    quota = {name: min(max(1, round(held_out * len(keys))), len(keys) - 1) for name, keys in groups.items()}
    kept: set[str] = set()
    for key in sorted(frozenset().union(*groups.values()), key=lambda key: _draw(key, seed)):
        inside = [name for name, keys in groups.items() if key in keys]
        counts = {name: len(groups[name] & kept) for name in inside}
        wanted = any(counts[name] < quota[name] for name in inside)
        if wanted and all(counts[name] + 1 < len(groups[name]) for name in inside):
            kept.add(key)
    return kept


def _draw(key: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}:{key}".encode()).hexdigest()


def _part(frames: FrameSet, chosen: npt.NDArray[np.bool_]) -> FrameSet:
    twins = None if frames.twins is None else frames.twins[chosen]
    masks = None if frames.masks is None else frames.masks[chosen]
    return FrameSet(frames.frames[chosen], frames.levels[chosen], twins, masks, _keys(frames)[chosen])
