"""Learning whether catheter and tree belong together, from the same patients with either artery engaged.

Each draw is a frame, with or without contrast, and a tree: that of the artery with the catheter, or the other
one. Trees are spoiled as a roadmap's are: a little aside, with parts that the segmentor has lost, and some
with the catheter of the earlier run, which a reference without a lead-in does not tell from a vessel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from casgan_dicom.model.data.engaged import EngagedRuns
from casgan_dicom.model.networks.engagement import EngagementNet
from casgan_dicom.model.networks.reading_shapes import GRID

REFUSED = 0.99
"""Share of the held-out catheters in the other artery below the limit."""
_BATCH = 24
_RATE, _DECAY = 2e-3, 1e-3
_WITH_CONTRAST = 0.3
"""Share of the frames that show contrast already: of a filled run, or one that begins to fill."""
_ASIDE_PX, _LOST, _LOST_PX, _WITH_CATHETER = 1.0, 0.8, (5, 16), 0.3
"""How far a tree lies off, how many parts of it are lost and how large they are, pixels of the mask; share of
trees with a catheter."""
_SHORTEST, _FINER = 5, 4
"""Fewest points of such a catheter, and by how much finer they are drawn."""
_AT_ONCE = 16

Log = Callable[[str], None]
Rng = np.random.Generator
Index = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Lesson:
    """How long, and from what."""

    steps: int = 6000
    """Steps of 24 draws."""
    frames: int = 2
    """Frames of each catheter in the runs, one after the other."""
    patients: int = 3
    """Patients before each chest, one after the other."""
    held_out: int = 10
    """One chest of so many sets the limit and is not learnt from."""
    seed: int = 1
    """Of every draw."""


@dataclass(frozen=True)
class Learnt:
    """What came of it."""

    limit: float
    """For `EngagementJudge`."""
    catheters: int
    """Held-out catheters."""
    accepted: float
    """Share of them that are seen in their own artery at that limit, before any contrast."""
    refused: float
    """Share of them that are not seen in the other one."""


def learn_engagement(
    net: EngagementNet, runs: EngagedRuns, lesson: Lesson, log: Log = lambda _sentence: None
) -> Learnt:
    """Teach `net`, whose `tip` can find catheters already and stays as it is.

    Raises ValueError where there are too few chests to hold any of them out.
    """
    rng = np.random.default_rng([lesson.seed, 171])
    torch.manual_seed(lesson.seed)
    chest = np.arange(len(runs.plain)) // (2 * lesson.frames * lesson.patients)
    held = np.flatnonzero(chest % lesson.held_out == 0)
    learnt = np.flatnonzero(chest % lesson.held_out)
    if not len(learnt):
        raise ValueError(f"{chest[-1] + 1} chests are too few to hold any of them out")
    contrast = rng.random(len(runs.plain)) < _WITH_CONTRAST
    contrast[held] = False
    seen, none = _looked(net, runs, contrast, lesson.frames)
    parameters = [*net.body.parameters(), *net.answer.parameters()]
    optimiser = torch.optim.AdamW(parameters, _RATE, weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=lesson.steps)
    running = 0.0
    for step in range(lesson.steps):
        index = rng.choice(learnt, _BATCH)
        same = rng.random(_BATCH) < 0.5
        owner = np.where(same, index, runs.partner(index, lesson.frames))
        logits = net(seen[index].float(), none[index], _spoiled(rng, runs, owner))
        loss = F.binary_cross_entropy_with_logits(logits, torch.from_numpy(same).float())
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        running += (float(loss.detach()) - running) / min(step + 1, 200)
        if (step + 1) % 200 == 0 or step + 1 == lesson.steps:
            log(f"step {step + 1} of {lesson.steps}: loss {running:.3f}")
    net.eval()
    own, other = (
        _scores(net, (seen[held], none[held]), _trees(runs, owner), lesson.frames)
        for owner in (held, runs.partner(held, lesson.frames))
    )
    limit = float(np.quantile(other, REFUSED))
    return Learnt(limit, len(own), float((own > limit).mean()), float((other <= limit).mean()))


def _looked(
    net: EngagementNet, runs: EngagedRuns, contrast: npt.NDArray[np.bool_], frames: int
) -> tuple[Tensor, Tensor]:
    """What is seen of the catheter in every frame, half precision, and none (N, 1)."""
    seen, none = [], []
    for start in range(0, len(runs.plain), _AT_ONCE * frames):
        part = slice(start, start + _AT_ONCE * frames)
        chosen = np.where(contrast[part, None, None], runs.contrast[part], runs.plain[part])
        frame = torch.from_numpy(chosen)[:, None].float() / 255
        mean = frame.reshape(-1, frames, *frame.shape[1:]).mean(dim=1)
        one = net.look(frame, mean.repeat_interleave(frames, dim=0))
        seen.append(one[0].half())
        none.append(one[1])
    return torch.cat(seen), torch.cat(none)


@torch.inference_mode()
def _scores(
    net: EngagementNet, looked: tuple[Tensor, Tensor], trees: Tensor, frames: int
) -> npt.NDArray[np.float64]:
    """Mean logit of the frames of each catheter."""
    logits = [
        net(looked[0][at : at + _AT_ONCE].float(), looked[1][at : at + _AT_ONCE], trees[at : at + _AT_ONCE])
        for at in range(0, len(trees), _AT_ONCE)
    ]
    return np.asarray(torch.cat(logits).double().reshape(-1, frames).mean(dim=1).numpy())


def _trees(runs: EngagedRuns, index: Index) -> Tensor:
    return torch.from_numpy(runs.tree[index])[:, None].float()


def _spoiled(rng: Rng, runs: EngagedRuns, index: Index) -> Tensor:
    """Trees as a roadmap would lay them."""
    trees = runs.tree[index].copy()
    for tree, laid in zip(trees, runs.laid[index], strict=True):
        if rng.random() < _WITH_CATHETER:
            _draw(tree, laid[: rng.integers(_SHORTEST, len(laid))] / 2)
        for _ in range(rng.poisson(_LOST)):
            row, column = rng.integers(0, GRID, 2)
            half = int(rng.integers(*_LOST_PX))
            tree[max(row - half, 0) : row + half, max(column - half, 0) : column + half] = False
        down, right = np.rint(rng.normal(0.0, _ASIDE_PX, 2)).astype(int)
        tree[:] = np.roll(tree, (down, right), (0, 1))
    return torch.from_numpy(trees)[:, None].float()


def _draw(tree: npt.NDArray[np.bool_], places: npt.NDArray[np.float32]) -> None:
    """Put a catheter into a tree (128, 128); places (K, 2), column and row."""
    fine = np.linspace(0, len(places) - 1, _FINER * len(places))
    way = np.stack([np.interp(fine, np.arange(len(places)), places[:, k]) for k in (0, 1)], axis=1)
    at = np.rint(way[((way >= 0) & (way <= GRID - 1)).all(axis=1)]).astype(int)
    tree[at[:, 1], at[:, 0]] = True
