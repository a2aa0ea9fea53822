"""CAS-GAN for Contrast-free Angiography Synthesis (SSCI 2025; arXiv 2410.08490).

The authors published equations and terms, no code: layer counts, M's form, loss weights and schedule
are this project's reading, not theirs.

===============  =========================================================================
symbol           meaning
===============  =========================================================================
x, y             non-contrast frame, angiogram; unpaired; network values in [-1, 1]
E_BG, E_Vess     encoders of background (both domains) and vessels; z_bg, z_vess latents
M                predictor of the vessel latent from the background latent
G_BG             decoder of the background: x_g = G_BG(E_BG(y))
A_g, C_g         attention and context: y_g = x ⊙ (1 - A_g) + C_g ⊙ A_g
s, s_g           the frozen segmentor's vessel map of y and of y_g
D_X, D_Y, D_Sem  discriminators of x, y and s
===============  =========================================================================

Three switches give the rows of the paper's ablation. Without DRL there is one latent per encoder and an
identity term takes the place of the reconstruction; without VSGG a plain decoder draws the whole image;
without VSGL there is no D_Sem.

Three things are ours and neither the paper's nor our reading of it, each off unless a preset sets it:
`sparsity`, the mean of A_g (no other term minds attention where the context equals the input, so a haze
stays and A_g does not say what was drawn), and the settings `reject_input` and `sem_temperature`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from casgan_dicom.model.data.batch import Batch
from casgan_dicom.model.methods.base import Losses, Method, Samples, own_options, painted
from casgan_dicom.model.methods.losses import adversarial, soft_dice_loss, weighted_l1
from casgan_dicom.model.networks.attention import VesselDecoder, compose
from casgan_dicom.model.networks.patchgan import PatchGAN
from casgan_dicom.model.networks.predictor import Predictor, PredictorKind
from casgan_dicom.model.networks.resnet import Decoder, Encoder
from casgan_dicom.model.networks.unet import UNet
from casgan_dicom.model.settings import NetSettings, Options, TrainSettings

BACKGROUND_WEIGHT = 0.03
"""Weight of a background pixel in the paired L1 term; a vessel pixel has 1."""


@dataclass(frozen=True)
class CasOptions(Options):
    """What belongs to CAS-GAN alone: the three ablation switches and the choices the paper leaves open."""

    drl: bool = True
    """Disentanglement representation learning: E_BG, E_Vess and the predictor M."""
    vsgg: bool = True
    """Vessel semantic-guided generator: attention and context instead of a plain decoder."""
    vsgl: bool = True
    """Vessel semantic-guided loss: an adversary on the segmentor's maps."""
    pred_stopgrad: bool = False
    """Do not let the prediction loss move its target E_Vess(y)."""
    cycle_noise: float = 0.01
    """Standard deviation of the noise on x_g before it is encoded again (against steganography)."""
    sem_temperature: float = 1.0
    """The segmentor's logits are divided by this before D_Sem sees them. Above 1 the map keeps a slope where
    nothing is drawn; at 1 a generator that once stops drawing gets no gradient back."""
    reject_input: bool = False
    """D_Y and D_Sem also learn that x itself is no angiogram, so drawing nothing is never a way out."""
    predictor: PredictorKind = "conv"
    """Form of M."""
    share_vess_trunk: bool = False
    """Attention and context decoder share their residual blocks."""

    def faults(self) -> list[str]:
        """Values that mean nothing."""
        faults: list[str] = []
        if not self.cycle_noise >= 0:
            faults.append(f"cycle_noise is {self.cycle_noise:g}, want at least 0")
        if not self.sem_temperature > 0:
            faults.append(f"sem_temperature is {self.sem_temperature:g}, want more than 0")
        return faults


@dataclass(frozen=True)
class Painting:
    """An image drawn on the contrast side: y_g, and the attention where there is one."""

    image: Tensor
    attention: Tensor | None


@dataclass(frozen=True)
class Cycle:
    """Everything one generator step computes; missing branches are None."""

    y_g: Painting
    x_g: Tensor
    x_cyc: Tensor
    y_cyc: Tensor
    x_rec: Tensor
    """DRL: G_BG(z_x^BG). Otherwise the identity image of x."""
    y_rec: Tensor
    """DRL: drawn over x_g with E_Vess(y). Otherwise the identity image of y."""
    latents: tuple[tuple[Tensor, Tensor], ...] = ()
    """Pairs that the latent cycle holds equal."""
    prediction: tuple[Tensor, Tensor] | None = None
    """M(z_y^BG) and E_Vess(y)."""


class CasGan(Method):
    """CAS-GAN and its eight ablation rows."""

    title: ClassVar[str] = "CAS-GAN (Huang et al., SSCI 2025), this project's reading"
    table: ClassVar[str] = "cas"
    options_type: ClassVar[type[Options]] = CasOptions
    deployed: ClassVar[tuple[str, ...]] = ("enc_bg", "predictor", "vessel", "dec_y", "fuse")
    terms: ClassVar[tuple[str, ...]] = (
        *("pred", "gan_x", "gan_y", "gan_sem", "cyc_img", "cyc_lat", "rec", "idt", "sparsity"),
        *("pair_l1", "pair_dice", "pair_attention"),
    )

    def __init__(self, settings: TrainSettings, segmentor: UNet) -> None:
        super().__init__(settings, segmentor)
        self.cas = options(settings)
        self.segmentor = segmentor.requires_grad_(False).eval()
        self._cycle: Cycle | None = None
        self._logits: Tensor | None = None

    @classmethod
    def build_generators(cls, settings: TrainSettings) -> nn.ModuleDict:
        """The generator's side for the switches, untrained."""
        return build_generators(settings.net, options(settings))

    @classmethod
    def build_discriminators(cls, settings: TrainSettings) -> nn.ModuleDict:
        """D_X, D_Y and, with VSGL, D_Sem."""
        names = ["d_x", "d_y"] + (["d_sem"] if options(settings).vsgl else [])
        return nn.ModuleDict({name: PatchGAN(settings.net.ndf) for name in names})

    @classmethod
    def predict_maps(
        cls, nets: nn.ModuleDict, settings: TrainSettings, x: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """C_g and A_g; without VSGG the whole image y_g and None."""
        return predict_maps(nets, options(settings), x)

    def train(self, mode: bool = True) -> CasGan:
        """Switch every network but the frozen segmentor, whose batch statistics never change."""
        super().train(mode)
        self.segmentor.eval()
        return self

    def paint(self, batch: Batch) -> None:
        """Both directions, the cycles and the reconstructions (or identities)."""
        self._cycle = self._cycle_drl(batch) if self.cas.drl else self._cycle_plain(batch)
        self._logits = None

    def generator_losses(self, batch: Batch, weights: Mapping[str, float]) -> Losses:
        """Every term whose weight is not 0."""
        c = self._painted()
        y_g = c.y_g.image
        self._logits = self.segmentor(y_g) if self.cas.vsgl or weights.get("pair_dice") else None
        d = self.discriminators
        terms: dict[str, Any] = {
            "gan_y": lambda: adversarial(d["d_y"](y_g), real=True, kind=self.gan),
            "gan_x": lambda: adversarial(d["d_x"](c.x_g), real=True, kind=self.gan),
            "cyc_img": lambda: F.l1_loss(c.x_cyc, batch.x) + F.l1_loss(c.y_cyc, batch.y),
        }
        rec = "rec" if self.cas.drl else "idt"
        terms[rec] = lambda: F.l1_loss(c.x_rec, batch.x) + F.l1_loss(c.y_rec, batch.y)
        if self.cas.vsgl and self._logits is not None:
            s_g = self._semantic(self._logits)
            terms["gan_sem"] = lambda: adversarial(d["d_sem"](s_g), real=True, kind=self.gan)
        if c.prediction is not None:
            m, z_vess = c.prediction
            terms["pred"] = lambda: F.l1_loss(m, z_vess.detach() if self.cas.pred_stopgrad else z_vess)
            terms["cyc_lat"] = lambda: torch.stack([F.l1_loss(a, b) for a, b in c.latents]).sum()
        attention = c.y_g.attention
        if attention is not None:
            terms["sparsity"] = attention.mean
        terms |= self._paired_terms(batch, c)
        return {name: term() for name, term in terms.items() if weights.get(name)}

    def discriminator_samples(self, batch: Batch) -> Samples:
        """(x, x_g), (y, y_g) and (s, s_g) of the last generator step."""
        c = self._painted()
        y_g, reject = c.y_g.image, self.cas.reject_input
        samples = {
            "d_x": (batch.x, c.x_g),
            "d_y": (batch.y, torch.cat([y_g, batch.x]) if reject else y_g),
        }
        if self.cas.vsgl and self._logits is not None:
            with torch.no_grad():
                s_g = self._semantic(self._logits)
                fake = torch.cat([s_g, self._semantic(self.segmentor(batch.x))]) if reject else s_g
                samples["d_sem"] = (self._semantic(self.segmentor(batch.y)), fake)
        return {name: (real.detach(), fake.detach().float()) for name, (real, fake) in samples.items()}

    def diagnostics(self) -> Losses:
        """Mean attention, and L_Pred in units of the vessel latent's own size."""
        figures: Losses = {}
        if self._cycle is None:
            return figures
        if self._cycle.y_g.attention is not None:
            figures["mean_attention"] = self._cycle.y_g.attention.detach().mean()
        if self._cycle.prediction is not None:
            m, z_vess = (t.detach().float() for t in self._cycle.prediction)
            figures["pred_relative"] = F.l1_loss(m, z_vess) / z_vess.abs().mean().clamp_min(1e-8)
        return figures

    def _painted(self) -> Cycle:
        return painted(self._cycle)

    def _cycle_drl(self, batch: Batch) -> Cycle:
        g, x, y = self.generators, batch.x, batch.y
        z_x_bg, z_y_bg = g["enc_bg"](torch.cat([x, y])).chunk(2)  # (B, 4·ngf, H/4, W/4) each
        z_x_vess, m_y = g["predictor"](torch.cat([z_x_bg, z_y_bg])).chunk(2)
        x_g, x_rec = g["dec_bg"](torch.cat([z_y_bg, z_x_bg])).chunk(2)
        y_g = self._paint(x, z_x_bg, z_x_vess)
        z_y_vess, z_yg_vess = g["enc_vess"](torch.cat([y, y_g.image])).chunk(2)
        z_yg_bg, z_xg_bg = g["enc_bg"](torch.cat([y_g.image, self._noisy(x_g)])).chunk(2)
        over_x_g = self._paint(
            torch.cat([x_g, x_g]),
            torch.cat([z_y_bg, z_xg_bg]),
            torch.cat([z_y_vess, g["predictor"](z_xg_bg)]),
        )
        y_rec, y_cyc = over_x_g.image.chunk(2)
        return Cycle(
            y_g=y_g,
            x_g=x_g,
            x_cyc=g["dec_bg"](z_yg_bg),
            y_cyc=y_cyc,
            x_rec=x_rec,
            y_rec=y_rec,
            latents=((z_yg_bg, z_x_bg), (z_yg_vess, z_x_vess), (z_xg_bg, z_y_bg)),
            prediction=(m_y, z_y_vess),
        )

    def _cycle_plain(self, batch: Batch) -> Cycle:
        g, x, y = self.generators, batch.x, batch.y
        z_x, z_y = g["enc_bg"](torch.cat([x, y])).chunk(2)  # G_Y's encoder, on x and for identity on y
        drawn = self._paint(torch.cat([x, y]), torch.cat([z_x, z_y]), torch.cat([z_x, z_y]))
        y_g, y_idt = drawn.image.chunk(2)
        x_g, x_idt = g["dec_bg"](g["enc_y"](torch.cat([y, x]))).chunk(2)
        z_xg = g["enc_bg"](self._noisy(x_g))
        return Cycle(
            y_g=Painting(y_g, None if drawn.attention is None else drawn.attention.chunk(2)[0]),
            x_g=x_g,
            x_cyc=g["dec_bg"](g["enc_y"](y_g)),
            y_cyc=self._paint(x_g, z_xg, z_xg).image,
            x_rec=x_idt,
            y_rec=y_idt,
        )

    def _paint(self, base: Tensor, z_bg: Tensor, z_vess: Tensor) -> Painting:
        if self.cas.vsgg:
            attention, context = self.generators["vessel"](z_vess)
            return Painting(compose(base, context, attention), attention)
        z = self.generators["fuse"](torch.cat([z_bg, z_vess], dim=1)) if self.cas.drl else z_bg
        return Painting(self.generators["dec_y"](z), None)

    def _semantic(self, logits: Tensor) -> Tensor:
        """Turn the segmentor's logits into the map that D_Sem sees."""
        return torch.sigmoid(logits / self.cas.sem_temperature)

    def _noisy(self, x_g: Tensor) -> Tensor:
        return x_g + self.cas.cycle_noise * torch.randn_like(x_g)

    def _paired_terms(self, batch: Batch, c: Cycle) -> dict[str, Any]:
        twin, mask = batch.twin, batch.mask
        if twin is None or mask is None:
            return {}
        weight = mask + BACKGROUND_WEIGHT * (1 - mask)
        terms: dict[str, Any] = {"pair_l1": lambda: weighted_l1(c.y_g.image, twin, weight)}
        if self._logits is not None:
            s_g = torch.sigmoid(self._logits)
            terms["pair_dice"] = lambda: soft_dice_loss(s_g, mask)
        if c.y_g.attention is not None:
            attention = c.y_g.attention
            terms["pair_attention"] = lambda: soft_dice_loss(attention, mask)
        return terms


def options(settings: TrainSettings) -> CasOptions:
    """The method's own table; raises TypeError for settings of another method."""
    return own_options(settings, CasOptions, "[cas]")


def build_generators(net: NetSettings, cas: CasOptions) -> nn.ModuleDict:
    """The generator's side for the given switches, untrained."""
    ngf, n_blocks, upsampling = net.ngf, net.n_blocks, net.upsampling
    nets: dict[str, nn.Module] = {
        "enc_bg": Encoder(ngf, n_blocks),
        "dec_bg": Decoder(ngf, n_blocks, upsampling=upsampling),
    }
    if cas.drl:
        nets["enc_vess"] = Encoder(ngf, n_blocks)
        nets["predictor"] = Predictor(4 * ngf, cas.predictor)
    else:
        nets["enc_y"] = Encoder(ngf, n_blocks)
    if cas.vsgg:
        nets["vessel"] = VesselDecoder(ngf, n_blocks, upsampling=upsampling, share_trunk=cas.share_vess_trunk)
    else:
        nets["dec_y"] = Decoder(ngf, n_blocks, upsampling=upsampling)
        if cas.drl:
            nets["fuse"] = nn.Conv2d(8 * ngf, 4 * ngf, 1)
    return nn.ModuleDict(nets)


def predict_maps(nets: nn.ModuleDict, cas: CasOptions, x: Tensor) -> tuple[Tensor, Tensor | None]:
    """What inference needs of the deployed networks for x (B, 1, H, W).

    Returns
    -------
    drawn
        The context C_g; without VSGG the whole image y_g.
    attention
        A_g; None without VSGG.
    """
    z_bg = nets["enc_bg"](x)
    z_vess = nets["predictor"](z_bg) if cas.drl else z_bg
    if cas.vsgg:
        attention, context = nets["vessel"](z_vess)
        return context, attention
    z = nets["fuse"](torch.cat([z_bg, z_vess], dim=1)) if cas.drl else z_bg
    return nets["dec_y"](z), None
