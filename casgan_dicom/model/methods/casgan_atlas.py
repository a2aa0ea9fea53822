"""CAS-GAN guided by the atlas: the paper's generator, told by anatomy what it draws. Ours, simulator only.

A frame without contrast hardly holds where a coronary runs, so M cannot infer the vessels from the background
alone. The atlas gives structure and motion: T, the optical depth of a tree that is planned over the whole run
(atlas.py). The generator decides frame by frame where and how dark, in this run's own look.

===============  =========================================================================
symbol           meaning
===============  =========================================================================
x, T             frame without contrast in network values, guide: optical depth of the tree
E_BG, E_T        encoders of x, and of x and T beside each other
M                predictor: z_vess = M(E_BG(x) + E_T(x, T))
G_Attn           how far the tree is moved onto what is seen of the vessels: d = G_Attn(z_vess)
G_Ctx            how dark it is here: g = G_Ctx(z_vess, levels of the run)
T'               T(p + d) · exp(g)
A, C             attention 1 - exp(-T'); context 0, a dye that lets no light through
y_g              x ⊙ (1 - A) + C ⊙ A in display values, with the grain of fewer quanta
D_Y, D_Sem       discriminators of angiograms, and of the frozen segmentor's maps of them
===============  =========================================================================

T is the prior of the attention: d and g are bounded and begin at 0, so training starts at the plain atlas
drawing, A is 0 away from the tree, and the background is kept by construction. The paper's cycles and E_Vess
have no part: simulated pairs tell the vessels outright. The networks of the atlas, "tip" and "pose", are
those of the bundle that ``net.start`` names, and do not learn.

=========  =====================================================================
term       what it asks
=========  =====================================================================
l1         the contrast twin, mostly on vessels
depth      the twin's darkening inside the vessels
where      the guide moved back to where its vessels lie; one of another patient left alone
dice       the vessels, through the segmentor, in a window of ``data.crop``
gan_y      D_Y
gan_sem    D_Sem, in the same window
=========  =====================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import EllipsisType
from typing import ClassVar

import torch
from torch import Tensor, nn

from casgan_dicom.model.atlas.library import Library, grow_library
from casgan_dicom.model.atlas.planner import make_plan
from casgan_dicom.model.atlas.render import usual_depths
from casgan_dicom.model.data.batch import Batch
from casgan_dicom.model.drawing import GRAIN_MOST, GRAIN_PX, Drawer
from casgan_dicom.model.methods.atlas import Atlas, AtlasOptions, torch_reader
from casgan_dicom.model.methods.atlas_drawer import AtlasDrawer
from casgan_dicom.model.methods.atlas_reader import read_run
from casgan_dicom.model.methods.base import Arrays, Losses, Method, Samples, own_options, painted
from casgan_dicom.model.methods.correction import Corrected, correct, over
from casgan_dicom.model.methods.guided_losses import depth_term, l1_term, where_term
from casgan_dicom.model.methods.losses import adversarial, soft_dice_loss
from casgan_dicom.model.methods.plain_atlas import LIBRARY_NAME
from casgan_dicom.model.methods.segment_then_paint import truth as pair_of
from casgan_dicom.model.networks.guided import GuidedDecoder, GuideEncoder, dyed
from casgan_dicom.model.networks.patchgan import PatchGAN
from casgan_dicom.model.networks.predictor import Predictor
from casgan_dicom.model.networks.reading import PoseNet, TipNet
from casgan_dicom.model.networks.resnet import Encoder
from casgan_dicom.model.networks.unet import UNet
from casgan_dicom.model.settings import Options, TrainSettings

FROZEN = ("tip", "pose")
"""Networks of the atlas."""
_UNTOLD = (0.3, 0.7)
"""Levels of a frame of which only network values are known."""


Window = tuple[EllipsisType | slice, ...]
"""Rows and columns of a batch that the segmentor looks at."""


@dataclass(frozen=True)
class GuidedOptions(AtlasOptions):
    """Its own table of settings: width and trees as in the bundle that the atlas comes from."""

    backgrounds: int = 300
    patients: int = 3
    sem_temperature: float = 2.0
    """The segmentor's logits are divided by this before D_Sem sees them, see casgan.py."""

    def faults(self) -> list[str]:
        """Values that mean nothing."""
        faults = super().faults()
        if not self.sem_temperature > 0:
            faults.append(f"sem_temperature is {self.sem_temperature:g}, want more than 0")
        return faults


@dataclass(frozen=True)
class Painting:
    """What one step draws."""

    tree: Corrected
    """The guides, corrected."""
    image: Tensor
    """y_g, network values."""


class CasGanAtlas(Method):
    """CAS-GAN's generator over a tree of the atlas."""

    title: ClassVar[str] = "CAS-GAN guided by the atlas (ours, beyond the paper; simulator only)"
    table: ClassVar[str] = "guided"
    options_type: ClassVar[type[Options]] = GuidedOptions
    deployed: ClassVar[tuple[str, ...]] = (*FROZEN, "enc_bg", "enc_guide", "predictor", "vessel")
    terms: ClassVar[tuple[str, ...]] = ("l1", "depth", "where", "dice", "gan_y", "gan_sem")
    beyond_paper: ClassVar[bool] = True
    guided: ClassVar[bool] = True
    extra_files: ClassVar[tuple[str, ...]] = (LIBRARY_NAME,)

    def __init__(self, settings: TrainSettings, segmentor: UNet) -> None:
        super().__init__(settings, segmentor)
        self.own = _own(settings)
        self.segmentor = segmentor.requires_grad_(False).eval()
        for name in FROZEN:
            self.generators[name].requires_grad_(False)
        self._kept: Painting | None = None
        self._logits: Tensor | None = None
        self._window: Window = ()

    @classmethod
    def build_generators(cls, settings: TrainSettings) -> nn.ModuleDict:
        """The atlas' two networks, and the generator's four."""
        width, net = _own(settings).width, settings.net
        return nn.ModuleDict(
            {
                "tip": TipNet(width),
                "pose": PoseNet(width),
                "enc_bg": Encoder(net.ngf, net.n_blocks),
                "enc_guide": GuideEncoder(net.ngf),
                "predictor": Predictor(4 * net.ngf),
                "vessel": GuidedDecoder(net.ngf, net.n_blocks),
            }
        )

    @classmethod
    def build_discriminators(cls, settings: TrainSettings) -> nn.ModuleDict:
        """D_Y and D_Sem, each where its term has a weight."""
        names = {"d_y": "gan_y", "d_sem": "gan_sem"}
        wanted = [name for name, term in names.items() if settings.weights.get(term)]
        return nn.ModuleDict({name: PatchGAN(settings.net.ndf) for name in wanted})

    @classmethod
    def predict_maps(
        cls, nets: nn.ModuleDict, settings: TrainSettings, x: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """What is drawn without a tree: the guide is the smear that the networks of the atlas expect."""
        context, smear = Atlas.predict_maps(nets, settings, x)
        assert smear is not None
        depth = -torch.log1p(-smear)
        levels = x.new_tensor([_UNTOLD]).expand(len(x), 2)
        return context, over(nets, x, depth, levels).attention

    @classmethod
    def drawer(
        cls, nets: nn.ModuleDict, settings: TrainSettings, extra: Mapping[str, Arrays], device: str
    ) -> Drawer:
        """Draws as the atlas does, each depth corrected; what reads the pose stays on the processor."""
        own = nn.ModuleDict({name: net for name, net in nets.items() if name not in FROZEN}).to(device)
        return AtlasDrawer(
            read_cues=partial(read_run, torch_reader(nets)),
            make_plan=make_plan,
            optical_depths=usual_depths,
            library=Library.from_arrays(extra[LIBRARY_NAME]),
            name="torch-fp32",
            device=device,
            correct=partial(correct, own, settings.normalisation),
        )

    @classmethod
    def networks_text(cls, settings: TrainSettings) -> str:
        """Size of the generator, width of the atlas' networks, and what trees there are to choose from."""
        own = _own(settings)
        return (
            f"{super().networks_text(settings)}; of the atlas two of width {own.width}, and a library of"
            f" {2 * own.trees} trees"
        )

    def extra_arrays(self) -> Mapping[str, Arrays]:
        """The library that trees are chosen from."""
        return {LIBRARY_NAME: grow_library(self.own.library_seed, self.own.trees).arrays()}

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the first weights as ``net.init`` says; the last layers are 0: the plain atlas drawing."""
        super().initialise(generator)
        self.generators["vessel"].clear()  # type: ignore[operator]

    def train(self, mode: bool = True) -> CasGanAtlas:
        """Switch every network but the frozen segmentor, whose batch statistics never change."""
        super().train(mode)
        self.segmentor.eval()
        return self

    def paint(self, batch: Batch) -> None:
        """Correct the guides, and let them absorb."""
        truth = batch.truth
        tree = over(self.generators, batch.x, truth["guide"], truth["levels"])
        image = dyed(truth["shown"], tree.depth, GRAIN_PX, GRAIN_MOST)
        self._kept = Painting(tree, self._seen(image, truth["levels"]))
        self._logits = None

    def shown(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """y_g and the attention, over the batch's own guides."""
        self.paint(batch)
        made = painted(self._kept)
        return made.image, made.tree.attention

    def generator_losses(self, batch: Batch, weights: Mapping[str, float]) -> Losses:
        """Every term whose weight is not 0."""
        made, d = painted(self._kept), self.discriminators
        if weights.get("dice") or weights.get("gan_sem"):
            self._window = _drawn_window(made.image, self.settings.data.crop)
            self._logits = self.segmentor(made.image[self._window])
        terms: dict[str, Callable[[], Tensor]] = {
            "l1": lambda: l1_term(made.image, batch),
            "depth": lambda: depth_term(made.tree.depth, batch),
            "where": lambda: where_term(made.tree.off, batch),
            "dice": lambda: self._dice(batch),
            "gan_y": lambda: adversarial(d["d_y"](made.image), real=True, kind=self.gan),
            "gan_sem": lambda: adversarial(d["d_sem"](self._semantic()), real=True, kind=self.gan),
        }
        return {name: term() for name, term in terms.items() if weights.get(name)}

    def discriminator_samples(self, batch: Batch) -> Samples:
        """(y, y_g) and (s, s_g) of the last generator step, for the discriminators that there are."""
        samples: Samples = {}
        if "d_y" in self.discriminators:
            samples["d_y"] = (batch.y, painted(self._kept).image.detach())
        if "d_sem" in self.discriminators and self._logits is not None:
            with torch.no_grad():
                s = torch.sigmoid(self.segmentor(batch.y[self._window]) / self.own.sem_temperature)
            samples["d_sem"] = (s, self._semantic().detach().float())
        return samples

    def diagnostics(self) -> Losses:
        """Mean attention, mean distance in pixels that guides are moved, and mean of g."""
        if self._kept is None:
            return {}
        tree = self._kept.tree
        return {
            "mean_attention": tree.attention.detach().mean(),
            "moved_px": tree.off.detach().norm(dim=1).mean(),
            "gain": tree.gain.detach().mean(),
        }

    def _seen(self, shown: Tensor, levels: Tensor) -> Tensor:
        """Network values of display values."""
        low, high = levels[:, :, None, None].chunk(2, dim=1)
        to = self.settings.normalisation
        return (to.low + (shown - low) * ((to.high - to.low) / (high - low))).clamp(-1, 1)

    def _semantic(self) -> Tensor:
        """What D_Sem sees of y_g."""
        return torch.sigmoid(painted(self._logits) / self.own.sem_temperature)

    def _dice(self, batch: Batch) -> Tensor:
        """Dice of those that were given their own tree."""
        _, mask = pair_of(batch)
        own = batch.truth["own"][:, 0] > 0
        s_g = torch.sigmoid(painted(self._logits).float())
        return soft_dice_loss(s_g[own], mask[self._window][own]) if bool(own.any()) else 0 * s_g.sum()


def _own(settings: TrainSettings) -> GuidedOptions:
    return own_options(settings, GuidedOptions, "[guided]")


def _drawn_window(images: Tensor, side: int) -> Window:
    """Any `side` rows and columns of images (B, 1, H, W): the segmentor would take most of a step for all."""
    corner = [int(torch.randint(max(0, have - side) + 1, ())) for have in images.shape[2:]]
    return (..., *(slice(first, first + side) for first in corner))
