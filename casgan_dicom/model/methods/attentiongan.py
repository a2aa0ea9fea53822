"""AttentionGAN, the second scheme (Tang et al., TNNLS 2021).

CycleGAN whose generators draw nine contents C_i and ten attention maps A_i that sum to 1 everywhere, the
tenth of them for the input:

    y_g = Σ_{i ≤ 9} A_i ⊙ C_i + A_10 ⊙ x = x ⊙ (1 - A) + C ⊙ A      A = 1 - A_10, C = Σ_{i ≤ 9} A_i ⊙ C_i / A

The right side is what is computed (see `AttentionGenerator`), so that inference can keep the background of a
full-size input. Losses and discriminators are CycleGAN's; symbols as in cyclegan.py.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from casgan_dicom.model.data.batch import Batch
from casgan_dicom.model.methods.base import Losses
from casgan_dicom.model.methods.cyclegan import CycleGan
from casgan_dicom.model.networks.attention import compose
from casgan_dicom.model.networks.attention_generator import AttentionGenerator
from casgan_dicom.model.networks.unet import UNet
from casgan_dicom.model.settings import TrainSettings


class AttentionGan(CycleGan):
    """AttentionGAN."""

    title: ClassVar[str] = "AttentionGAN, second scheme (Tang et al., TNNLS 2021)"

    def __init__(self, settings: TrainSettings, segmentor: UNet) -> None:
        super().__init__(settings, segmentor)
        self._attention: Tensor | None = None

    @classmethod
    def build_generators(cls, settings: TrainSettings) -> nn.ModuleDict:
        """G_Y and G_X, untrained."""
        net = settings.net
        return nn.ModuleDict(
            {
                name: AttentionGenerator(net.ngf, net.n_blocks, upsampling=net.upsampling)
                for name in ("g_y", "g_x")
            }
        )

    @classmethod
    def predict_maps(
        cls,
        nets: nn.ModuleDict,
        settings: TrainSettings,  # noqa: ARG003 - part of the interface
        x: Tensor,
    ) -> tuple[Tensor, Tensor | None]:
        """C and A."""
        context, attention = nets["g_y"](x)
        return context, attention

    def draw(self, name: str, image: Tensor) -> Tensor:
        """Translate `image` by the generator of that name: contents and input, by their attention."""
        context, attention = self.generators[name](image)
        return compose(image, context, attention)

    def paint(self, batch: Batch) -> None:
        """x_g and y_g, and the attention of y_g."""
        context, attention = self.generators["g_y"](batch.x)
        self._fakes = self.draw("g_x", batch.y), compose(batch.x, context, attention)
        self._attention = attention.detach()

    def diagnostics(self) -> Losses:
        """Mean of A: the share of y_g that was drawn."""
        return {} if self._attention is None else {"mean_attention": self._attention.float().mean()}
