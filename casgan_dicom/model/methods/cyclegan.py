"""CycleGAN (Zhu et al., ICCV 2017).

===============  =========================================================================
symbol           meaning
===============  =========================================================================
x, y             non-contrast frame, angiogram; unpaired; network values in [-1, 1]
G_Y, G_X         generators of angiograms and of non-contrast frames, ResNet-9
y_g, x_g         G_Y(x), G_X(y)
D_X, D_Y         PatchGANs
===============  =========================================================================

    cyc_x = mean abs(G_X(y_g) - x)      idt_x = mean abs(G_X(x) - x)      gan_x: D_X takes x_g for real

and the same with x and y exchanged. Layers, weights and schedule are those of the authors' code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from casgan_dicom.model.data.batch import Batch
from casgan_dicom.model.methods.base import Losses, Method, Samples, painted
from casgan_dicom.model.methods.losses import adversarial
from casgan_dicom.model.networks.patchgan import PatchGAN
from casgan_dicom.model.networks.resnet_generator import ResnetGenerator
from casgan_dicom.model.networks.unet import UNet
from casgan_dicom.model.settings import TrainSettings

CYCLE_TERMS = ("gan_x", "gan_y", "cyc_x", "cyc_y", "idt_x", "idt_y")
"""CycleGAN's terms; the methods that build on it have them too."""


class CycleGan(Method):
    """CycleGAN."""

    title: ClassVar[str] = "CycleGAN (Zhu et al., ICCV 2017)"
    deployed: ClassVar[tuple[str, ...]] = ("g_y",)
    terms: ClassVar[tuple[str, ...]] = CYCLE_TERMS

    def __init__(self, settings: TrainSettings, segmentor: UNet) -> None:
        super().__init__(settings, segmentor)
        self._fakes: tuple[Tensor, Tensor] | None = None

    @classmethod
    def build_generators(cls, settings: TrainSettings) -> nn.ModuleDict:
        """G_Y and G_X, untrained."""
        net = settings.net
        return nn.ModuleDict(
            {
                name: ResnetGenerator(net.ngf, net.n_blocks, upsampling=net.upsampling)
                for name in ("g_y", "g_x")
            }
        )

    @classmethod
    def build_discriminators(cls, settings: TrainSettings) -> nn.ModuleDict:
        """D_X and D_Y, untrained."""
        return build_discriminators(settings)

    @classmethod
    def predict_maps(
        cls,
        nets: nn.ModuleDict,
        settings: TrainSettings,  # noqa: ARG003 - part of the interface
        x: Tensor,
    ) -> tuple[Tensor, Tensor | None]:
        """Draw the whole image y_g; there is no attention."""
        return nets["g_y"](x), None

    def draw(self, name: str, image: Tensor) -> Tensor:
        """Translate `image` by the generator of that name."""
        drawn: Tensor = self.generators[name](image)
        return drawn

    def paint(self, batch: Batch) -> None:
        """x_g and y_g."""
        self._fakes = self.draw("g_x", batch.y), self.draw("g_y", batch.x)

    def generator_losses(self, batch: Batch, weights: Mapping[str, float]) -> Losses:
        """Every term whose weight is not 0; cycles and identities are drawn for their terms only."""
        (x_g, y_g), x, y, d = self._painted(), batch.x, batch.y, self.discriminators
        terms: dict[str, Callable[[], Tensor]] = {
            "gan_x": lambda: adversarial(d["d_x"](x_g), real=True, kind=self.gan),
            "gan_y": lambda: adversarial(d["d_y"](y_g), real=True, kind=self.gan),
            "cyc_x": lambda: F.l1_loss(self.draw("g_x", y_g), x),
            "cyc_y": lambda: F.l1_loss(self.draw("g_y", x_g), y),
            "idt_x": lambda: F.l1_loss(self.draw("g_x", x), x),
            "idt_y": lambda: F.l1_loss(self.draw("g_y", y), y),
        }
        return {name: term() for name, term in terms.items() if weights.get(name)}

    def discriminator_samples(self, batch: Batch) -> Samples:
        """(x, x_g) and (y, y_g)."""
        x_g, y_g = (fake.detach().float() for fake in self._painted())
        return {"d_x": (batch.x, x_g), "d_y": (batch.y, y_g)}

    def _painted(self) -> tuple[Tensor, Tensor]:
        return painted(self._fakes)


def build_discriminators(settings: TrainSettings) -> nn.ModuleDict:
    """One PatchGAN for each domain, "d_x" and "d_y", untrained."""
    return nn.ModuleDict({name: PatchGAN(settings.net.ndf) for name in ("d_x", "d_y")})
