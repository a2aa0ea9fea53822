"""The paired oracle: its two terms written out, its frozen segmentor, and that it learns from pairs."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from casgan_dicom.model.data.batch import Batch
from casgan_dicom.model.methods.oracle import Oracle
from casgan_dicom.model.networks.instance_unet import InstanceUNet
from casgan_dicom.model.networks.unet import UNet
from casgan_dicom.model.preset_files import load_settings
from tests.model.methods.naive import paired_batch
from tests.model.toys import tiny_settings

ALL_TERMS = dict.fromkeys(Oracle.terms, 1.0)


def method_of() -> Oracle:
    torch.manual_seed(5)
    segmentor = UNet(4)
    for name, buffer in segmentor.named_buffers():
        if name.endswith("var"):
            buffer.uniform_(0.1, 0.3)  # about what its layers see, so that no ReLU is dead
    return Oracle(tiny_settings(method="oracle"), segmentor).train()


@torch.no_grad()
def test_every_term_equals_its_equation() -> None:
    method, batch = method_of(), paired_batch()
    assert batch.twin is not None
    assert batch.mask is not None

    method.paint(batch)
    found = method.generator_losses(batch, ALL_TERMS)

    paid, weights, dice = 0.0, 0.0, []
    for x, twin, m in zip(batch.x, batch.twin, batch.mask, strict=True):
        y_g = x + method.generators["residual"](x[None])[0]
        vessel, background = (m == 1), (m == 0)
        error = (y_g - twin).abs().double()
        paid += float(error[vessel].sum() + 0.03 * error[background].sum())
        weights += float(vessel.sum()) + 0.03 * float(background.sum())
        s = 1 / (1 + torch.exp(-method.segmentor(y_g[None])[0]))
        dice.append(1 - float((2 * (s * m).sum() + 1) / (s.sum() + m.sum() + 1)))
    assert found.keys() == set(Oracle.terms)
    assert float(found["pair_l1"]) == pytest.approx(paid / weights, rel=1e-4)
    assert float(found["pair_dice"]) == pytest.approx(sum(dice) / len(dice), rel=1e-4)


@pytest.mark.parametrize("term", Oracle.terms)
def test_each_term_reaches_every_parameter_but_not_the_segmentor(term: str) -> None:
    method, batch = method_of(), paired_batch()
    before = {name: value.clone() for name, value in method.segmentor.state_dict().items()}

    method.paint(batch)
    losses = method.generator_losses(batch, {term: 1})
    losses[term].backward()  # type: ignore[no-untyped-call]

    assert losses.keys() == {term}
    gradients = [p.grad for p in method.generators.parameters()]
    assert all(grad is not None and bool(grad.isfinite().all()) for grad in gradients)
    assert sum(float(grad.abs().sum()) for grad in gradients if grad is not None) > 0
    assert not method.segmentor.training
    assert all(p.grad is None for p in method.segmentor.parameters())
    after = method.segmentor.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


class Untouchable(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        raise AssertionError("a term of weight 0 was computed")


def test_terms_of_weight_zero_are_not_computed() -> None:
    method, batch = method_of(), paired_batch()
    method.segmentor.forward = Untouchable().forward  # type: ignore[method-assign]
    method.paint(batch)
    assert method.generator_losses(batch, {"pair_l1": 1, "pair_dice": 0}).keys() == {"pair_l1"}
    with pytest.raises(AssertionError, match="weight 0"):
        method.generator_losses(batch, {"pair_dice": 1})


def test_there_is_no_adversary() -> None:
    method, batch = method_of(), paired_batch()
    method.paint(batch)
    assert len(method.discriminators) == 0
    assert method.discriminator_samples(batch) == {}


def test_translation_is_deterministic_in_range_and_for_any_size() -> None:
    method = method_of().eval()
    x = torch.rand(1, 1, 44, 68, generator=torch.Generator().manual_seed(2)) * 2 - 1
    nets = nn.ModuleDict({name: method.generators[name] for name in Oracle.deployed})
    residual = nets["residual"]
    assert isinstance(residual, InstanceUNet)
    nn.init.normal_(residual.head.weight, std=3, generator=torch.Generator().manual_seed(3))

    drawn, attention = Oracle.predict_maps(nets, method.settings, x)

    assert attention is None
    assert torch.equal(drawn, Oracle.predict_maps(nets, method.settings, x)[0])
    wanted = x + residual(x)
    assert bool((wanted.abs() > 1).any())
    assert torch.equal(drawn, wanted.clamp(-1, 1))


def test_misuse_is_named() -> None:
    method, batch = method_of(), paired_batch()
    with pytest.raises(RuntimeError, match="paint comes first"):
        method.generator_losses(batch, ALL_TERMS)
    method.paint(batch)
    with pytest.raises(ValueError, match="without twin and mask"):
        method.generator_losses(Batch(batch.x, batch.y), ALL_TERMS)


def test_it_learns_a_vessel_that_can_be_seen() -> None:
    """A faint trace in x is deepened: nearer to the twin than x is, on a frame it never saw."""
    method = method_of()
    method.initialise(torch.Generator().manual_seed(1))
    optimiser = torch.optim.Adam(method.generators.parameters(), lr=3e-3)
    draws = torch.Generator().manual_seed(2)

    def striped() -> Batch:
        mask = torch.zeros(2, 1, 64, 64)
        for k, left in enumerate(torch.randint(0, 56, (2,), generator=draws).tolist()):
            mask[k, :, :, left : left + 8] = 1
        plain = 0.2 * torch.randn(2, 1, 64, 64, generator=draws)
        return Batch(plain - 0.3 * mask, plain, plain - 0.8 * mask, mask)

    for _ in range(60):
        batch = striped()
        method.paint(batch)
        optimiser.zero_grad()
        method.generator_losses(batch, {"pair_l1": 1})["pair_l1"].backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    unseen = striped()
    assert unseen.twin is not None
    with torch.no_grad():
        y_g, _ = method.eval().translate(unseen.x)
    assert float((y_g - unseen.twin).abs().mean()) < 0.8 * float((unseen.x - unseen.twin).abs().mean())


def test_it_says_that_it_is_ours_needs_pairs_and_is_for_the_simulator_only() -> None:
    assert Oracle.needs_pairs
    assert Oracle.beyond_paper
    assert "simulator only" in Oracle.title
    for preset in ("paper", "desk", "smoke"):
        assert load_settings("oracle", preset).weights == {"pair_l1": 5, "pair_dice": 4}
    assert "simulator only" in load_settings("oracle", "desk").description
