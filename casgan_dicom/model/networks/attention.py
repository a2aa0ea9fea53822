"""Vessel semantic-guided generation: draw the context where the attention says so."""

from __future__ import annotations

from torch import Tensor, nn

from casgan_dicom.model.networks.choices import Upsampling
from casgan_dicom.model.networks.resnet import Decoder, residual_trunk


def compose(x: Tensor, context: Tensor, attention: Tensor) -> Tensor:
    """Draw the context over the input where attention says so: y_g = x ⊙ (1 - A_g) + C_g ⊙ A_g.

    All (B, 1, H, W); x and context in [-1, 1], attention in [0, 1] (0 keeps x exactly).
    Raises ValueError if shapes differ: broadcasting here has always been a bug.
    """
    if not x.shape == context.shape == attention.shape:
        raise ValueError(
            f"compose needs three equal shapes, got x {tuple(x.shape)}, "
            f"context {tuple(context.shape)}, attention {tuple(attention.shape)}"
        )
    return x * (1 - attention) + context * attention


class VesselDecoder(nn.Module):
    """G_Vess^Attn and G_Vess^Ctx: a latent to (attention, context), both (B, 1, H, W).

    With `share_trunk` both decoders start from the same residual blocks, as AttentionGAN's do.
    """

    def __init__(
        self,
        ngf: int = 64,
        n_blocks: int = 4,
        *,
        upsampling: Upsampling = "transpose",
        share_trunk: bool = False,
    ) -> None:
        super().__init__()
        own_blocks = 0 if share_trunk else n_blocks
        self.trunk = residual_trunk(4 * ngf, n_blocks if share_trunk else 0)
        self.attention = Decoder(ngf, own_blocks, activation="sigmoid", upsampling=upsampling)
        self.context = Decoder(ngf, own_blocks, upsampling=upsampling)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return attention in [0, 1] and context in [-1, 1]."""
        shared = self.trunk(z)
        return self.attention(shared), self.context(shared)
