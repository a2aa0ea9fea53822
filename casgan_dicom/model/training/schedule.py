"""The learning rate over the steps of a run, as a share of the base rate."""

from __future__ import annotations

from casgan_dicom.model.settings import OptimSettings


def learning_rate_factor(step: int, optim: OptimSettings) -> float:
    """Share of the base rate at `step`, counted from 0.

    "linear": 1, then a straight line to 0 over the last `decay_steps` (CycleGAN's, in steps, not epochs).
    "step": `step_gamma` to the power of the falls so far, one every `step_every` steps (UNIT's).
    "constant": 1.
    """
    if optim.schedule == "constant":
        return 1.0
    if optim.schedule == "step":
        return float(optim.step_gamma ** (step // optim.step_every))
    flat = optim.steps - optim.decay_steps
    return 1.0 if step < flat else max(0.0, 1 - (step - flat + 1) / (optim.decay_steps + 1))
