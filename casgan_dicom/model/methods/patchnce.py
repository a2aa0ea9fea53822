"""PatchNCE: what is drawn at a place should look like what was there (Park et al., ECCV 2020).

A query is a patch's feature in the drawn image, its key the feature of the same patch in the source, and the
other patches of that source are what it must not be taken for:

    L = - mean over layers, patches s of log[ exp(q_s · k_s / τ) / Σ_t exp(q_s · k_t / τ) ]

Keys are constants. Which patches, the sampler says:

=================  ===================================================================================
random             N places drawn from torch's global generator, the same for all images of a batch
qs-global          QS-Attn (Hu et al., CVPR 2022): N rows of the source's self-attention with the lowest
                   entropy; a patch is the row's mean of all features, of the source and of the target
qs-local           the same within a window of 7 × 7 around each place
qs-local-global    places chosen by the local entropy, features routed by the global rows
=================  ===================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from casgan_dicom.model.networks.antialias import Features
from casgan_dicom.model.networks.patch_features import PatchFeatures

SamplerKind = Literal["random", "qs-global", "qs-local", "qs-local-global"]
Selection = Callable[[Tensor], Tensor]
"""Features (B, C, H, W) → patches (B, N, C)."""
Sampler = Callable[[Tensor, int], Selection]
"""(features of the source (B, C, H, W), N) → the selection, of N patches or of all if there are fewer."""

WINDOW = 7
"""Rows and columns of the window of local attention."""


@dataclass(frozen=True)
class Places:
    """Features at some places."""

    index: Tensor
    """Row-major places (N,), integers."""

    def __call__(self, features: Tensor) -> Tensor:
        """(B, C, H, W) → (B, N, C)."""
        return features.flatten(2)[:, :, self.index].transpose(1, 2)


@dataclass(frozen=True)
class Routes:
    """Weighted means of all features of an image."""

    attention: Tensor
    """A_qs, (B, N, H·W), float32."""

    def __call__(self, features: Tensor) -> Tensor:
        """(B, C, H, W) → (B, N, C), float32."""
        with torch.autocast(features.device.type, enabled=False):
            return self.attention @ features.float().flatten(2).transpose(1, 2)


def random_places(key: Tensor, patches: int) -> Selection:
    """Draw places without repetition."""
    return Places(torch.randperm(key.shape[2] * key.shape[3])[:patches].to(key.device))


def global_rows(key: Tensor, patches: int) -> Selection:
    """Rows of softmax(F Fᵀ) with the lowest entropy; memory grows with (H·W)²."""
    logs = _global_logs(key)
    return Routes(_rows(logs.exp(), lowest(_entropy(logs), patches)))


def local_rows(key: Tensor, patches: int) -> Selection:
    """Rows of the attention within a window, zeros beyond the border as the official code pads."""
    logs = _local_logs(key)
    chosen = lowest(_entropy(logs), patches)
    return Routes(_spread(_rows(logs.exp(), chosen), chosen, key.shape[2], key.shape[3]))


def local_global_rows(key: Tensor, patches: int) -> Selection:
    """Rows of the global attention at the places whose local attention has the lowest entropy."""
    chosen = lowest(_entropy(_local_logs(key)), patches)
    return Routes(_rows(_global_logs(key).exp(), chosen))


SAMPLERS: Mapping[SamplerKind, Sampler] = {
    "random": random_places,
    "qs-global": global_rows,
    "qs-local": local_rows,
    "qs-local-global": local_global_rows,
}
"""Every sampler by its name."""


def lowest(entropy: Tensor, patches: int) -> Tensor:
    """Places (B, N) of the N lowest of `entropy` (B, L), lowest first."""
    return entropy.topk(min(patches, entropy.shape[1]), largest=False).indices


def patch_loss(query: Tensor, key: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of finding each query's own key among its image's keys; a scalar.

    Parameters
    ----------
    query, key
        (B, N, C), each vector of length 1; no gradient reaches `key`.
    temperature
        τ, above 0.

    Notes
    -----
    Here the positive stands on the diagonal among the negatives. The official code gives it a column of its
    own and fills the diagonal with -10: at most exp(-9 / τ) of the sum, below float32 at τ = 0.07.
    """
    with torch.autocast(query.device.type, enabled=False):
        logits = query.float() @ key.detach().float().transpose(1, 2) / temperature  # (B, N, N)
        own = torch.arange(logits.shape[1], device=logits.device).repeat(len(logits))
        return F.cross_entropy(logits.flatten(0, 1), own)


@dataclass(frozen=True)
class PatchNce:
    """The loss over some layers."""

    samplers: Mapping[str, SamplerKind]
    """Layer → how its patches are chosen."""
    temperature: float = 0.07
    """τ."""
    patches: int = 256
    """N, patches of each layer and image."""

    def __call__(self, mlp: PatchFeatures, keys: Features, queries: Features) -> Tensor:
        """Mean over the layers; gradients reach `mlp` and `queries`, not `keys`."""
        losses: list[Tensor] = []
        for name, kind in self.samplers.items():
            key = keys[name].detach()
            select = SAMPLERS[kind](key, self.patches)
            losses.append(
                patch_loss(mlp(name, select(queries[name])), mlp(name, select(key)), self.temperature)
            )
        return torch.stack(losses).mean()


def unknown_layers(layers: Sequence[str], widths: Mapping[str, int]) -> list[str]:
    """Return those of `layers` that a generator with these taps lacks."""
    return [name for name in layers if name not in widths]


@torch.no_grad()
def _global_logs(key: Tensor) -> Tensor:
    """Logarithm of the attention of every place on every place, (B, L, L), float32."""
    with torch.autocast(key.device.type, enabled=False):
        flat = key.float().flatten(2)
        return F.log_softmax(flat.transpose(1, 2) @ flat, dim=2)


@torch.no_grad()
def _local_logs(key: Tensor) -> Tensor:
    """Logarithm of the attention of every place on its window, (B, L, WINDOW²), float32."""
    height, width = key.shape[2:]
    query = key.float()
    padded = F.pad(query, [WINDOW // 2] * 4)
    # One shift after the other: all windows of all channels at once are 49 times the features.
    dots = [
        (query * padded[:, :, i : i + height, j : j + width]).sum(1).flatten(1)
        for i in range(WINDOW)
        for j in range(WINDOW)
    ]
    return F.log_softmax(torch.stack(dots, dim=2), dim=2)


def _entropy(logs: Tensor) -> Tensor:
    """Entropy of the last axis, from logarithms."""
    return -(logs.exp() * logs).sum(-1)


def _rows(attention: Tensor, chosen: Tensor) -> Tensor:
    """Rows (B, N, K) of (B, L, K) at `chosen` (B, N)."""
    return attention.gather(1, chosen[:, :, None].expand(-1, -1, attention.shape[2]))


def _spread(windows: Tensor, centres: Tensor, height: int, width: int) -> Tensor:
    """Weights (B, N, WINDOW²) around `centres` (B, N) as weights on the whole image, (B, N, H·W)."""
    offset = torch.arange(WINDOW, device=windows.device) - WINDOW // 2
    rows = (centres // width)[:, :, None, None] + offset[:, None]  # (B, N, WINDOW, 1)
    columns = (centres % width)[:, :, None, None] + offset  # (B, N, 1, WINDOW)
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    places = (rows * width + columns).where(inside, 0).flatten(2)
    # Beyond the border the features are zeros: their weights count in the softmax and carry nothing.
    weights = windows * inside.flatten(2)
    whole = torch.zeros(*centres.shape, height * width, device=windows.device)
    return whole.scatter_add_(2, places, weights)
