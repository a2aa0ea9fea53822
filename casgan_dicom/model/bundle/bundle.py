"""A bundle: the folder that holds a trained generator, its segmentor, its settings and its card.

Schema 2::

    config.json             schema, name, method, version, size, settings, data, licence, sha256 of each file;
                            simulator: version of the one that made the data, absent where none did;
                            segmentor_size: what the segmentor sees, absent where that is `size`
    model.safetensors       the networks that translate, no others
    segmentor.safetensors   U-Net that marks vessels
    domain.safetensors      what is known of the kind of the training frames (model/domain); absent: nothing
    engagement.safetensors  network that tells in which artery a catheter lies (model/engagement), or absent
    NAME.safetensors        arrays that the method wants beside its networks (`Method.extra_files`)
    README.md               model card

Schema 1 has no arrays and does not say which simulator made the training data: it was the first.

Of the shipped bundles, what several hold lies once in ``weights/shared``, named by the SHA-256 that their
config.json says (shelf.py).

Nothing in it is executed: weights are safetensors, settings are JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file as load_arrays
from safetensors.numpy import save as save_arrays
from safetensors.torch import load_file, save
from torch import Tensor, nn

from casgan_dicom.disk import file_sha256, write_json, write_whole
from casgan_dicom.errors import ConfigError, WeightsError
from casgan_dicom.model.bundle.shelf import (
    SCHEMA,
    SEGMENTOR_NAME,
    SIZE_STEP,
    bundle_file,
    bundle_folder,
    read_config,
)
from casgan_dicom.model.domain.statistics import DomainStatistics
from casgan_dicom.model.engagement.judge import EngagementJudge
from casgan_dicom.model.methods.base import Arrays
from casgan_dicom.model.methods.registry import method_class
from casgan_dicom.model.networks.engagement import EngagementNet
from casgan_dicom.model.networks.unet import UNet
from casgan_dicom.model.settings import TrainSettings
from casgan_dicom.model.simulator.version import SIMULATOR
from casgan_dicom.model.tables import settings_from_dict, settings_to_dict

WEIGHT_FILES = ("model.safetensors", SEGMENTOR_NAME)
DOMAIN_NAME = "domain.safetensors"
"""File of what is known of the kind of the training frames."""
ENGAGEMENT_NAME = "engagement.safetensors"
"""File of the network that tells in which artery a catheter lies."""
_LIMIT, _FIRST_LAYER = "limit", "tip.stem.0.weight"
"""Arrays of that file: the limit of the judge, and the one whose length is the width of half the network."""
VERSION = "1"
"""Version of the bundles that are written here; behind it stands which weights it is, as 1+0123abcd."""
SEGMENTOR_TOLD = "Segmentor: "
"""What begins the sentence about the segmentor's training data, where those were others."""
SIMULATED_LICENCE = "Apache-2.0"
"""Licence of weights that are trained on the simulator: its own."""
UNKNOWN_LICENCE = "NOASSERTION"
"""SPDX's word where nobody has said it: weights trained on frames of others."""
FIRST_SIMULATOR = 1
"""Version of the simulator behind the simulated data of all bundles of schema 1."""


@dataclass(frozen=True)
class BundleInfo:
    """Who a bundle is: enough to name it in a derived object and to find it again."""

    name: str
    """Name of the bundle, as in "casgan-desk"."""
    method: str
    """Name of the method."""
    version: str
    """Version of the bundle."""
    recipe: str
    """One sentence: how it was trained."""
    data: str
    """One sentence: what it was trained on."""
    licence: str
    """Licence of the weights, SPDX."""
    size: int
    """Rows and columns that the networks see."""
    weights_sha256: str
    """SHA-256 of model.safetensors, hexadecimal."""
    simulator: int | None = None
    """Version of the simulator that made its training data; None for frames of others."""
    segmentor_size: int | None = None
    """Rows and columns that the segmentor sees; None for those of the other networks."""
    segmentor_sha256: str = ""
    """SHA-256 of segmentor.safetensors, hexadecimal."""


@dataclass(frozen=True)
class Bundle:
    """A bundle that was read and checked."""

    info: BundleInfo
    settings: TrainSettings
    """Training settings; networks and normalisation are rebuilt from them."""
    generators: nn.ModuleDict
    """The deployed networks, in evaluation mode, float32, on the CPU."""
    segmentor: UNet
    """The vessel segmentor, in evaluation mode."""
    extra: Mapping[str, Arrays] = field(default_factory=dict)
    """Arrays of the method's own, by file and name."""
    domain: DomainStatistics | None = None
    """What is known of the kind of the training frames; None where nothing is."""
    engagement: EngagementJudge | None = None
    """Tells in which artery a catheter lies; None where the bundle cannot."""


def load_bundle(bundle: str | Path) -> Bundle:
    """Read a bundle and check every file's SHA-256; raises WeightsError."""
    folder = bundle_folder(bundle)
    config = read_config(folder)
    try:
        settings = settings_from_dict(config["settings"])
        method = method_class(settings.method)
        files = _checked_files(folder, config, (*WEIGHT_FILES, *method.extra_files))
        _check_amount(folder, settings, files)
        nets = method.build_generators(settings)
    except ConfigError as error:
        raise WeightsError(f"bundle '{folder.name}': {error.message}", hint=error.hint) from error
    deployed = nn.ModuleDict({name: net for name, net in nets.items() if name in method.deployed})
    segmentor = UNet(settings.segmentor.base)
    for net, name in zip((deployed, segmentor), WEIGHT_FILES, strict=True):
        _fill(net, files[name], f"bundle '{folder.name}': {name}")
    extra = {name: _arrays(files[name], f"bundle '{folder.name}': {name}") for name in method.extra_files}
    domain = _domain(files, config, f"bundle '{folder.name}': {DOMAIN_NAME}")
    engagement = _engagement(files, f"bundle '{folder.name}': {ENGAGEMENT_NAME}")
    info = BundleInfo(
        **{key: config[key] for key in ("name", "method", "version", "data", "licence", "size")},
        recipe=settings.description,
        weights_sha256=config["sha256"]["model.safetensors"],
        simulator=_simulator(config),
        segmentor_size=config.get("segmentor_size"),
        segmentor_sha256=config["sha256"][SEGMENTOR_NAME],
    )
    return Bundle(
        info,
        settings,
        deployed.eval().requires_grad_(False),
        segmentor.eval().requires_grad_(False),
        extra,
        domain,
        engagement,
    )


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
    content = save({**tensors, _LIMIT: torch.tensor([judge.limit])})
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


def segmentor_data(data: str) -> str:
    """Of a sentence about training data, as a bundle has it, what is said of the segmentor's."""
    return data.rpartition(SEGMENTOR_TOLD)[2].strip()


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


def simulator_text(info: BundleInfo) -> str:
    """Which simulator made the training data, for lists and cards."""
    return "none" if info.simulator is None else f"version {info.simulator}"


def is_simulated(data: str) -> bool:
    """Whether a sentence about training data, as a bundle has it, is that of the simulator's."""
    return data.startswith("Simulated")


def _without_paths(settings: TrainSettings) -> TrainSettings:
    """`settings` without the places of segmentor, its start and first weights on the machine that trained."""
    return replace(
        settings,
        segmentor=replace(settings.segmentor, path="", start=""),
        net=replace(settings.net, start=""),
    )


def _simulator(config: Mapping[str, Any]) -> int | None:
    """Which simulator made the training data, as config.json says or means."""
    if config["schema"] == 1:
        return FIRST_SIMULATOR if is_simulated(config["data"]) else None
    stated: int | None = config.get("simulator")
    return stated


def _checked_files(folder: Path, config: Mapping[str, Any], needed: Iterable[str]) -> dict[str, Path]:
    """Find each file that config.json names or that is needed; raises WeightsError for a wrong SHA-256."""
    files = {name: bundle_file(folder, name) for name in dict.fromkeys((*needed, *config["sha256"]))}
    for name, path in files.items():
        wanted = config["sha256"].get(name)
        found = file_sha256(path) if path.is_file() else None
        if found != wanted or wanted is None:
            raise WeightsError(
                f"bundle '{folder.name}': {name} has SHA-256 {found or '(no file)'}, "
                f"config.json says {wanted}",
                hint="the bundle is damaged or was changed; install or copy it again",
            )
    return files


def _check_amount(folder: Path, settings: TrainSettings, files: Mapping[str, Path]) -> None:
    """Raise WeightsError where settings mean networks of other sizes than the files can fill.

    Before the networks are built: a few words of config.json may ask for more memory than there is. They are
    laid out without memory for that, as far as a method can be.
    """
    method = method_class(settings.method)
    try:
        with torch.device("meta"):
            nets = method.build_generators(settings)
            segmentor = UNet(settings.segmentor.base)
    except (NotImplementedError, RuntimeError):  # it computes while it is built
        return
    deployed: list[nn.Module] = [net for name, net in nets.items() if name in method.deployed]
    parts: tuple[list[nn.Module], ...] = (deployed, [segmentor])
    for name, built in zip(WEIGHT_FILES, parts, strict=True):
        wanted = sum(tensor.nbytes for net in built for tensor in net.state_dict().values())
        found = files[name].stat().st_size
        if wanted > found:
            raise WeightsError(
                f"bundle '{folder.name}': its settings mean networks of {wanted} bytes, {name} has {found}",
                hint="the bundle is damaged or was changed; install or copy it again",
            )


def _domain(files: Mapping[str, Path], config: Mapping[str, Any], told: str) -> DomainStatistics | None:
    """The statistics of a bundle; None without any, or where its segmentor is another one by now."""
    if DOMAIN_NAME not in files:
        return None
    try:
        statistics = DomainStatistics.from_arrays(_arrays(files[DOMAIN_NAME], told))
    except ValueError as error:
        raise WeightsError(f"{told} {error}") from error
    return statistics if statistics.encoder_sha256 == config["sha256"][SEGMENTOR_NAME] else None


def _engagement(files: Mapping[str, Path], told: str) -> EngagementJudge | None:
    """What tells in which artery a catheter lies; None where the bundle has no such file."""
    if ENGAGEMENT_NAME not in files:
        return None
    try:
        state = load_file(files[ENGAGEMENT_NAME])
        limit, width = float(state.pop(_LIMIT)), len(state[_FIRST_LAYER])
        net = EngagementNet(width)
        net.load_state_dict(state)
    except (KeyError, RuntimeError, SafetensorError, ValueError) as error:
        raise WeightsError(f"{told} holds no such network: {error}") from error
    return EngagementJudge(net.eval().requires_grad_(False), limit)


def _arrays(path: Path, told: str) -> Arrays:
    """Read the arrays of a method's own file; `told` names it in the error."""
    try:
        return dict(load_arrays(path))
    except (ValueError, SafetensorError) as error:
        raise WeightsError(f"{told} holds no arrays: {error}") from error


def _fill(net: nn.Module, path: Path, told: str) -> None:
    """Read the weights of `net`; `told` names them in the error."""
    try:
        net.load_state_dict(load_file(path))
    except (RuntimeError, SafetensorError) as error:
        raise WeightsError(f"{told} does not fit its config.json: {error}") from error
