"""What is built of the files of a bundle: settings, networks, and what its method keeps beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from casgan_dicom.errors import ConfigError, WeightsError
from casgan_dicom.model.bundle.files import (
    ENGAGEMENT_NAME,
    FIRST_LAYER,
    LIMIT,
    WEIGHT_FILES,
    read_arrays,
)
from casgan_dicom.model.engagement.judge import EngagementJudge
from casgan_dicom.model.methods.base import Arrays
from casgan_dicom.model.methods.registry import method_class
from casgan_dicom.model.networks.engagement import EngagementNet
from casgan_dicom.model.networks.unet import UNet
from casgan_dicom.model.settings import TrainSettings
from casgan_dicom.model.tables import settings_from_dict


@dataclass(frozen=True)
class Networks:
    """See the properties of `Bundle`."""

    settings: TrainSettings
    generators: nn.ModuleDict
    segmentor: UNet
    extra: Mapping[str, Arrays]
    engagement: EngagementJudge | None


def build_networks(told: str, table: Mapping[str, Any], files: Mapping[str, Path]) -> Networks:
    """Build the networks of a bundle.

    Parameters
    ----------
    told
        What names it in errors.
    table
        Its training settings, as config.json has them.
    files
        Its files by name, checked.

    Raises
    ------
    WeightsError
        Settings, or files that do not fit them.
    """
    try:
        settings = settings_from_dict(table)
        method = method_class(settings.method)
        extra = {name: read_arrays(files, name, told) for name in method.extra_files}
        _check_amount(told, settings, files)
        nets = method.build_generators(settings)
    except ConfigError as error:
        raise WeightsError(f"{told}: {error.message}", hint=error.hint) from error
    deployed = nn.ModuleDict({name: net for name, net in nets.items() if name in method.deployed})
    segmentor = UNet(settings.segmentor.base)
    for net, name in zip((deployed, segmentor), WEIGHT_FILES, strict=True):
        _fill(net, files[name], f"{told}: {name}")
    return Networks(
        settings,
        deployed.eval().requires_grad_(False),
        segmentor.eval().requires_grad_(False),
        extra,
        _engagement(files, f"{told}: {ENGAGEMENT_NAME}"),
    )


def _check_amount(told: str, settings: TrainSettings, files: Mapping[str, Path]) -> None:
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
                f"{told}: its settings mean networks of {wanted} bytes, {name} has {found}",
                hint="the bundle is damaged or was changed; install or copy it again",
            )


def _engagement(files: Mapping[str, Path], told: str) -> EngagementJudge | None:
    """What tells in which artery a catheter lies; None where the bundle has no such file."""
    if ENGAGEMENT_NAME not in files:
        return None
    try:
        state = load_file(files[ENGAGEMENT_NAME])
        limit, width = float(state.pop(LIMIT)), len(state[FIRST_LAYER])
        net = EngagementNet(width)
        net.load_state_dict(state)
    except (KeyError, RuntimeError, SafetensorError, ValueError) as error:
        raise WeightsError(f"{told} holds no such network: {error}") from error
    return EngagementJudge(net.eval().requires_grad_(False), limit)


def _fill(net: nn.Module, path: Path, told: str) -> None:
    """Read the weights of `net`; `told` names them in the error."""
    try:
        net.load_state_dict(load_file(path))
    except (RuntimeError, SafetensorError) as error:
        raise WeightsError(f"{told} does not fit its config.json: {error}") from error
