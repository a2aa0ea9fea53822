"""One optimisation step of any method: losses, both optimisers, image pools, and what may go wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from casgan_dicom.disk import write_whole
from casgan_dicom.errors import ConfigError
from casgan_dicom.model.data.batch import Batch
from casgan_dicom.model.devices import computes_bf16
from casgan_dicom.model.methods.base import Losses, Method, Samples
from casgan_dicom.model.methods.losses import adversarial
from casgan_dicom.model.settings import TrainSettings
from casgan_dicom.model.training.distributed import World
from casgan_dicom.model.training.image_pool import ImagePool

Figures = dict[str, float]
COMPILED_FORMS = 32
"""Forms of one network that are compiled: UNSB has some for each step of its bridge; torch stops at 8."""


def arrange(method: Method, settings: TrainSettings) -> None:
    """Lay out the weights of a method on its device, and compile its networks, as the settings have it."""
    if settings.net.channels_last:
        method.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if settings.optim.compile:
        torch._dynamo.config.recompile_limit = COMPILED_FORMS
        for net in (*method.generators.values(), *method.discriminators.values()):
            net.compile(dynamic=False)


class TrainingStep:
    """The optimisers and pools of a method, and the step that uses them.

    Parameters
    ----------
    method
        On its device already, and arranged.
    settings
        Of the run.
    world
        The processes that train together, and the device where the batches of this one are.
    out
        Folder that receives a batch whose losses are not finite.
    """

    def __init__(self, method: Method, settings: TrainSettings, world: World, out: Path) -> None:
        self.method, self.settings, self.world, self.out = method, settings, world, out
        self.device = torch.device(world.device)
        self.bf16 = settings.optim.amp and computes_bf16(self.device)
        self.optim_g, self.optim_d = (self._adam(side) for side in (method.generators, method.discriminators))
        self.pool_draws = torch.Generator().manual_seed(settings.seed + 1 + world.rank)
        self.pools = {name: ImagePool(settings.optim.pool, self.pool_draws) for name in method.discriminators}
        self._number = 0

    def __call__(self, parts: Sequence[Batch], number: int, lr_factor: float) -> Figures:
        """Take one step on a batch that is computed in parts.

        Parameters
        ----------
        parts
            The parts of this process, of one size.
        number
            Steps done before, for messages.
        lr_factor
            Share of the base learning rate.

        Returns
        -------
        dict
            Every unweighted loss, mean over parts and processes, and the method's diagnostics.

        Raises
        ------
        ConfigError
            A loss or gradient is not finite (the batch is saved), or no term is computed at all.
        """
        self._number = number
        for optimiser in (self.optim_g, self.optim_d):
            for group in optimiser.param_groups:
                group["lr"] = self.settings.optim.lr * lr_factor
        self.method.train()
        if self.method.order == "GD":
            figures, samples = self._step_generators(parts, repaint=True)
            figures |= self._step_discriminators(samples, parts)
        else:
            # Painted in parts, the fakes are not kept with their graphs: they are painted again.
            samples = [self._paint(part, keep_graph=len(parts) == 1) for part in parts]
            figures = self._step_discriminators(samples, parts)
            figures |= self._step_generators(parts, repaint=len(parts) > 1)[0]
        return self.world.average_figures(figures)

    def state(self) -> dict[str, Any]:
        """Everything of both optimisers and the pools that a checkpoint holds."""
        return {
            "optim_g": self.optim_g.state_dict(),
            "optim_d": self.optim_d.state_dict(),
            "pools": {name: pool.samples for name, pool in self.pools.items()},
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state` returned."""
        self.optim_g.load_state_dict(state["optim_g"])
        self.optim_d.load_state_dict(state["optim_d"])
        for name, samples in state["pools"].items():
            self.pools[name].samples = [sample.to(self.device) for sample in samples]

    def _adam(self, side: nn.ModuleDict) -> torch.optim.Adam:
        optim = self.settings.optim
        # A method without an adversary has nothing on that side, and Adam refuses an empty list.
        parameters = list(side.parameters()) or [nn.Parameter(torch.zeros(0))]
        return torch.optim.Adam(parameters, lr=optim.lr, betas=optim.betas, weight_decay=optim.weight_decay)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)

    def _paint(self, part: Batch, *, keep_graph: bool) -> Samples:
        with self._autocast(), torch.set_grad_enabled(keep_graph):
            self.method.paint(part)
            return self.method.discriminator_samples(part)

    def _step_generators(self, parts: Sequence[Batch], *, repaint: bool) -> tuple[Figures, list[Samples]]:
        """One step of the generators; also what was painted, for discriminators that come after."""
        method, weights = self.method, self.settings.weights
        method.discriminators.requires_grad_(False)
        self.optim_g.zero_grad(set_to_none=True)
        sums: Losses = {}
        diagnostics: Losses = {}
        samples: list[Samples] = []
        for part in parts:
            with self._autocast():
                if repaint:
                    method.paint(part)
                losses = method.generator_losses(part, weights)
                if not losses:
                    raise ConfigError(
                        f"no term of [weights] is computed with these settings of [{method.table}]"
                    )
                total = torch.stack([weights[name] * value.float() for name, value in losses.items()]).sum()
                if method.order == "GD":
                    samples.append(method.discriminator_samples(part))
            _add(sums, losses, len(parts))
            _add(diagnostics, method.diagnostics(), len(parts))
            (total / len(parts)).backward()  # type: ignore[no-untyped-call]
        figures = _numbers(sums | diagnostics)
        self._check({name: figures[name] for name in sums}, parts)
        self._update(self.optim_g, method.generators, parts, times=method.generator_steps)
        return figures, samples

    def _step_discriminators(self, samples: Sequence[Samples], parts: Sequence[Batch]) -> Figures:
        """One step of the discriminators on what was painted; nothing for a method without."""
        method = self.method
        method.discriminators.requires_grad_(True)
        self.optim_d.zero_grad(set_to_none=True)
        sums: Losses = {}
        for sample in samples:
            losses: Losses = {}
            with self._autocast():
                for name, (real, fake) in sample.items():
                    net, fakes = method.discriminators[name], self.pools[name].query(fake.float())
                    losses[name] = method.discriminator_scale * (
                        adversarial(net(real), real=True, kind=method.gan)
                        + adversarial(net(fakes), real=False, kind=method.gan)
                    )
            _add(sums, losses, len(samples))
            if losses:
                total = torch.stack([value.float() for value in losses.values()]).sum()
                (total / len(samples)).backward()  # type: ignore[no-untyped-call]
        if not sums:
            return {}
        figures = _numbers(sums)
        self._check(figures, parts)
        self._update(self.optim_d, method.discriminators, parts)
        return figures

    def _update(
        self, optimiser: torch.optim.Adam, side: nn.ModuleDict, parts: Sequence[Batch], times: int = 1
    ) -> None:
        """Average the gradients over the processes, refuse broken ones, and step."""
        self.world.average_gradients(side.parameters())
        gradients = [p.grad for p in side.parameters() if p.grad is not None]
        self._check({"gradient norm": float(nn.utils.get_total_norm(gradients))}, parts)
        for _ in range(times):
            optimiser.step()

    def _check(self, figures: Mapping[str, float], parts: Sequence[Batch]) -> None:
        """Stop before a figure that is not finite reaches the weights, and keep the batch to look at."""
        broken = [name for name, value in figures.items() if not math.isfinite(value)]
        if not self.world.any(bool(broken)):  # all processes stop, or none: the others would wait for ever
            return
        if not broken:
            raise ConfigError(f"step {self._number}: a loss of another process is not finite")
        crops = {
            f"{name}.{k}": crop.cpu().contiguous()
            for k, part in enumerate(parts)
            for name, crop in {**vars(part), **part.truth}.items()
            if isinstance(crop, Tensor)
        }
        file = self.out / f"broken-batch-{self._number}-{self.world.rank}.safetensors"
        write_whole(file, save(crops))
        raise ConfigError(
            f"step {self._number}: {', '.join(broken)} not finite; the batch is in {file.name}",
            hint="--resume goes on from the last checkpoint; optim.amp=false or a smaller optim.lr is another"
            " run, with another --out",
        )


def _add(means: Losses, figures: Mapping[str, Tensor], parts: int) -> None:
    """Add the figures of one of `parts` parts to their means; they stay on the device."""
    for name, value in figures.items():
        share = value.detach().float() / parts
        means[name] = means[name] + share if name in means else share


def _numbers(figures: Losses) -> Figures:
    """Fetch scalars from the device all at once: it is waited for once, and not for each of them."""
    return dict(zip(figures, torch.stack(list(figures.values())).tolist(), strict=True))
