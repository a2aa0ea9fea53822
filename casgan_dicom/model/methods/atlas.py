"""Atlas: the networks of atlas-guided drawing. Ours, simulator only.

A frame without contrast hardly holds where a coronary runs, but it does hold where the heart is, how we
look at it, which artery the catheter is in and where its tip is. Two networks read that
(networks/reading.py); what is drawn is a tree of the library, posed by it (model/atlas). There is no
adversary: the look is physics.

=============  =============================================================================
term           what it asks
=============  =============================================================================
tip            cross entropy of the cell of the catheter's tip, or of none
shaft          where the catheter is, and where wires, leads and clips are
artery         left or right
landmarks      Laplace likelihood of ten points of the trunks
pose           isocentre, scale, semi-axes and direction of the heart
angles         the view, where it was not told
phase          contraction, and the place in the beat
vessel         where a full tree would be seen
depth          line integral of contrast agent of a full tree
=============  =============================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from casgan_dicom.model.atlas.library import TREES, Library, grow_library
from casgan_dicom.model.atlas.render import CONCENTRATION
from casgan_dicom.model.data.batch import Batch
from casgan_dicom.model.data.posed import SEEN_MM, PoseSettings
from casgan_dicom.model.drawing import Drawer
from casgan_dicom.model.engines.torch_engine import TorchGraph
from casgan_dicom.model.methods.atlas_reader import Reader
from casgan_dicom.model.methods.base import Arrays, Losses, Method, Samples, own_options, painted
from casgan_dicom.model.methods.plain_atlas import LIBRARY_NAME, plain_drawer
from casgan_dicom.model.networks.reading import (
    PoseLook,
    PoseNet,
    Reading,
    TipLook,
    TipNet,
    optical_depth,
    read_frames,
)
from casgan_dicom.model.networks.reading_shapes import CELLS, FINE, TOLD
from casgan_dicom.model.networks.unet import UNet
from casgan_dicom.model.settings import Options, TrainSettings
from casgan_dicom.model.simulator.contrast import BEAM_HARDENING, IODINE_PER_MM

_FILLED_PER_MM = CONCENTRATION * IODINE_PER_MM
"""Attenuation of a filled vessel, see simulator/contrast.py."""
_TIP_FORGOTTEN = 0.15
"""Share of draws for which the pose network is told nothing of tip and shaft: in use they may be missed."""


@dataclass(frozen=True)
class AtlasOptions(Options):
    """Its own table of settings."""

    backgrounds: int = 600
    """Chests that are rendered for training."""
    patients: int = 4
    """Trees, catheters and beats before each."""
    frames: int = 3
    """Frames of each patient."""
    width: int = 16
    """Channels of both networks at half size."""
    trees: int = TREES
    """Trees of each artery in the library that the bundle carries."""
    library_seed: int = 1
    """What they are grown from."""

    def faults(self) -> list[str]:
        """Values that mean nothing."""
        least = {"backgrounds": 1, "patients": 1, "frames": 1, "width": 4, "trees": 1, "library_seed": 0}
        return [
            f"{name} is {value}, want at least {low}"
            for name, low in least.items()
            if (value := getattr(self, name)) < low
        ]

    @property
    def poses(self) -> PoseSettings:
        """What is rendered."""
        return PoseSettings(self.backgrounds, self.patients, self.frames)


class Atlas(Method):
    """A network that finds the tip, and one that reads the pose."""

    title: ClassVar[str] = "Atlas (ours; a tree of an anatomical library, posed; simulator only)"
    table: ClassVar[str] = "atlas"
    options_type: ClassVar[type[Options]] = AtlasOptions
    deployed: ClassVar[tuple[str, ...]] = ("tip", "pose")
    terms: ClassVar[tuple[str, ...]] = (
        *("tip", "shaft", "artery", "landmarks", "pose", "angles", "phase", "vessel", "depth"),
    )
    beyond_paper: ClassVar[bool] = True
    posed: ClassVar[bool] = True
    extra_files: ClassVar[tuple[str, ...]] = (LIBRARY_NAME,)

    def __init__(self, settings: TrainSettings, segmentor: UNet) -> None:
        super().__init__(settings, segmentor)
        self._kept: Reading | None = None

    @classmethod
    def build_generators(cls, settings: TrainSettings) -> nn.ModuleDict:
        """Both networks."""
        width = own_options(settings, AtlasOptions, "atlas options").width
        return nn.ModuleDict({"tip": TipNet(width), "pose": PoseNet(width)})

    @classmethod
    def build_discriminators(cls, settings: TrainSettings) -> nn.ModuleDict:  # noqa: ARG003 - of the interface
        """Nothing: the truth is known."""
        return nn.ModuleDict()

    @classmethod
    def predict_maps(
        cls,
        nets: nn.ModuleDict,
        settings: TrainSettings,  # noqa: ARG003 - of the interface
        x: Tensor,
    ) -> tuple[Tensor, Tensor | None]:
        """What the networks alone would draw, without a tree: black where they expect agent. It smears."""
        frame = F.interpolate((x + 1) / 2, size=(FINE, FINE), mode="bilinear", align_corners=False)
        read = read_frames(nets, frame, frame, x.new_zeros(x.shape[0], TOLD))
        depth = F.interpolate(
            optical_depth(read.maps[:, 1:]), size=x.shape[2:], mode="bilinear", align_corners=False
        )
        return torch.full_like(x, -1), 1 - torch.exp(-depth)

    @classmethod
    def drawer(
        cls,
        nets: nn.ModuleDict,
        settings: TrainSettings,  # noqa: ARG003 - of the interface
        extra: Mapping[str, Arrays],
        device: str,  # noqa: ARG003 - of the interface
    ) -> Drawer:
        """Draws a tree of the library; the networks see a few frames of a run and stay on the processor."""
        return plain_drawer(torch_reader(nets), Library.from_arrays(extra[LIBRARY_NAME]))

    @classmethod
    def networks_text(cls, settings: TrainSettings) -> str:
        """Width of both, and what trees there are to choose from."""
        own = own_options(settings, AtlasOptions, "atlas options")
        return f"two of width {own.width}, and a library of {2 * own.trees} trees"

    def extra_arrays(self) -> Mapping[str, Arrays]:
        """The library that trees are chosen from."""
        own = own_options(self.settings, AtlasOptions, "atlas options")
        return {LIBRARY_NAME: grow_library(own.library_seed, own.trees).arrays()}

    def paint(self, batch: Batch) -> None:
        """Read the frames."""
        told = batch.truth["told"]
        kept = torch.rand(len(told), 1, 1, 1, device=told.device) >= _TIP_FORGOTTEN
        self._kept = read_frames(self.generators, (batch.x + 1) / 2, (batch.y + 1) / 2, told, kept.float())

    def generator_losses(self, batch: Batch, weights: Mapping[str, float]) -> Losses:
        """Every term whose weight is not 0."""
        read, truth = painted(self._kept), batch.truth
        pose, length = read.pose, truth["path"]
        vessel = (length > SEEN_MM).float()
        unknown = (truth["told"][:, :1] == 0).float()
        terms: dict[str, Callable[[], Tensor]] = {
            "tip": lambda: tip_loss(read.tip, truth["tip"]),
            "shaft": lambda: _marks_loss(read.marks, truth),
            "artery": lambda: F.binary_cross_entropy_with_logits(pose["right"], truth["right"]),
            "landmarks": lambda: landmark_loss(pose, truth),
            "pose": lambda: (
                4 * F.l1_loss(pose["isocentre"], truth["isocentre"])
                + sum(F.l1_loss(pose[name], truth[name]) for name in ("scale", "semi_axes", "apex"))
            ),
            "angles": lambda: (
                ((pose["angles"] - truth["angles"]).abs() * unknown).sum() / (2 * unknown.sum().clamp_min(1))
            ),
            "phase": lambda: F.l1_loss(pose["phase"], truth["phase"]),
            "vessel": lambda: F.binary_cross_entropy_with_logits(read.maps[:, 0], vessel),
            "depth": lambda: _depth_loss(read.maps[:, 1], length),
        }
        return {name: term() for name, term in terms.items() if weights.get(name)}

    def discriminator_samples(self, batch: Batch) -> Samples:  # noqa: ARG002 - of the interface
        """Nothing."""
        return {}


def torch_reader(nets: nn.ModuleDict) -> Reader:
    """The networks "tip" and "pose", run by torch on the processor."""
    return Reader(TorchGraph(TipLook(nets)), TorchGraph(PoseLook(nets)))


def tip_loss(logits: Tensor, tip: Tensor) -> Tensor:
    """Cross entropy of the tip's cell, softened over its neighbours.

    `logits` are (B, 4097); `tip` is (B, 2), column and row in half pictures from the centre, NaN for none.
    """
    at = (tip + 1) * (CELLS / 2) - 0.5  # cells
    inside = (torch.isfinite(tip) & (at > -0.5) & (at < CELLS - 0.5)).all(dim=1)
    at = torch.nan_to_num(at)
    cells = torch.arange(CELLS, device=tip.device)
    columns, rows = (torch.exp(-0.5 * (cells - at[:, k, None]) ** 2) for k in (0, 1))
    heat = (rows[:, :, None] * columns[:, None, :]).flatten(1)
    heat = heat / heat.sum(dim=1, keepdim=True).clamp_min(1e-6) * inside[:, None]
    wanted = torch.cat([heat, (~inside)[:, None].float()], dim=1)
    return -(wanted * F.log_softmax(logits.float(), dim=1)).sum(dim=1).mean()


def landmark_loss(pose: Mapping[str, Tensor], truth: Mapping[str, Tensor]) -> Tensor:
    """Negative log likelihood of the landmarks of the artery that is there, Laplace in each coordinate."""
    side = truth["right"][:, 0].long()
    each = torch.arange(len(side), device=side.device)
    found, log_spread = pose["landmarks"][each, side], pose["log_spread"][each, side]
    known = torch.isfinite(truth["landmarks"]).all(dim=-1)
    off = (found - torch.nan_to_num(truth["landmarks"])).abs().sum(dim=-1)
    return ((off * torch.exp(-log_spread) + 2 * log_spread) * known).sum() / known.sum().clamp_min(1)


def _marks_loss(logits: Tensor, truth: Mapping[str, Tensor]) -> Tensor:
    """Shaft and clutter, where they are rare."""
    return sum(
        weight
        * F.binary_cross_entropy_with_logits(
            logits[:, k], truth[name].clamp(0, 1), pos_weight=logits.new_tensor(rare)
        )
        for k, (name, weight, rare) in enumerate((("shaft", 3.0, 3.0), ("clutter", 1.0, 2.0)))
    )  # type: ignore[return-value]


def _depth_loss(logit: Tensor, length_mm: Tensor) -> Tensor:
    """L1 of the line integral of full vessels (see simulator/contrast.py), five times where one is."""
    thin = _FILLED_PER_MM * length_mm
    wanted = thin / (1 + BEAM_HARDENING * thin)
    return ((optical_depth(logit) - wanted).abs() * (1 + 4 * (length_mm > SEEN_MM))).mean()
