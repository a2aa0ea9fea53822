"""The training loop: one for all methods.

A run folder holds ``config.json``, ``environment.json``, ``log.txt``, ``segmentor.safetensors``,
``metrics.csv``, ``samples/*.png``, ``checkpoint.pt`` and, at the end, ``bundle/``. SIGINT and SIGTERM save a
checkpoint and stop; a resumed run continues as the uninterrupted one would have, bit for bit on the CPU.

Several processes (``torchrun``) share each batch and average their gradients; the first one writes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from casgan_dicom.errors import CasganError, ConfigError
from casgan_dicom.model.bundle.bundle import SEGMENTOR_TOLD, is_simulated, segmentor_data
from casgan_dicom.model.bundle.shelf import SEGMENTOR_NAME
from casgan_dicom.model.bundle.writing import save_bundle
from casgan_dicom.model.data.batch import Batch
from casgan_dicom.model.data.sampler import CROP_STEP, CropSampler
from casgan_dicom.model.methods.base import Method
from casgan_dicom.model.methods.registry import method_class
from casgan_dicom.model.networks.unet import UNet
from casgan_dicom.model.settings import TrainSettings
from casgan_dicom.model.training.average import MovingAverage
from casgan_dicom.model.training.checkpoint import (
    load_checkpoint,
    random_state,
    restore_random_state,
    save_checkpoint,
)
from casgan_dicom.model.training.distributed import ALONE, World
from casgan_dicom.model.training.environment import write_environment
from casgan_dicom.model.training.history import History
from casgan_dicom.model.training.naming import bundle_name, data_told, recipe_told
from casgan_dicom.model.training.pictures import save_grid
from casgan_dicom.model.training.run_folder import CONFIG_NAME, check_run_folder, write_config
from casgan_dicom.model.training.schedule import learning_rate_factor
from casgan_dicom.model.training.segmentor import (
    load_unet,
    save_unet,
    segmentor_file,
    segmentor_source,
    train_segmentor,
)
from casgan_dicom.model.training.signals import on_stop_signal
from casgan_dicom.model.training.start import start_from, start_told
from casgan_dicom.model.training.step import TrainingStep, arrange
from casgan_dicom.model.training.trackers import Tracker, make_trackers, missing_trackers

Log = Callable[[str], None]

UNKNOWN_DATA = "of unknown data."
"""Said of a segmentor that tells nothing of what it was trained on."""


@dataclass(frozen=True)
class Progress:
    """Where a run stands."""

    step: int
    """Optimiser steps done."""
    steps: int
    """Optimiser steps asked for."""
    finished: bool
    """False when a signal ended the run early."""


def check_weights(settings: TrainSettings) -> None:
    """Refuse weights of losses that would be ignored in silence, and networks that cannot be built.

    Raises ConfigError with every fault. The networks are built without memory, so this takes no time.
    """
    _refuse(_weight_faults(settings))
    _check_networks(settings)


def _check_networks(settings: TrainSettings) -> None:
    with torch.device("meta"):
        method_class(settings.method).build_generators(settings)
        method_class(settings.method).build_discriminators(settings)


def _weight_faults(settings: TrainSettings) -> list[str]:
    known, weights = method_class(settings.method).terms, settings.weights
    faults: list[str] = []
    if unknown := sorted(set(weights) - set(known)):
        faults.append(f"unknown loss terms in [weights]: {', '.join(unknown)} (known: {', '.join(known)})")
    if not any(weights.values()):
        faults.append("[weights] has no term above 0")
    return faults + missing_trackers(settings)


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
    log
        Receives one sentence at a time for a person to read.
    world
        The processes that train together, and the device of this one.
    """

    def __init__(
        self,
        settings: TrainSettings,
        sampler: CropSampler,
        out: Path,
        *,
        data: str = "unknown",
        log: Log = lambda _sentence: None,
        world: World = ALONE,
    ) -> None:
        self.settings, self.sampler, self.out, self.data = settings, sampler, out, data
        self.world, self.device = world, torch.device(world.device)
        self._say = log
        self.step = 0
        self._stop = False
        self._history = History(out / "metrics.csv")
        self._trackers: list[Tracker] = []
        self._draws = torch.Generator().manual_seed(settings.seed)

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
        _check_networks(self.settings)
        if self.world.main:
            check_run_folder(self.out, self.settings, self.data, resume=resume)
            (self.out / "samples").mkdir(parents=True, exist_ok=True)
            write_config(self.out, self.settings, self.data)
            write_environment(self.out, str(self.device), resume=resume)
        try:
            self._build(resume=resume)
        except CasganError:
            if not resume and self.world.main:  # nothing was trained: the folder is free for another try
                (self.out / CONFIG_NAME).unlink()
                (self.out / SEGMENTOR_NAME).unlink(missing_ok=True)
            raise
        if resume:
            self._restore()
        self.log(f"training on {self.device} in {'bf16 autocast' if self._optimise.bf16 else 'float32'}")
        if self.world.main:
            self._trackers = make_trackers(self.out, self.settings)
        try:
            with on_stop_signal(self._stop_soon):
                self._loop()
            self._save()
        finally:
            self._track(lambda tracker: tracker.close())
        return Progress(self.step, self.settings.optim.steps, self.step >= self.settings.optim.steps)

    def log(self, sentence: str) -> None:
        """Say a sentence, and keep it in ``log.txt`` once the run folder is there."""
        if not self.world.main:
            return
        self._say(sentence)
        if self.out.is_dir():
            with (self.out / "log.txt").open("a") as file:
                file.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {sentence}\n")

    def export(self) -> Path:
        """Write ``bundle/`` from the trained (or, with `ema`, the averaged) weights; returns its folder."""
        weights = self.method.generators.state_dict() if self.average is None else self.average.state
        segmentor = load_file(self.out / SEGMENTOR_NAME)
        settings = self._with_frame_size()
        save_bundle(
            self.out / "bundle",
            replace(settings, name=bundle_name(settings, self.out), description=recipe_told(settings)),
            weights,
            segmentor,
            data=self._trained_on(),
            extra=self.method.extra_arrays(),
        )
        return self.out / "bundle"

    def _trained_on(self) -> str:
        """What generator and segmentor were trained on; "Simulated …" only if all of it was."""
        start = self.settings.net.start
        told, simulated = [], [True]
        data = data_told(self.data, self.sampler.x, self.sampler.y)
        if start:
            begun, only = start_told(start, data)
            told, simulated = [begun], [only]
        source, only = self._segmentor_trained_on(data)
        if source not in (self.data, data):
            told.append(f"{SEGMENTOR_TOLD}{source}")
            simulated.append(only)
        mixed = is_simulated(self.data) and not all(simulated)
        return " ".join([f"{'Generator: ' if mixed else ''}{data}", *told])

    def _segmentor_trained_on(self, data: str) -> tuple[str, bool]:
        """What the segmentor was trained on, where the run's own is `data`, and whether all is simulated."""
        s = self.settings.segmentor
        given = s.path or s.start
        if not given:
            return self.data, is_simulated(self.data)
        source = segmentor_source(given) or UNKNOWN_DATA
        only = is_simulated(source)
        if s.path:
            return source, only
        begun = f"{data} Begun from one trained on: {segmentor_data(source)}"
        return begun, only and is_simulated(data)

    def _with_frame_size(self) -> TrainSettings:
        """The settings, with the size of a folder's frames where training kept it: use is at that scale."""
        data = self.settings.data
        size = data.frame_size or max(self.sampler.x.frames.shape[1:])
        return replace(self.settings, data=replace(data, frame_size=size))

    def _frame_faults(self) -> list[str]:
        """Settings that these frames do not go with."""
        s, x = self.settings, self.sampler.x
        faults: list[str] = []
        paired = [name for name, weight in s.weights.items() if weight and name.startswith("pair_")]
        wanting = [f"{', '.join(paired)} in [weights] need"] if paired else []
        if method_class(s.method).needs_pairs:
            wanting = [f"method '{s.method}' needs"]
        if wanting and (x.twins is None or x.masks is None):
            faults.append(f"{wanting[0]} simulated data: these frames have no twins")
        parts = self.world.size * s.optim.accumulate
        if s.optim.batch % parts:
            faults.append(
                f"optim.batch is {s.optim.batch}, want a multiple of {parts}"
                f" ({self.world.size} processes, {s.optim.accumulate} parts each)"
            )
        sides = {min(domain.frames.shape[1:]) for domain in (x, self.sampler.y)}
        if s.data.whole_steps and (len(sides) > 1 or min(sides) % CROP_STEP):
            faults.append(
                f"data.whole_steps needs frames of one size, a multiple of {CROP_STEP}; they have"
                f" {', '.join(map(str, sorted(sides)))} px"
            )
        return faults

    def _build(self, *, resume: bool) -> None:
        s = self.settings
        torch.manual_seed(s.seed)
        segmentor = self._segmentor(resume=resume)
        self.method: Method = method_class(s.method)(s, segmentor)
        self.method.initialise(torch.Generator().manual_seed(s.seed))
        if s.net.start:
            start_from(self.method.generators, s.net.start)
        torch.manual_seed(s.seed + self.world.rank)  # same weights everywhere, noise of each process its own
        self.method.to(self.device)
        arrange(self.method, s)
        self._optimise = TrainingStep(self.method, s, self.world, self.out)
        self.average = MovingAverage(self.method.generators, s.optim.ema) if s.optim.ema else None

    def _segmentor(self, *, resume: bool) -> UNet:
        """Load the segmentor of the run that is resumed or the given one; otherwise train it.

        Every run has one, even where no loss looks through it: a bundle carries it.
        """
        s = self.settings.segmentor
        own = self.out / SEGMENTOR_NAME
        kept = resume and own.is_file()
        source = own if kept else segmentor_file(s.path) if s.path else None
        if source is None:
            net = train_segmentor(self.settings, self.sampler, self.world.device, self.log)
        else:
            net = UNet(s.base)
            load_unet(net, source)
        self.world.wait()
        if self.world.main and not kept:
            save_unet(net, own)
        self.world.wait()
        if not self.world.main:  # trained by every process, but rounded as each device rounds
            load_unet(net, own)
        return net.to(self.device)

    def _loop(self) -> None:
        s = self.settings
        saved = time.monotonic()
        while self.step < s.optim.steps and not self.world.any(self._stop):
            self._history.add(self._train_step())
            self.step += 1
            if not self.world.main:
                continue
            if self.step % s.log_steps == 0:
                row = self._history.write(self.step, learning_rate_factor(self.step - 1, s.optim))
                self._track(lambda tracker, row=row: tracker.row(self.step, row))  # type: ignore[misc]
            if self.step % s.sample_steps == 0:
                self.sample(self.out / "samples" / f"{self.step:07d}.png")
            if time.monotonic() - saved > 60 * s.checkpoint_minutes:
                self._save()
                saved = time.monotonic()

    def _train_step(self) -> dict[str, float]:
        factor = learning_rate_factor(self.step, self.settings.optim)
        figures = self._optimise(self._next_parts(), self.step, factor)
        if self.average is not None:
            self.average.update(self.method.generators)
        return figures

    def _next_parts(self) -> list[Batch]:
        """Draw the next batch, take this process's share and cut it in `optim.accumulate` parts."""
        optim, whole = self.settings.optim, self._whole()
        n = self.world.size * optim.accumulate if whole else optim.batch
        batch = self.sampler.batch(n, self._draws, whole=whole)
        return [self._to_device(part) for part in self._parts(batch)]

    def _parts(self, batch: Batch) -> list[Batch]:
        """Cut this process's share of a batch in `optim.accumulate` parts."""
        count = self.settings.optim.accumulate

        def cut(crops: Tensor) -> tuple[Tensor, ...]:
            share = self.world.share(crops)
            assert share is not None
            return share.chunk(count)

        crops = {"x": batch.x, "y": batch.y, "twin": batch.twin, "mask": batch.mask}
        images = {name: cut(one) for name, one in crops.items() if one is not None}
        truth = {name: cut(values) for name, values in batch.truth.items()}
        return [
            Batch(
                **{name: pieces[k] for name, pieces in images.items()},
                truth={name: pieces[k] for name, pieces in truth.items()},
            )
            for k in range(count)
        ]

    def _whole(self) -> bool:
        """Whether this step sees whole frames."""
        return self.step >= self.settings.optim.steps - self.settings.data.whole_steps

    def _to_device(self, batch: Batch) -> Batch:
        layout = torch.channels_last if self.settings.net.channels_last else torch.preserve_format

        def move(crops: Tensor) -> Tensor:
            return crops.to(self.device, non_blocking=True, memory_format=layout)

        twin, mask = (None if crops is None else move(crops) for crops in (batch.twin, batch.mask))
        truth = {name: values.to(self.device, non_blocking=True) for name, values in batch.truth.items()}
        return Batch(move(batch.x), move(batch.y), twin, mask, truth)

    @torch.no_grad()
    def sample(self, path: Path) -> None:
        """Write a picture of four crops, always the same: x, y_g, attention, twin (or an unpaired y)."""
        batch = self._to_device(self.sampler.batch(4, torch.Generator().manual_seed(0)))
        self.method.eval()
        y_g, attention = self.method.shown(batch)
        shown = 2 * attention - 1 if attention is not None else torch.zeros_like(y_g)
        truth = batch.twin if batch.twin is not None else batch.y
        save_grid(path, [batch.x, y_g, shown, truth])
        self._track(lambda tracker: tracker.picture(self.step, path))

    def _track(self, tell: Callable[[Tracker], None]) -> None:
        """Tell every tracker; one that fails is said to, and no longer told: training goes on."""
        for tracker in list(self._trackers):
            try:
                tell(tracker)
            except Exception as error:
                self._trackers.remove(tracker)
                self.log(f"{type(tracker).__name__} left: {type(error).__name__}: {error}")

    def _save(self) -> None:
        if not self.world.main:
            return
        state = {
            "step": self.step,
            "method": self.method.state_dict(),
            **self._optimise.state(),
            "average": None if self.average is None else self.average.state,
            "history": self._history.state(),
            "random": random_state(self._draws, self._optimise.pool_draws),
        }
        save_checkpoint(self.out / "checkpoint.pt", state)
        self.log(f"checkpoint at step {self.step}")

    def _restore(self) -> None:
        if not (self.out / "checkpoint.pt").exists():
            if self.world.main:
                self._history.restore(0, {})
            return
        state = load_checkpoint(self.out / "checkpoint.pt")
        self.step = int(state["step"])
        if self.world.main:  # one file, one writer
            self._history.restore(self.step, state.get("history", {}))
        self.method.load_state_dict(state["method"])
        self._optimise.load_state(state)
        if self.average is not None and state["average"] is not None:
            self.average.state = {key: value.to(self.device) for key, value in state["average"].items()}
        restore_random_state(state["random"], self._draws, self._optimise.pool_draws)
        if not self.world.main:  # a checkpoint holds the first process's numbers; the others draw their own
            torch.manual_seed(self.settings.seed + self.world.rank + self.step)
            self._optimise.pool_draws.manual_seed(self.settings.seed + 1 + self.world.rank + self.step)

    def _stop_soon(self) -> None:
        self._stop = True
        self.log("stopping after this step; --resume continues")
