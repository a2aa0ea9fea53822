"""Encoder and decoder of four residual blocks each: CycleGAN's layers in UNIT's 4 + 4 split.

c7s1-64 means a 7×7 convolution, stride 1, 64 filters (Zhu et al. 2017, appendix 7.2). Every
convolution has a bias, every norm is an InstanceNorm without affine parameters or running statistics,
so a sample's result never depends on the batch it travels in.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from casgan_dicom.model.networks.choices import Upsampling

Activation = Literal["tanh", "sigmoid"]


class ReflectConv2d(nn.Module):
    """A same-size convolution, stride 1, that mirrors the image at its border.

    The padding runs outside autocast: inside, it would be cast to float32 and back, which took almost
    half of a bf16 training step on the CPU.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size)
        self.padding = [kernel_size // 2] * 4

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in_channels, H, W) to (B, out_channels, H, W)."""
        with torch.autocast(x.device.type, enabled=False):
            padded = nn.functional.pad(x, self.padding, mode="reflect")
        y: Tensor = self.conv(padded)
        return y


class ResnetBlock(nn.Module):
    """Two reflect-padded 3×3 convolutions with InstanceNorm, added to their input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            ReflectConv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels),
            nn.ReLU(inplace=True),
            ReflectConv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        y: Tensor = x + self.body(x)
        return y


def residual_trunk(channels: int, n_blocks: int) -> nn.Sequential:
    """Return `n_blocks` residual blocks in a row."""
    return nn.Sequential(*(ResnetBlock(channels) for _ in range(n_blocks)))


def downsampling_stem(ngf: int, in_channels: int) -> nn.Sequential:
    """c7s1-64, c3s2-128, c3s2-256: (B, in_channels, H, W) → (B, 4·ngf, H/4, W/4)."""
    return nn.Sequential(
        ReflectConv2d(in_channels, ngf, 7),
        nn.InstanceNorm2d(ngf),
        nn.ReLU(inplace=True),
        nn.Conv2d(ngf, 2 * ngf, 3, stride=2, padding=1),
        nn.InstanceNorm2d(2 * ngf),
        nn.ReLU(inplace=True),
        nn.Conv2d(2 * ngf, 4 * ngf, 3, stride=2, padding=1),
        nn.InstanceNorm2d(4 * ngf),
        nn.ReLU(inplace=True),
    )


class Encoder(nn.Module):
    """Image to latent, (B, in_channels, H, W) → (B, 4·ngf, H/4, W/4)."""

    def __init__(self, ngf: int = 64, n_blocks: int = 4, in_channels: int = 1) -> None:
        super().__init__()
        self.stem = downsampling_stem(ngf, in_channels)
        self.trunk = residual_trunk(4 * ngf, n_blocks)

    def forward(self, image: Tensor) -> Tensor:
        """Encode `image`, values in [-1, 1]; H and W are multiples of 4."""
        z: Tensor = self.trunk(self.stem(image))
        return z


class Decoder(nn.Module):
    """Latent to image, (B, 4·ngf, H/4, W/4) → (B, 1, H, W) in [-1, 1] (tanh) or [0, 1] (sigmoid).

    `upsampling` "transpose" is CycleGAN's; "resize" (nearest neighbour, then a convolution) has as many
    parameters and draws no checkerboard in short training runs.
    """

    def __init__(
        self,
        ngf: int = 64,
        n_blocks: int = 4,
        *,
        activation: Activation = "tanh",
        upsampling: Upsampling = "transpose",
    ) -> None:
        super().__init__()
        self.trunk = residual_trunk(4 * ngf, n_blocks)
        self.head = upsampling_head(ngf, 1, upsampling)
        self.activation = activation

    def forward(self, z: Tensor) -> Tensor:
        """Decode `z`."""
        image: Tensor = self.head(self.trunk(z))
        return torch.sigmoid(image) if self.activation == "sigmoid" else torch.tanh(image)


def upsampling_head(
    ngf: int, out_channels: int, upsampling: Upsampling, kernel_size: int = 7
) -> nn.Sequential:
    """Features (B, 4·ngf, H/4, W/4) to unbounded values (B, out_channels, H, W).

    Twice the size two times, then one same-size convolution of `kernel_size`.
    """
    return nn.Sequential(
        *_double(4 * ngf, 2 * ngf, upsampling),
        *_double(2 * ngf, ngf, upsampling),
        ReflectConv2d(ngf, out_channels, kernel_size),
    )


def _double(in_channels: int, out_channels: int, upsampling: Upsampling) -> list[nn.Module]:
    """Twice the height and width, then InstanceNorm and ReLU."""
    if upsampling == "transpose":
        up: list[nn.Module] = [
            nn.ConvTranspose2d(in_channels, out_channels, 3, stride=2, padding=1, output_padding=1)
        ]
    else:
        up = [
            nn.Upsample(scale_factor=2, mode="nearest"),
            ReflectConv2d(in_channels, out_channels, 3),
        ]
    return [*up, nn.InstanceNorm2d(out_channels), nn.ReLU(inplace=True)]
