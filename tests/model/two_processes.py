"""Two steps of a method on a fixed batch, alone or as one of two processes that share it.

Run as ``python -m tests.model.two_processes METHOD FOLDER`` with the environment that ``torchrun`` gives.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from casgan_dicom.model.data.batch import Batch
from casgan_dicom.model.methods.registry import method_class
from casgan_dicom.model.networks.unet import UNet
from casgan_dicom.model.preset_files import load_settings
from casgan_dicom.model.settings import TrainSettings
from casgan_dicom.model.training.distributed import World, join_world
from casgan_dicom.model.training.step import TrainingStep

METHODS = ["casgan", "cyclegan"]
"""Methods that draw no random numbers in a step, once CAS-GAN's noise is off."""


def settings_of(method: str) -> TrainSettings:
    """The smallest preset in float32, without noise and pools; a rate that two steps can be told by."""
    overrides = ["optim.amp=false", "optim.pool=0", "optim.lr=1e-3", "optim.batch=4"]
    return load_settings(method, "smoke", overrides + (["cas.cycle_noise=0"] if method == "casgan" else []))


def batch_of_four() -> Batch:
    """Always the same made-up crops."""
    generator = torch.Generator().manual_seed(3)
    x, y, twin = (torch.rand(4, 1, 64, 64, generator=generator) * 2 - 1 for _ in range(3))
    return Batch(x, y, twin, (torch.rand(4, 1, 64, 64, generator=generator) > 0.8).float())


def each(batch: Batch, change: Callable[[Tensor], Tensor | None]) -> Batch:
    """A batch whose crops are all changed."""
    crops = (batch.x, batch.y, batch.twin, batch.mask)
    x, y, twin, mask = (None if one is None else change(one) for one in crops)
    assert x is not None
    assert y is not None
    return Batch(x, y, twin, mask)


def stepped(
    settings: TrainSettings, parts: Sequence[Batch], world: World, out: Path
) -> tuple[dict[str, float], dict[str, Tensor]]:
    """Figures of the second of two steps, and the gradients of the first.

    Not the weights, nor later gradients: a bias before an InstanceNorm has no gradient but rounding, and Adam
    makes steps of full size of that.
    """
    torch.manual_seed(5)
    method = method_class(settings.method)(settings, UNet(4)).to(world.device)
    step = TrainingStep(method, settings, world, out)
    step(parts, 0, 1.0)
    named = method.named_parameters()
    gradients = {name: p.grad.clone().contiguous() for name, p in named if p.grad is not None}
    return step(parts, 1, 1.0), gradients


def main() -> None:
    """Take this process's half of the batch and write what came out."""
    method, out = sys.argv[1], Path(sys.argv[2])
    with join_world("cpu") as world:
        figures, gradients = stepped(settings_of(method), [each(batch_of_four(), world.share)], world, out)
    save_file(gradients, out / f"gradients-{world.rank}.safetensors")
    values = {name: torch.tensor(value) for name, value in figures.items()}
    save_file(values, out / f"figures-{world.rank}.safetensors")


if __name__ == "__main__":
    main()
