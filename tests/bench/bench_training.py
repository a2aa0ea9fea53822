"""Seconds per step of every method, beside a straight float32 loop of the same networks and losses.

python -m tests.bench.bench_training [METHOD …] [--preset desk] [--steps 8] [--set optim.compile=true …]

The straight loop is what a script would do: paint, losses, backward, Adam; then the discriminators, in eager
float32, without autocast, pools, checks or averages. Both take their steps in turn on the same crops, so that
the load of the machine meets both; the figures are medians. `ours` is the trainer's step as the preset and
--set have it: bf16 where the device has it, float32 elsewhere. Beside it stands what drawing its batch takes,
from frames in memory as a run of simulated data holds them.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from casgan_dicom.model.data.batch import Batch
from casgan_dicom.model.data.frames import FrameSet
from casgan_dicom.model.data.sampler import CropSampler
from casgan_dicom.model.devices import choose_device, computes_bf16
from casgan_dicom.model.methods.base import Method, Samples
from casgan_dicom.model.methods.losses import adversarial
from casgan_dicom.model.methods.registry import BUILT_IN, method_class
from casgan_dicom.model.networks.reading_shapes import CELLS, FINE
from casgan_dicom.model.networks.unet import UNet
from casgan_dicom.model.preset_files import load_settings
from casgan_dicom.model.settings import TrainSettings
from casgan_dicom.model.training.distributed import World
from casgan_dicom.model.training.environment import device_name
from casgan_dicom.model.training.step import TrainingStep, arrange
from tests.bench.machine import machine, say

AIM = 0.6
Step = Callable[[Batch], object]


def main() -> None:
    """Print a row per method."""
    parser = argparse.ArgumentParser(description=__doc__)
    cropped = [name for name in BUILT_IN if not method_class(name).posed]
    parser.add_argument("methods", nargs="*", default=cropped)
    parser.add_argument("--preset", default="desk")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as of train")
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    device = choose_device(args.device)
    where = f"{device} ({device_name(device)}), {torch.get_num_threads()} threads"
    fast = "" if computes_bf16(torch.device(device)) else "; no bf16 here, so the aim does not hold"
    say(f"{machine()}; {where}, preset {' '.join([args.preset, *args.set])}")
    say(f"aim: ours / straight ≤ {AIM} where the device has bf16{fast}; batch / ours: next to nothing\n")
    say("| method | straight loop, s | ours, s | ours / straight | batch / ours |\n|---|---|---|---|---|")
    for name in args.methods:
        settings = load_settings(name, args.preset, args.set)
        straight, ours = measure(settings, device, args.steps)
        data = batch_seconds(settings, args.steps)
        say(f"| {name} | {straight:.3f} | {ours:.3f} | {ours / straight:.2f} | {data / ours:.3f} |")


def measure(settings: TrainSettings, device: str, steps: int) -> tuple[float, float]:
    """Median seconds per step of both loops, warmed up, taken in turn."""
    batch = noise(settings, device)
    with tempfile.TemporaryDirectory() as folder:
        ours = made(settings, device)
        arrange(ours, settings)
        step = TrainingStep(ours, settings, World(device=device), Path(folder))
        loops: list[Step] = [straight_loop(made(settings, device), settings), lambda b: step([b], 0, 1.0)]
        seconds: list[list[float]] = [[], []]
        for k in range(steps + 2):
            for loop, taken in zip(loops, seconds, strict=True):
                elapsed = timed(loop, batch, device)
                if k >= 2:  # the first two warm up
                    taken.append(elapsed)
    return statistics.median(seconds[0]), statistics.median(seconds[1])


def noise(settings: TrainSettings, device: str) -> Batch:
    """A batch of noise; where the method is guided, with a truth of the shapes of `GuidedSampler.batch`."""
    guided, n = method_class(settings.method).guided, settings.optim.batch
    side = FINE if guided else settings.data.crop
    x, y, twin = (torch.rand(n, 1, side, side, device=device) * 2 - 1 for _ in range(3))
    mask = (torch.rand(n, 1, side, side, device=device) > 0.95).float()
    if not guided:
        return Batch(x, y, twin, mask)
    truth = {
        "shown": (x + 1) / 2,
        "twin_shown": (twin + 1) / 2,
        "levels": torch.tensor([[0.2, 0.8]], device=device).expand(n, 2),
        "guide": 0.3 * torch.rand(n, 1, side, side, device=device),
        "own": torch.ones(n, 1, device=device),
        "off": torch.randn(n, 2, CELLS, CELLS, device=device),
    }
    return Batch(x, y, twin, mask, truth)


def batch_seconds(settings: TrainSettings, steps: int) -> float:
    """Median seconds of drawing a batch."""
    side = max(settings.data.frame_size, settings.data.crop)
    stored = np.random.default_rng(1).integers(0, 65536, (8, side, side), dtype=np.uint16)
    levels = np.tile(np.array([0.2, 0.8], dtype=np.float32), (len(stored), 1))
    frames = FrameSet(stored, levels, twins=stored, masks=stored > 60000)
    sampler, draws = CropSampler(frames, frames, settings.data, settings.normalisation), torch.Generator()
    seconds = []
    for _ in range(steps):
        begun = time.perf_counter()
        sampler.batch(settings.optim.batch, draws)
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds)


def made(settings: TrainSettings, device: str) -> Method:
    """A method with first weights."""
    torch.manual_seed(0)
    method = method_class(settings.method)(settings, UNet(settings.segmentor.base))
    method.initialise(torch.Generator().manual_seed(0))
    return method.to(device).train()


def timed(loop: Step, batch: Batch, device: str) -> float:
    """Seconds of one step."""
    begun = time.perf_counter()
    loop(batch)
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - begun


def straight_loop(method: Method, settings: TrainSettings) -> Step:
    """What a script does."""
    adam = {"lr": settings.optim.lr, "betas": settings.optim.betas}
    optim_g = torch.optim.Adam(method.generators.parameters(), **adam)  # type: ignore[arg-type]
    sides = list(method.discriminators.parameters())
    optim_d = torch.optim.Adam(sides, **adam) if sides else None  # type: ignore[arg-type]

    def discriminate(samples: Samples) -> None:
        if optim_d is None:
            return
        method.discriminators.requires_grad_(True)
        optim_d.zero_grad()
        losses = [
            adversarial(method.discriminators[name](image), real=real, kind=method.gan)
            for name, pair in samples.items()
            for image, real in zip(pair, (True, False), strict=True)
        ]
        (method.discriminator_scale * torch.stack(losses).sum()).backward()  # type: ignore[no-untyped-call]
        optim_d.step()

    def step(batch: Batch) -> None:
        method.paint(batch)
        if method.order == "DG":
            discriminate(method.discriminator_samples(batch))
        method.discriminators.requires_grad_(False)
        optim_g.zero_grad()
        losses = method.generator_losses(batch, settings.weights)
        total = torch.stack([settings.weights[name] * value for name, value in losses.items()]).sum()
        total.backward()  # type: ignore[no-untyped-call]
        for _ in range(method.generator_steps):
            optim_g.step()
        if method.order == "GD":
            discriminate(method.discriminator_samples(batch))

    return step


if __name__ == "__main__":
    main()
