"""Draws for the guided generator: pair, guide and truth belong together, whatever is varied."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from casgan_dicom.model.data.batch import Batch
from casgan_dicom.model.data.guided_sampler import Astray, GuidedSampler
from casgan_dicom.model.networks.guided import corrected, enlarged
from casgan_dicom.model.preset_files import load_settings
from tests.model.toys import made_up_guides, tiny_sampler

SETTINGS = load_settings("casgan", "smoke")
TRUE = Astray(shift_px=0, turn=0, uneven_px=0, another=0)
SEED = 4


def drawn(astray: Astray, size: int = 8, seed: int = SEED) -> Batch:
    sampler = GuidedSampler(tiny_sampler(SETTINGS), made_up_guides(), astray)
    return sampler.batch(size, torch.Generator().manual_seed(seed))


def darkening(batch: Batch) -> Tensor:
    return batch.truth["shown"] - batch.truth["twin_shown"]


def test_a_guide_without_errors_lies_on_the_vessels() -> None:
    batch = drawn(TRUE)

    guide, mask = batch.truth["guide"], batch.mask
    assert mask is not None
    assert bool((batch.truth["own"] == 1).all())
    assert float(guide[mask > 0].min()) > 0.1  # half a depth of 0.3, where the edge is interpolated
    assert float(guide[mask == 0].max()) < 0.2
    assert float(darkening(batch)[mask > 0].min()) > 0
    assert float(darkening(batch)[guide == 0].abs().max()) < 1e-6


@pytest.mark.parametrize(
    "astray",
    [replace(TRUE, shift_px=4), replace(TRUE, turn=0.03), replace(TRUE, uneven_px=2), Astray(another=0)],
)
def test_moving_a_guide_back_by_what_it_is_off_gives_the_true_one(astray: Astray) -> None:
    """To first order: what is off changes by less than a tenth of a pixel in a pixel."""
    batch, true = drawn(astray), drawn(TRUE)
    off = enlarged(batch.truth["off"], (256, 256))

    back = corrected(batch.truth["guide"], -off, torch.zeros_like(off[:, :1]))

    wrong = (batch.truth["guide"] - true.truth["guide"])[..., 24:-24, 24:-24].abs().mean()
    left = (back - true.truth["guide"])[..., 24:-24, 24:-24].abs().mean()
    assert float(wrong) > 5 * float(left) > 0


def test_another_patients_guide_is_not_this_ones_and_is_called_so() -> None:
    batch, true = drawn(replace(TRUE, another=1.0)), drawn(TRUE)

    assert not bool(batch.truth["own"].any())
    assert not bool(batch.truth["off"].any())
    same = [torch.equal(a, b) for a, b in zip(batch.truth["guide"], true.truth["guide"], strict=True)]
    assert not any(same)


def test_network_values_and_levels_are_those_of_the_bent_frames() -> None:
    batch = drawn(TRUE)
    low, high = batch.truth["levels"][:, :, None, None].chunk(2, dim=1)
    to = SETTINGS.normalisation
    slope = (to.high - to.low) / (high - low)

    wanted = (to.low + (batch.truth["shown"] - low) * slope).clamp(-1, 1)

    torch.testing.assert_close(batch.x, wanted)
    assert len(torch.unique(batch.truth["levels"][:, 0])) == len(batch.x)
    assert 0 <= float(batch.truth["shown"].min()) <= float(batch.truth["shown"].max()) <= 1


def test_draws_depend_on_their_generator_alone() -> None:
    one, same, other = (drawn(Astray(), seed=seed) for seed in (1, 1, 2))

    assert torch.equal(one.x, same.x)
    assert torch.equal(one.y, same.y)
    assert all(torch.equal(one.truth[name], same.truth[name]) for name in one.truth)
    assert not torch.equal(one.x, other.x)
    assert one.x.shape == one.y.shape == (8, 1, 256, 256)
    assert np.isfinite(one.y.numpy()).all()
