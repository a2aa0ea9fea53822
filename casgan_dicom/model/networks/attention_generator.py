"""AttentionGAN's second generator (Tang et al., TNNLS 2021): many contents, and who wins where."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from casgan_dicom.model.networks.choices import Upsampling
from casgan_dicom.model.networks.resnet import downsampling_stem, residual_trunk, upsampling_head

CONTENTS = 9
"""Contents that are drawn; one attention map more is for the input itself."""


class AttentionGenerator(nn.Module):
    """A ResNet-9 with two heads: nine contents C_i (tanh) and ten attention maps A_i (softmax over the ten).

    The paper writes the image as Σ_{i ≤ 9} A_i ⊙ C_i + A_10 ⊙ x. With

        A = Σ_{i ≤ 9} A_i = 1 - A_10        C = Σ_{i ≤ 9} A_i ⊙ C_i / A

    that is x ⊙ (1 - A) + C ⊙ A: the form in which a full-size input keeps its background. A_i / A is a
    softmax over the first nine alone, so nothing is divided, C is a mean of the C_i and stays in [-1, 1], and
    a place where A vanishes needs no guard.
    """

    def __init__(
        self,
        ngf: int = 64,
        n_blocks: int = 9,
        in_channels: int = 1,
        out_channels: int = 1,
        *,
        upsampling: Upsampling = "transpose",
    ) -> None:
        super().__init__()
        self.stem = downsampling_stem(ngf, in_channels)
        self.trunk = residual_trunk(4 * ngf, n_blocks)
        self.content = upsampling_head(ngf, CONTENTS * out_channels, upsampling)
        self.attention = upsampling_head(ngf, CONTENTS + 1, upsampling, kernel_size=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return C (B, out_channels, H, W) in [-1, 1] and A (B, 1, H, W) in [0, 1]; sides multiples of 4."""
        h = self.trunk(self.stem(x))
        parts = torch.tanh(self.content(h)).chunk(CONTENTS, dim=1)
        contents = torch.stack(parts, dim=1)  # (B, 9, out_channels, H, W)
        logits = self.attention(h)  # (B, 10, H, W)
        shares = torch.softmax(logits[:, :CONTENTS], dim=1).unsqueeze(2)  # A_i / A
        attention = torch.softmax(logits, dim=1)[:, :CONTENTS].sum(1, keepdim=True)
        return (shares * contents).sum(1), attention.clamp(max=1)
