"""A bundle: the folder that holds a trained generator, its segmentor, its settings and its card.

Schema 1::

    config.json             schema, name, method, version, size, settings, data, licence, sha256 of each file
    model.safetensors       the networks that translate, no others
    segmentor.safetensors   U-Net that marks vessels
    README.md               model card

Of the shipped bundles, what several hold lies once in ``weights/shared``, named by the SHA-256 that their
config.json says (shelf.py).

Nothing in it is executed: weights are safetensors, settings are JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from safetensors import SafetensorError
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
from casgan_dicom.model.methods.registry import method_class
from casgan_dicom.model.networks.unet import UNet
from casgan_dicom.model.settings import TrainSettings
from casgan_dicom.model.tables import settings_from_dict, settings_to_dict

WEIGHT_FILES = ("model.safetensors", SEGMENTOR_NAME)
SIMULATED_LICENCE = "Apache-2.0"
"""Licence of weights that are trained on the simulator: its own."""
UNKNOWN_LICENCE = "NOASSERTION"
"""SPDX's word where nobody has said it: weights trained on frames of others."""


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


def load_bundle(bundle: str | Path) -> Bundle:
    """Read a bundle and check every file's SHA-256; raises WeightsError."""
    folder = bundle_folder(bundle)
    config = read_config(folder)
    files = {name: bundle_file(folder, name) for name in WEIGHT_FILES}
    for name, path in files.items():
        wanted = config["sha256"].get(name)
        found = file_sha256(path) if path.is_file() else None
        if found != wanted or wanted is None:
            raise WeightsError(
                f"bundle '{folder.name}': {name} has SHA-256 {found or '(no file)'}, "
                f"config.json says {wanted}",
                hint="the bundle is damaged or was changed; install or copy it again",
            )
    try:
        settings = settings_from_dict(config["settings"])
        method = method_class(settings.method)
        nets = method.build_generators(settings)  # their sizes are in range: settings are checked
    except ConfigError as error:
        raise WeightsError(f"bundle '{folder.name}': {error.message}", hint=error.hint) from error
    deployed = nn.ModuleDict({name: net for name, net in nets.items() if name in method.deployed})
    segmentor = UNet(settings.segmentor.base)
    for net, name in zip((deployed, segmentor), WEIGHT_FILES, strict=True):
        _fill(net, files[name], f"bundle '{folder.name}': {name}")
    info = BundleInfo(
        **{key: config[key] for key in ("name", "method", "version", "data", "licence", "size")},
        recipe=settings.description,
        weights_sha256=config["sha256"]["model.safetensors"],
    )
    return Bundle(
        info, settings, deployed.eval().requires_grad_(False), segmentor.eval().requires_grad_(False)
    )


def save_bundle(
    folder: Path,
    settings: TrainSettings,
    weights: Mapping[str, Tensor],
    segmentor: Mapping[str, Tensor],
    *,
    data: str,
    version: str = "1",
) -> None:
    """Write a bundle without its card.

    Parameters
    ----------
    folder
        Made if it is not there; its files are replaced.
    settings
        Of the run; `data.frame_size` is what the networks will see.
    weights
        State of all generator networks; only the deployed ones are kept.
    segmentor
        State of the segmentor.
    data
        One sentence about the training data, with attribution.
    version
        Version of the bundle.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = method_class(settings.method).deployed
    deployed = {key: value for key, value in weights.items() if key.split(".")[0] in wanted}
    for name, state in zip(WEIGHT_FILES, (deployed, segmentor), strict=True):
        tensors = {key: value.detach().cpu().contiguous() for key, value in state.items()}
        write_whole(folder / name, save(tensors))
    config = {
        "schema": SCHEMA,
        "name": f"{settings.method}-{settings.preset}",
        "method": settings.method,
        "version": version,
        "size": settings.data.frame_size // SIZE_STEP * SIZE_STEP,
        "data": data,
        "licence": SIMULATED_LICENCE if is_simulated(data) else UNKNOWN_LICENCE,
        "settings": settings_to_dict(_without_paths(settings)),
        "sha256": {name: file_sha256(folder / name) for name in WEIGHT_FILES},
    }
    write_json(folder / "config.json", config)  # last: who finds it finds a complete bundle


def is_simulated(data: str) -> bool:
    """Whether a sentence about training data, as a bundle has it, is that of the simulator's."""
    return data.startswith("Simulated")


def _without_paths(settings: TrainSettings) -> TrainSettings:
    """`settings` without the place of the segmentor on the machine that trained."""
    return replace(settings, segmentor=replace(settings.segmentor, path=""))


def _fill(net: nn.Module, path: Path, told: str) -> None:
    """Read the weights of `net`; `told` names them in the error."""
    try:
        net.load_state_dict(load_file(path))
    except (RuntimeError, SafetensorError) as error:
        raise WeightsError(f"{told} does not fit its config.json: {error}") from error
