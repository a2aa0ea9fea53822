"""Checkpoints of a training run: everything that resuming bit for bit needs, nothing that can run code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from casgan_dicom.disk import whole_file
from casgan_dicom.errors import WeightsError

FORMAT = 1


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write `state` (tensors and plain values) to `path`, complete or not at all."""
    with whole_file(path) as file:
        torch.save(state | {"format": FORMAT}, file)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read what `save_checkpoint` wrote; raises WeightsError for anything else."""
    if not path.is_file():
        raise WeightsError(
            f"no checkpoint '{path.name}' in run '{path.parent.name}'", hint="leave --resume out"
        )
    try:
        state: object = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # an unpickler fed with garbage raises anything
        told = f"{type(error).__name__}: {error}"
        raise WeightsError(f"checkpoint '{path.name}' cannot be read ({told})") from error
    found = state.get("format") if isinstance(state, dict) else None
    if not isinstance(state, dict) or found != FORMAT:
        raise WeightsError(f"checkpoint '{path.name}' has format {found!r}, want {FORMAT}")
    return state


def random_state(*generators: torch.Generator) -> dict[str, Any]:
    """State of torch's global random numbers (CPU and CUDA) and of the given generators."""
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "own": [generator.get_state() for generator in generators],
    }


def restore_random_state(state: dict[str, Any], *generators: torch.Generator) -> None:
    """Set what `random_state` returned."""
    torch.set_rng_state(state["torch"])
    for number in range(min(len(state["cuda"]), torch.cuda.device_count())):  # there may be fewer GPUs now
        torch.cuda.set_rng_state(state["cuda"][number], number)
    for generator, own in zip(generators, state["own"], strict=True):
        generator.set_state(own)
