"""Bundles as they are written, and what is put into one that is there.

The file format is that of ``bundle.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save as save_arrays
from safetensors.torch import save
from torch import Tensor

from casgan_dicom.disk import file_sha256, write_json, write_whole
from casgan_dicom.errors import WeightsError
from casgan_dicom.model.bundle.bundle import SEGMENTOR_TOLD, is_simulated, load_bundle, segmentor_data
from casgan_dicom.model.bundle.files import DOMAIN_NAME, ENGAGEMENT_NAME, LIMIT, WEIGHT_FILES
from casgan_dicom.model.bundle.shelf import SCHEMA, SEGMENTOR_NAME, SIZE_STEP, read_config
from casgan_dicom.model.domain.statistics import DomainStatistics
from casgan_dicom.model.engagement.judge import EngagementJudge
from casgan_dicom.model.methods.base import Arrays
from casgan_dicom.model.methods.registry import method_class
from casgan_dicom.model.settings import TrainSettings
from casgan_dicom.model.simulator.version import SIMULATOR
from casgan_dicom.model.tables import settings_to_dict

VERSION = "1"
"""Version of the bundles that are written here; behind it stands which weights it is, as 1+0123abcd."""
SIMULATED_LICENCE = "Apache-2.0"
"""Licence of weights that are trained on the simulator: its own."""
UNKNOWN_LICENCE = "NOASSERTION"
"""SPDX's word where nobody has said it: weights trained on frames of others."""


def save_bundle(
    folder: Path,
    settings: TrainSettings,
    weights: Mapping[str, Tensor],
    segmentor: Mapping[str, Tensor],
    *,
    data: str,
    extra: Mapping[str, Arrays] | None = None,
) -> None:
    """Write a bundle without its card.

    Parameters
    ----------
    folder
        Made if it is not there; its files are replaced.
    settings
        Of the run; `data.frame_size` is what the networks will see, `name` and `description` are those of the
        bundle.
    weights
        State of all generator networks; only the deployed ones are kept.
    segmentor
        State of the segmentor.
    data
        One sentence about the training data, with attribution.
    extra
        Arrays by file and name: the method's `extra_files`, all of them and no others.

    Raises
    ------
    ValueError
        `extra` is not what the method keeps.
    """
    method, extra = method_class(settings.method), extra or {}
    if set(extra) != set(method.extra_files):
        raise ValueError(
            f"method '{settings.method}' keeps {sorted(method.extra_files)}, got {sorted(extra)}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    deployed = {key: value for key, value in weights.items() if key.split(".")[0] in method.deployed}
    for name, state in zip(WEIGHT_FILES, (deployed, segmentor), strict=True):
        tensors = {key: value.detach().cpu().contiguous() for key, value in state.items()}
        write_whole(folder / name, save(tensors))
    for name, arrays in extra.items():
        write_whole(folder / name, save_arrays({key: np.ascontiguousarray(a) for key, a in arrays.items()}))
    sha256 = {name: file_sha256(folder / name) for name in (*WEIGHT_FILES, *extra)}
    config = {
        "schema": SCHEMA,
        "name": settings.name or f"{settings.method}-{settings.preset}",
        "method": settings.method,
        "version": f"{VERSION}+{sha256[WEIGHT_FILES[0]][:8]}",
        "size": settings.data.frame_size // SIZE_STEP * SIZE_STEP,
        "data": data,
        "licence": SIMULATED_LICENCE if is_simulated(data) else UNKNOWN_LICENCE,
        "settings": settings_to_dict(_without_paths(settings)),
        **({"simulator": SIMULATOR} if is_simulated(data) else {}),
        "sha256": sha256,
    }
    write_json(folder / "config.json", config)  # last: who finds it finds a complete bundle


def add_domain(folder: Path, statistics: DomainStatistics) -> None:
    """Give the bundle in `folder`, which has files of its own, what is known of its training frames' kind.

    What it had before is replaced. Raises WeightsError where the statistics are of another segmentor's.
    """
    config = read_config(folder)
    if statistics.encoder_sha256 != config["sha256"].get(SEGMENTOR_NAME):
        raise WeightsError(f"bundle '{folder.name}': the statistics are of another segmentor's features")
    arrays = {name: np.ascontiguousarray(values) for name, values in statistics.arrays().items()}
    _put(folder, config, DOMAIN_NAME, save_arrays(arrays))


def add_engagement(folder: Path, judge: EngagementJudge) -> None:
    """Give the bundle in `folder`, which has files of its own, what tells in which artery a catheter lies.

    What it had before is replaced.
    """
    tensors = {name: value.detach().contiguous() for name, value in judge.net.state_dict().items()}
    content = save({**tensors, LIMIT: torch.tensor([judge.limit])})
    _put(folder, read_config(folder), ENGAGEMENT_NAME, content)


def _put(folder: Path, config: dict[str, Any], name: str, content: bytes) -> None:
    """Write a file of a bundle, and the config that names it."""
    write_whole(folder / name, content)
    config["sha256"][name] = file_sha256(folder / name)
    write_json(folder / "config.json", config)


def replace_segmentor(folder: Path, other: Path) -> None:
    """Give the bundle in `folder`, which has files of its own, the segmentor of the bundle in `other`.

    What it knew of the kind of its training frames goes: those were the features of the one before. Settings
    stay those of the bundle's training, but for the width. Raises WeightsError where one of them is damaged,
    or they bring frames to other network values.
    """
    ours, theirs, config = load_bundle(folder), load_bundle(other), read_config(folder)
    if ours.settings.normalisation != theirs.settings.normalisation:
        raise WeightsError(f"bundles '{folder.name}' and '{other.name}' bring frames to other network values")
    config["sha256"].pop(DOMAIN_NAME, None)
    config["settings"]["segmentor"]["base"] = theirs.settings.segmentor.base
    config.pop("segmentor_size", None)
    if (size := theirs.info.segmentor_size or theirs.info.size) != config["size"]:
        config["segmentor_size"] = size
    own = config["data"].split(SEGMENTOR_TOLD)[0].rstrip()
    source = segmentor_data(theirs.info.data)
    config["data"] = own if source == own else f"{own} {SEGMENTOR_TOLD}{source}"
    if not is_simulated(source):
        config["licence"] = UNKNOWN_LICENCE
    state = {name: value.contiguous() for name, value in theirs.segmentor.state_dict().items()}
    _put(folder, config, SEGMENTOR_NAME, save(state))
    (folder / DOMAIN_NAME).unlink(missing_ok=True)


def _without_paths(settings: TrainSettings) -> TrainSettings:
    """`settings` without the places of segmentor, its start and first weights on the machine that trained."""
    return replace(
        settings,
        segmentor=replace(settings.segmentor, path="", start=""),
        net=replace(settings.net, start=""),
    )
