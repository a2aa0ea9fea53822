"""UNSB, unpaired translation by a neural Schrödinger bridge (Kim, Kwon, Kim and Ye, ICLR 2024).

Not of the CAS-GAN paper: an anchor beside its eight methods.

===============  =========================================================================
symbol           meaning
===============  =========================================================================
x, y             non-contrast frame, angiogram; unpaired; network values in [-1, 1]
t_0 … t_N        times from 0 to 1, N steps; x_0 = x
G                predicts the far end x_1 from x_t, the step and a latent z ~ N(0, I)
y_g              G(x_t), at a step drawn anew for each batch
τ                temperature of the bridge
E                energy network: a critic of whether two pairs (x_t, x_1) are one and the same
D_Y              discriminator of angiograms; it sees t as a second channel
F                CUT's MLPs
===============  =========================================================================

Between two times the bridge is Gaussian: with s = (t_j - t_i) / (1 - t_i),

    x_tj = (1 - s)·x_ti + s·G(x_ti) + sqrt(τ·(t_j - t_i)·(1 - s))·n,   n ~ N(0, I)

The bridge term is τ·mean (x_t - y_g)² - τ·(1 - j/N)·H, where E estimates the entropy H of (x_t, x_1):
H = mean E(p, p) - logsumexp E(p, p'), of a pair p and that of another frame, p'. GAN and NCE terms are CUT's.

Ours, where the paper or its code differs: the condition enters the residual blocks only, as scale and shift
of one norm; D_Y and E get t as a map; E steps together with G, by the term `energy`, not before it; the other
frame of a pair is the next one of the batch, mirrored. Translation takes all N steps without noise n and with
latents z that are kept with the weights: a frame always becomes the same angiogram, and a series does not
flicker for that reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import ClassVar, Literal, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

from casgan_dicom.model.data.batch import Batch
from casgan_dicom.model.methods.base import Losses, Method, Samples, own_options, painted
from casgan_dicom.model.methods.cut import ContrastOptions, build_patch_features
from casgan_dicom.model.methods.losses import adversarial
from casgan_dicom.model.methods.patchnce import PatchNce, SamplerKind
from casgan_dicom.model.networks.antialias import AntialiasedPatchGAN, Features
from casgan_dicom.model.networks.bridge import BridgeGenerator
from casgan_dicom.model.networks.patch_features import PatchFeatures
from casgan_dicom.model.networks.unet import UNet
from casgan_dicom.model.settings import Options, TrainSettings


@dataclass(frozen=True)
class SbOptions(ContrastOptions):
    """The bridge, and the contrastive terms."""

    steps: int = 5
    """N, steps of the bridge and passes of translation."""
    tau: float = 0.01
    """τ, variance of the bridge's noise per unit of time."""

    def faults(self) -> list[str]:
        """Values that mean nothing."""
        faults = super().faults()
        if self.steps < 1:
            faults.append(f"steps is {self.steps}, want at least 1")
        if not self.tau > 0:
            faults.append(f"tau is {self.tau:g}, want more than 0")
        return faults


@dataclass(frozen=True)
class Painting:
    """What one step draws."""

    step: int
    """Index j of the time t_j."""
    x_t: Tensor
    """The frame, carried along the bridge to t_j, without gradient."""
    y_g: Tensor
    """G(x_t)."""

    @property
    def pair(self) -> Tensor:
        """(x_t, y_g) as two channels."""
        return torch.cat([self.x_t, self.y_g], dim=1)


class Unsb(Method):
    """UNSB; its image is drawn whole, without attention."""

    title: ClassVar[str] = "UNSB (Kim et al., ICLR 2024)"
    table: ClassVar[str] = "sb"
    options_type: ClassVar[type[Options]] = SbOptions
    deployed: ClassVar[tuple[str, ...]] = ("g_y",)
    terms: ClassVar[tuple[str, ...]] = ("gan_y", "sb", "energy", "nce_x", "nce_y")
    order: ClassVar[Literal["GD", "DG"]] = "DG"
    beyond_paper: ClassVar[bool] = True

    def __init__(self, settings: TrainSettings, segmentor: UNet) -> None:
        super().__init__(settings, segmentor)
        self.sb = sb_options(settings)
        self.times = bridge_times(self.sb.steps)
        samplers: dict[str, SamplerKind] = dict.fromkeys(self.sb.layers, "random")
        self.contrast = PatchNce(samplers, self.sb.temperature, self.sb.patches)
        self._kept: Painting | None = None

    @classmethod
    def build_generators(cls, settings: TrainSettings) -> nn.ModuleDict:
        """G, the MLPs and E; raises ConfigError for layers that a G of ``net.n_blocks`` lacks."""
        net = settings.net
        return nn.ModuleDict(
            {
                "g_y": BridgeGenerator(net.ngf, net.n_blocks, sb_options(settings).steps),
                "nce_mlp": build_patch_features(settings, cls.table),
                "energy": AntialiasedPatchGAN(net.ndf, in_channels=5),  # two pairs and t
            }
        )

    @classmethod
    def build_discriminators(cls, settings: TrainSettings) -> nn.ModuleDict:
        """D_Y."""
        return nn.ModuleDict({"d_y": AntialiasedPatchGAN(settings.net.ndf, in_channels=2)})

    @classmethod
    def predict_maps(
        cls, nets: nn.ModuleDict, settings: TrainSettings, x: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """y_g after all steps of the bridge, without noise and with the fixed latents, and None."""
        steps = sb_options(settings).steps
        times, latents = bridge_times(steps), cast(BridgeGenerator, nets["g_y"]).fixed_latents
        x_t = x
        for step in range(steps):
            y_g = nets["g_y"](x_t, step, latents[step : step + 1])[0]
            x_t = x_t + bridge_share(times, step) * (y_g - x_t)
        return y_g, None

    def paint(self, batch: Batch) -> None:
        """Draw a step, carry the frames there and draw from it."""
        self._kept = self._drawn(batch.x, int(torch.randint(self.sb.steps, ())))

    def generator_losses(self, batch: Batch, weights: Mapping[str, float]) -> Losses:
        """Every term whose weight is not 0."""
        p, d = self._painting(), self.discriminators
        other = cache(lambda: self._drawn(batch.x.roll(1, 0).flip(3), p.step).pair)
        terms: dict[str, Callable[[], Tensor]] = {
            "gan_y": lambda: adversarial(d["d_y"](self._timed(p.y_g, p.step)), real=True, kind=self.gan),
            "sb": lambda: self._bridge_term(p, other()),
            "energy": lambda: self._energy_term(p.step, p.pair.detach(), other().detach()),
            "nce_x": lambda: self._nce(batch.x, p.y_g),
            "nce_y": lambda: self._nce(batch.y, self._drawn(batch.y, p.step).y_g),
        }
        return {name: term() for name, term in terms.items() if weights.get(name)}

    def discriminator_samples(self, batch: Batch) -> Samples:
        """(y, y_g) of the last `paint`, each with its map of t."""
        p = self._painting()
        return {"d_y": (self._timed(batch.y, p.step), self._timed(p.y_g.detach().float(), p.step))}

    def _painting(self) -> Painting:
        return painted(self._kept)

    def _drawn(self, x: Tensor, step: int) -> Painting:
        """Carry x to time `step` and draw the far end from there."""
        with torch.no_grad():
            x_t = x
            for k in range(step):
                share, length = bridge_share(self.times, k), self.times[k + 1] - self.times[k]
                ahead = self.generators["g_y"](x_t, k, self._latent(x))[0].float()
                noise = torch.randn_like(x) * (self.sb.tau * length * (1 - share)) ** 0.5
                x_t = x_t + share * (ahead - x_t) + noise
        # Before torch 2.13 autocast may hand the weights of a pass without a graph on to the next one.
        torch.clear_autocast_cache()
        return Painting(step, x_t, self.generators["g_y"](x_t, step, self._latent(x))[0])

    def _latent(self, x: Tensor) -> Tensor:
        width = cast(BridgeGenerator, self.generators["g_y"]).width
        return torch.randn(len(x), width, device=x.device)

    def _timed(self, images: Tensor, step: int) -> Tensor:
        """`images` with a further channel that says t."""
        return torch.cat([images, torch.full_like(images[:, :1], self.times[step])], dim=1)

    def _bridge_term(self, p: Painting, other: Tensor) -> Tensor:
        """Cost of the way minus the entropy, E held constant."""
        energy = self.generators["energy"]
        constants = {name: value.detach() for name, value in energy.named_parameters()}

        def score(pairs: Tensor) -> Tensor:
            found: Tensor = functional_call(energy, constants, (self._timed(pairs, p.step),))
            return found.float()

        own, mixed = torch.cat([p.pair, p.pair], 1), torch.cat([p.pair, other], 1)
        entropy = score(own).mean() - torch.logsumexp(score(mixed).flatten(), 0)
        cost = (p.x_t - p.y_g.float()).square().mean()
        term: Tensor = self.sb.tau * (cost - (1 - p.step / self.sb.steps) * entropy)
        return term

    def _energy_term(self, step: int, pair: Tensor, other: Tensor) -> Tensor:
        """E's own loss: tighten the bound, and keep its logsumexp near 0."""
        energy = self.generators["energy"]
        own = energy(self._timed(torch.cat([pair, pair], 1), step)).float().mean()
        mixed = energy(self._timed(torch.cat([pair, other], 1), step)).float()
        total = torch.logsumexp(mixed.flatten(), 0)
        term: Tensor = -own + total + total.square()
        return term

    def _nce(self, source: Tensor, target: Tensor) -> Tensor:
        """PatchNCE of the drawn image against its source, both seen as at step 0 and with one latent."""
        latent, g = self._latent(source), self.generators["g_y"]
        keys, queries = (
            cast(Features, g(image, 0, latent, self.sb.layers, draw=False)[1]) for image in (source, target)
        )
        return self.contrast(cast(PatchFeatures, self.generators["nce_mlp"]), keys, queries)


def bridge_times(steps: int) -> list[float]:
    """t_0 … t_N for N `steps`: 0, then from 1/2 to 1, by parts that shrink as 1, 1/2, 1/3 …"""
    sums = list(accumulate((1 / k for k in range(1, steps)), initial=0.0))
    return [0.0, *(0.5 + 0.5 * (s / sums[-1] if sums[-1] else 1.0) for s in sums)]


def bridge_share(times: list[float], step: int) -> float:
    """s = (t_j+1 - t_j) / (1 - t_j): how much of the way that is left the next step goes."""
    return (times[step + 1] - times[step]) / (1 - times[step])


def sb_options(settings: TrainSettings) -> SbOptions:
    """The method's own table; raises TypeError for settings of another method."""
    return own_options(settings, SbOptions, "[sb]")
