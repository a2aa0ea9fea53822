"""The training loop: one for all methods.

A run folder holds ``config.json``, ``segmentor.safetensors``, ``metrics.csv``, ``samples/*.png``,
``checkpoint.pt`` and, at the end, ``bundle/``. SIGINT and SIGTERM save a checkpoint and stop; a resumed
run continues as the uninterrupted one would have, bit for bit on the CPU.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from casgan_dicom.errors import CasganError, ConfigError
from casgan_dicom.model.bundle import save_bundle
from casgan_dicom.model.checkpoint import load_checkpoint, random_state, restore_random_state, save_checkpoint
from casgan_dicom.model.data import CROP_STEP, CropSampler
from casgan_dicom.model.devices import choose_device, computes_bf16
from casgan_dicom.model.history import History
from casgan_dicom.model.image_pool import ImagePool
from casgan_dicom.model.losses import discriminator_loss
from casgan_dicom.model.methods.base import Batch, Losses, Method
from casgan_dicom.model.methods.casgan import CasGan
from casgan_dicom.model.networks.init import init_normal
from casgan_dicom.model.networks.unet import UNet
from casgan_dicom.model.pictures import save_grid
from casgan_dicom.model.run_folder import CONFIG_NAME, check_run_folder, write_config
from casgan_dicom.model.segment import load_unet, train_unet
from casgan_dicom.model.settings import OptimSettings, TrainSettings

Log = Callable[[str], None]


@dataclass(frozen=True)
class Progress:
    """Where a run stands."""

    step: int
    """Optimiser steps done."""
    steps: int
    """Optimiser steps asked for."""
    finished: bool
    """False when a signal ended the run early."""


def learning_rate_factor(step: int, optim: OptimSettings) -> float:
    """Share of the base rate at `step`: 1, then a straight line to 0 over the last `decay_steps`."""
    flat = optim.steps - optim.decay_steps
    return 1.0 if step < flat else max(0.0, 1 - (step - flat + 1) / (optim.decay_steps + 1))


def check_weights(settings: TrainSettings) -> None:
    """Refuse weights of losses that would be ignored in silence; raises ConfigError with every fault."""
    _refuse(_weight_faults(settings))


def _weight_faults(settings: TrainSettings) -> list[str]:
    known, weights = CasGan.terms, settings.weights
    faults: list[str] = []
    if unknown := sorted(set(weights) - set(known)):
        faults.append(f"unknown loss terms in [weights]: {', '.join(unknown)} (known: {', '.join(known)})")
    if not any(weights.values()):
        faults.append("[weights] has no term above 0")
    return faults


def _refuse(faults: list[str]) -> None:
    if faults:
        raise ConfigError("; ".join(faults), hint="change them with --set, or choose another preset")


class Trainer:
    """One run of one method on one pair of domains.

    Parameters
    ----------
    settings
        The whole configuration.
    sampler
        Source of crops.
    out
        Run folder; made if it is not there.
    data
        One sentence about the training data, with attribution, for config.json and bundle.
    device
        "auto", "cpu", "cuda" or "cuda:N".
    log
        Receives one sentence at a time for a person to read.
    """

    def __init__(
        self,
        settings: TrainSettings,
        sampler: CropSampler,
        out: Path,
        *,
        data: str = "unknown",
        device: str = "cpu",
        log: Log = lambda _sentence: None,
    ) -> None:
        self.settings, self.sampler, self.out, self.data = settings, sampler, out, data
        self.device = torch.device(choose_device(device))
        self._bf16 = settings.optim.amp and computes_bf16(self.device)
        self.log = log
        self.step = 0
        self._stop = False
        self._history = History(out / "metrics.csv")
        self._draws = torch.Generator().manual_seed(settings.seed)
        self._pool_draws = torch.Generator().manual_seed(settings.seed + 1)

    def run(self, *, resume: bool = False) -> Progress:
        """Train to the end or until a signal; always leaves a checkpoint that `resume` continues from.

        A run that ended before its first checkpoint is resumed from its first step.

        Raises
        ------
        ConfigError
            The folder holds another run, settings do not go together, or a loss is not finite (the last
            checkpoint stays).
        WeightsError
            Nothing to resume, a checkpoint of other settings, or a segmentor that does not fit.
        """
        _refuse(_weight_faults(self.settings) + self._frame_faults())
        check_run_folder(self.out, self.settings, self.data, resume=resume)
        (self.out / "samples").mkdir(parents=True, exist_ok=True)
        write_config(self.out, self.settings, self.data)
        try:
            self._build()
        except CasganError:
            if not resume:  # nothing was trained: the folder is free for another try
                (self.out / CONFIG_NAME).unlink()
            raise
        if resume:
            self._restore()
        self.log(f"training on {self.device} in {'bf16 autocast' if self._bf16 else 'float32'}")
        with self._signals():
            self._loop()
        self._save()
        return Progress(self.step, self.settings.optim.steps, self.step >= self.settings.optim.steps)

    def export(self) -> Path:
        """Write ``bundle/`` from the trained (or, with `ema`, the averaged) weights; returns its folder."""
        weights = self.method.generators.state_dict() if self.average is None else self.average.state
        segmentor = load_file(self.out / "segmentor.safetensors")
        save_bundle(self.out / "bundle", self.settings, weights, segmentor, data=self.data)
        return self.out / "bundle"

    def _frame_faults(self) -> list[str]:
        """Settings that these frames do not go with."""
        s, x = self.settings, self.sampler.x
        faults: list[str] = []
        paired = [name for name, weight in s.weights.items() if weight and name.startswith("pair_")]
        if paired and (x.twins is None or x.masks is None):
            faults.append(f"{', '.join(paired)} in [weights] need simulated data: these frames have no twins")
        sides = {min(domain.frames.shape[1:]) for domain in (x, self.sampler.y)}
        if s.data.whole_steps and (len(sides) > 1 or min(sides) % CROP_STEP):
            faults.append(
                f"data.whole_steps needs frames of one size, a multiple of {CROP_STEP}; they have"
                f" {', '.join(map(str, sorted(sides)))} px"
            )
        return faults

    def _build(self) -> None:
        s = self.settings
        torch.manual_seed(s.seed)
        segmentor = self._segmentor()
        self.method: Method = CasGan(s, segmentor)
        init = torch.Generator().manual_seed(s.seed)
        for net in (self.method.generators, self.method.discriminators):
            init_normal(net, s.net.init_gain, init)
        self.method.to(self.device)
        adam: dict[str, Any] = {"lr": s.optim.lr, "betas": s.optim.betas}
        self.optim_g = torch.optim.Adam(self.method.generators.parameters(), **adam)
        self.optim_d = torch.optim.Adam(self.method.discriminators.parameters(), **adam)
        self.pools = {name: ImagePool(s.optim.pool, self._pool_draws) for name in self.method.discriminators}
        self.average = _Average(self.method.generators, s.optim.ema) if s.optim.ema else None

    def _segmentor(self) -> UNet:
        """Load the segmentor of this run or the given one; otherwise train it.

        Every run has one, even where no loss looks through it: a bundle carries it.
        """
        s = self.settings.segmentor
        net = UNet(s.base)
        own = self.out / "segmentor.safetensors"
        source = own if own.is_file() else Path(s.path) if s.path else None
        if source is not None:
            load_unet(net, source)
        else:
            draws = torch.Generator().manual_seed(self.settings.seed + 2)
            train_unet(
                net.to(self.device),
                lambda: self.sampler.labelled(s.batch, draws),
                steps=s.steps,
                lr=s.lr,
                log=lambda step, loss: self.log(f"segmentor step {step}: loss {loss:.4f}"),
            )
        if not own.is_file():
            save_file(net.cpu().state_dict(), own)
        return net.to(self.device)

    def _loop(self) -> None:
        s = self.settings
        saved = time.monotonic()
        while self.step < s.optim.steps and not self._stop:
            self._history.add(self._train_step())
            self.step += 1
            if self.step % s.log_steps == 0:
                self._history.write(self.step, learning_rate_factor(self.step - 1, s.optim))
            if self.step % s.sample_steps == 0:
                self.sample(self.out / "samples" / f"{self.step:07d}.png")
            if time.monotonic() - saved > 60 * s.checkpoint_minutes:
                self._save()
                saved = time.monotonic()

    def _train_step(self) -> dict[str, float]:
        s = self.settings
        factor = learning_rate_factor(self.step, s.optim)
        for optimiser in (self.optim_g, self.optim_d):
            for group in optimiser.param_groups:
                group["lr"] = s.optim.lr * factor
        whole = self.step >= s.optim.steps - s.data.whole_steps
        size = 1 if whole else s.optim.batch
        batch = self._to_device(self.sampler.batch(size, self._draws, whole=whole))
        self.method.train()
        losses = self._generator_step(batch)
        losses |= self._discriminator_step(batch)
        if self.average is not None:
            self.average.update(self.method.generators)
        figures = {name: float(value.detach()) for name, value in losses.items()} | self.method.diagnostics()
        broken = [name for name, value in figures.items() if not math.isfinite(value)]
        if broken:
            raise ConfigError(
                f"step {self.step}: {', '.join(broken)} not finite",
                hint="the last checkpoint stays; try a smaller optim.lr, or optim.amp=false",
            )
        return figures

    def _generator_step(self, batch: Batch) -> Losses:
        self.method.discriminators.requires_grad_(False)
        self.optim_g.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._bf16):
            losses = self.method.generator_losses(batch, self.settings.weights)
            if not losses:
                raise ConfigError("no term of [weights] is computed with these switches of [cas]")
            total = _weighted(losses, self.settings.weights)
        total.backward()  # type: ignore[no-untyped-call]
        self.optim_g.step()
        return losses

    def _discriminator_step(self, batch: Batch) -> Losses:
        self.method.discriminators.requires_grad_(True)
        self.optim_d.zero_grad(set_to_none=True)
        losses: Losses = {}
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._bf16):
            for name, (real, fake) in self.method.discriminator_samples(batch).items():
                net = self.method.discriminators[name]
                losses[name] = discriminator_loss(
                    net(real), net(self.pools[name].query(fake)), self.settings.optim.gan
                )
            total = torch.stack(list(losses.values())).sum()
        total.backward()  # type: ignore[no-untyped-call]
        self.optim_d.step()
        return losses

    def _to_device(self, batch: Batch) -> Batch:
        def move(crops: Tensor) -> Tensor:
            return crops.to(self.device, non_blocking=True)

        twin, mask = (None if crops is None else move(crops) for crops in (batch.twin, batch.mask))
        return Batch(move(batch.x), move(batch.y), twin, mask)

    @torch.no_grad()
    def sample(self, path: Path) -> None:
        """Write a picture of four crops, always the same: x, y_g, attention, twin (or an unpaired y)."""
        batch = self._to_device(self.sampler.batch(4, torch.Generator().manual_seed(0)))
        self.method.eval()
        y_g, attention = self.method.translate(batch.x)
        shown = 2 * attention - 1 if attention is not None else torch.zeros_like(y_g)
        truth = batch.twin if batch.twin is not None else batch.y
        save_grid(path, [batch.x, y_g, shown, truth])

    def _save(self) -> None:
        state = {
            "step": self.step,
            "method": self.method.state_dict(),
            "optim_g": self.optim_g.state_dict(),
            "optim_d": self.optim_d.state_dict(),
            "pools": {name: pool.samples for name, pool in self.pools.items()},
            "average": None if self.average is None else self.average.state,
            "history": self._history.state(),
            "random": random_state(self._draws, self._pool_draws),
        }
        save_checkpoint(self.out / "checkpoint.pt", state)
        self.log(f"checkpoint at step {self.step}")

    def _restore(self) -> None:
        if not (self.out / "checkpoint.pt").exists():
            self._history.restore(0, {})
            return
        state = load_checkpoint(self.out / "checkpoint.pt")
        self.step = int(state["step"])
        self._history.restore(self.step, state.get("history", {}))
        self.method.load_state_dict(state["method"])
        self.optim_g.load_state_dict(state["optim_g"])
        self.optim_d.load_state_dict(state["optim_d"])
        for name, samples in state["pools"].items():
            self.pools[name].samples = [sample.to(self.device) for sample in samples]
        if self.average is not None and state["average"] is not None:
            self.average.state = {key: value.to(self.device) for key, value in state["average"].items()}
        restore_random_state(state["random"], self._draws, self._pool_draws)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def stop(_number: int, _frame: FrameType | None) -> None:
            self._stop = True
            self.log("stopping after this step; --resume continues")

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class _Average:
    """Exponential moving average of a network's weights."""

    def __init__(self, net: nn.Module, decay: float) -> None:
        self.decay = decay
        self.state = {name: value.detach().clone() for name, value in net.state_dict().items()}

    @torch.no_grad()
    def update(self, net: nn.Module) -> None:
        for name, value in net.state_dict().items():
            self.state[name].lerp_(value, 1 - self.decay)


def _weighted(losses: Losses, weights: Mapping[str, float]) -> Tensor:
    return torch.stack([weights[name] * value.float() for name, value in losses.items()]).sum()
