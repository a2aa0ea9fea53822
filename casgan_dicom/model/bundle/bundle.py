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

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from casgan_dicom.config import config_error, read_table
from casgan_dicom.errors import ConfigError, WeightsError
from casgan_dicom.model.bundle.files import DOMAIN_NAME, WEIGHT_FILES, checked_files, read_arrays
from casgan_dicom.model.bundle.shelf import SEGMENTOR_NAME, bundle_folder, read_config
from casgan_dicom.model.domain.statistics import DomainStatistics
from casgan_dicom.model.settings import NormalisationSettings, TrainSettings

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import nn

    from casgan_dicom.model.bundle.networks import Networks
    from casgan_dicom.model.engagement.judge import EngagementJudge
    from casgan_dicom.model.networks.unet import UNet

SEGMENTOR_TOLD = "Segmentor: "
"""What begins the sentence about the segmentor's training data, where those were others."""
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
    """A bundle that was read and whose files were checked. Its networks are built when they are asked for."""

    told: str
    """What names it in errors."""
    info: BundleInfo
    normalisation: NormalisationSettings
    """How its networks see display values."""
    table: Mapping[str, Any]
    """Training settings, as config.json has them."""
    files: Mapping[str, Path]
    """Its files by name."""
    domain: DomainStatistics | None = None
    """What is known of the kind of the training frames; None where nothing is."""

    @cached_property
    def networks(self) -> Networks:
        """What is built of its files, by torch; raises WeightsError where they do not fit its config.json."""
        from casgan_dicom.model.bundle.networks import build_networks  # noqa: PLC0415 - torch

        return build_networks(self.told, self.table, self.files)

    @property
    def method(self) -> str:
        """Name of the method that its settings mean."""
        return str(self.table.get("method", TrainSettings.method))

    @property
    def settings(self) -> TrainSettings:
        """Training settings; networks and normalisation are rebuilt from them."""
        return self.networks.settings

    @property
    def generators(self) -> nn.ModuleDict:
        """The deployed networks, in evaluation mode, float32, on the CPU."""
        return self.networks.generators

    @property
    def segmentor(self) -> UNet:
        """The vessel segmentor, in evaluation mode."""
        return self.networks.segmentor

    @property
    def extra(self) -> Mapping[str, Mapping[str, npt.NDArray[Any]]]:
        """Arrays of the method's own, by file and name."""
        return self.networks.extra

    @property
    def engagement(self) -> EngagementJudge | None:
        """Tells in which artery a catheter lies; None where the bundle cannot."""
        return self.networks.engagement

    def arrays(self, name: str) -> Mapping[str, npt.NDArray[Any]]:
        """Those of one of its files; raises WeightsError where there is none, or it holds none."""
        return read_arrays(self.files, name, self.told)


def load_bundle(bundle: str | Path) -> Bundle:
    """Read a bundle, check every file's SHA-256 and build its networks; raises WeightsError."""
    found = open_bundle(bundle)
    _ = found.networks
    return found


def open_bundle(bundle: str | Path) -> Bundle:
    """Read a bundle and check every file's SHA-256; raises WeightsError.

    Its networks are not built yet, so it may still turn out that they do not fit its settings.
    """
    folder = bundle_folder(bundle)
    config, told = read_config(folder), f"bundle '{folder.name}'"
    table = config["settings"]
    try:
        normalisation = _normalisation(table)
    except ConfigError as error:
        raise WeightsError(f"{told}: {error.message}", hint=error.hint) from error
    files = checked_files(folder, config, WEIGHT_FILES)
    info = BundleInfo(
        **{key: config[key] for key in ("name", "method", "version", "data", "licence", "size")},
        recipe=str(table.get("description", TrainSettings.description)),
        weights_sha256=config["sha256"]["model.safetensors"],
        simulator=_simulator(config),
        segmentor_size=config.get("segmentor_size"),
        segmentor_sha256=config["sha256"][SEGMENTOR_NAME],
    )
    domain = _domain(files, config, told)
    return Bundle(told, info, normalisation, table, files, domain)


def segmentor_data(data: str) -> str:
    """Of a sentence about training data, as a bundle has it, what is said of the segmentor's."""
    return data.rpartition(SEGMENTOR_TOLD)[2].strip()


def simulator_text(info: BundleInfo) -> str:
    """Which simulator made the training data, for lists and cards."""
    return "none" if info.simulator is None else f"version {info.simulator}"


def is_simulated(data: str) -> bool:
    """Whether a sentence about training data, as a bundle has it, is that of the simulator's."""
    return data.startswith("Simulated")


def _normalisation(table: Mapping[str, Any]) -> NormalisationSettings:
    """Of the settings of a bundle; raises ConfigError."""
    reading = read_table(NormalisationSettings, table.get("normalisation", {}), "normalisation.")
    if reading.problems:
        raise config_error(reading.problems)
    return reading.settings


def _simulator(config: Mapping[str, Any]) -> int | None:
    """Which simulator made the training data, as config.json says or means."""
    if config["schema"] == 1:
        return FIRST_SIMULATOR if is_simulated(config["data"]) else None
    stated: int | None = config.get("simulator")
    return stated


def _domain(files: Mapping[str, Path], config: Mapping[str, Any], told: str) -> DomainStatistics | None:
    """The statistics of a bundle; None without any, or where its segmentor is another one by now."""
    if DOMAIN_NAME not in files:
        return None
    try:
        statistics = DomainStatistics.from_arrays(read_arrays(files, DOMAIN_NAME, told))
    except ValueError as error:
        raise WeightsError(f"{told}: {DOMAIN_NAME} {error}") from error
    return statistics if statistics.encoder_sha256 == config["sha256"][SEGMENTOR_NAME] else None
