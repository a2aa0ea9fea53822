"""A pool of earlier fakes for the discriminator (Shrivastava et al. 2017, as CycleGAN uses it)."""

from __future__ import annotations

import torch
from torch import Tensor


class ImagePool:
    """Keeps `capacity` samples; once full, answers every second query with an older one.

    `generator` makes the draws, so that a resumed run continues as the first would have. Capacity 0
    returns every batch unchanged.
    """

    def __init__(self, capacity: int, generator: torch.Generator) -> None:
        self.capacity = capacity
        self.samples: list[Tensor] = []
        self._generator = generator

    def query(self, batch: Tensor) -> Tensor:
        """Give back a batch of the same shape, (B, C, H, W), detached, each sample new or old.

        Samples of another size, from before a run went from crops to whole frames, are forgotten.
        """
        if self.capacity == 0:
            return batch.detach()
        self.samples = [sample for sample in self.samples if sample.shape == batch.shape[1:]]
        return torch.stack([self._swap(sample) for sample in batch.detach()])

    def _swap(self, sample: Tensor) -> Tensor:
        if len(self.samples) < self.capacity:
            self.samples.append(sample.clone())
            return sample
        if torch.rand((), generator=self._generator) < 0.5:
            return sample
        index = int(torch.randint(self.capacity, (), generator=self._generator))
        old = self.samples[index]
        self.samples[index] = sample.clone()
        return old
