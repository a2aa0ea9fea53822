"""Segment, then paint: its terms written out, what each stage learns from, and that it only darkens."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from casgan_dicom.model.data.batch import Batch
from casgan_dicom.model.methods.segment_then_paint import SegmentThenPaint, darkened, l1_inside, truth
from casgan_dicom.model.networks.instance_unet import InstanceUNet
from casgan_dicom.model.networks.unet import UNet
from casgan_dicom.model.preset_files import load_settings
from tests.model.methods.naive import grads, paired_batch
from tests.model.toys import tiny_settings

ALL_TERMS = dict.fromkeys(SegmentThenPaint.terms, 1.0)


def method_of(*, adversary: bool = True, gan: str = "lsgan", **net: object) -> SegmentThenPaint:
    torch.manual_seed(5)
    tables: dict[str, dict[str, object]] = {
        "weights": {"gan_y": 1 if adversary else 0},
        "optim": {"gan": gan},
        "net": net,
    }
    return SegmentThenPaint(tiny_settings(tables, method="segment-then-paint"), UNet(4)).train()


@torch.no_grad()
def naive_terms(method: SegmentThenPaint, batch: Batch, gan: str) -> dict[str, float]:
    """The terms pixel by pixel; the Dice and the adversary sample by sample."""
    assert batch.twin is not None
    assert batch.mask is not None
    finder, painter, judge = *method.generators.values(), method.discriminators["d_y"]
    mask_terms, gan_terms, paid, inside = [], [], 0.0, 0
    for k in range(len(batch.x)):
        x, twin, m = (t[k : k + 1] for t in (batch.x, batch.twin, batch.mask))
        a = 1 / (1 + torch.exp(-finder(x).double()))
        d = (x + 1) / (1 + torch.exp(-painter(torch.cat([x, a.float()], dim=1)).double()))
        bce = -(m * torch.log(a) + (1 - m) * torch.log(1 - a)).mean()
        dice = 1 - (2 * (a * m).sum() + 1) / (a.sum() + m.sum() + 1)
        mask_terms.append(float(0.5 * bce + 0.5 * dice))
        score = judge((x - d * a).float())
        gan_terms.append(
            float(((score - 1) ** 2).mean() if gan == "lsgan" else -torch.log(torch.sigmoid(score)).mean())
        )
        paid += float((x - d - twin)[m == 1].abs().sum())
        inside += int((m == 1).sum())
    return {
        "mask": sum(mask_terms) / len(mask_terms),
        "pair_l1": paid / inside,
        "gan_y": sum(gan_terms) / len(gan_terms),
    }


@pytest.mark.parametrize("gan", ["lsgan", "vanilla"])
def test_every_term_equals_its_equation(gan: str) -> None:
    method, batch = method_of(gan=gan), paired_batch()

    method.paint(batch)
    found = method.generator_losses(batch, ALL_TERMS)

    expected = naive_terms(method, batch, gan)
    assert found.keys() == expected.keys() == set(SegmentThenPaint.terms)
    for name, value in found.items():
        assert float(value.detach()) == pytest.approx(expected[name], rel=1e-4), name


@pytest.mark.parametrize(
    ("term", "moved"),
    [("mask", {"finder"}), ("pair_l1", {"painter"}), ("gan_y", {"finder", "painter"})],
)
def test_each_stage_learns_from_its_own_term(term: str, moved: set[str]) -> None:
    method, batch = method_of(), paired_batch()
    method.paint(batch)
    losses = method.generator_losses(batch, {term: 1})
    losses[term].backward()  # type: ignore[no-untyped-call]
    assert losses.keys() == {term}
    assert {name for name, net in method.generators.items() if grads(net) > 0} == moved


def test_all_terms_together_reach_every_parameter() -> None:
    method, batch = method_of(), paired_batch()
    method.paint(batch)
    torch.stack(list(method.generator_losses(batch, ALL_TERMS).values())).sum().backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in method.generators.parameters())


def test_a_crop_without_vessels_costs_the_painter_nothing_and_breaks_nothing() -> None:
    image = torch.rand(1, 1, 8, 8, requires_grad=True)
    loss = l1_inside(image, torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8))
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == 0
    assert image.grad is not None
    assert not bool(image.grad.any())


def test_it_darkens_and_never_brightens_whatever_the_painter_says() -> None:
    x = torch.linspace(-1, 1, 64).reshape(1, 1, 8, 8)
    for logit in (-100.0, -1.0, 0.0, 3.0, 100.0):
        context = darkened(x, torch.full_like(x, logit))
        assert bool((context <= x).all())
        assert bool((context >= -1).all())
    assert torch.equal(darkened(x, torch.full_like(x, -200.0)), x)


def test_the_image_is_darker_where_the_mask_is_and_the_background_stays() -> None:
    method, x = method_of().eval(), paired_batch().x
    y_g, attention = method.translate(x)
    assert attention is not None
    assert 0 <= float(attention.detach().min()) <= float(attention.detach().max()) <= 1
    assert bool((y_g <= x + 1e-6).all())

    finder = method.generators["finder"]
    assert isinstance(finder, InstanceUNet)
    assert finder.head.bias is not None
    nn.init.constant_(finder.head.bias, -200.0)  # no vessel anywhere
    assert torch.equal(method.translate(x)[0], x)


def test_translation_is_deterministic_on_the_deployed_networks_and_for_any_size() -> None:
    method = method_of().eval()
    x = torch.rand(1, 1, 44, 68, generator=torch.Generator().manual_seed(2)) * 2 - 1
    nets = nn.ModuleDict({name: method.generators[name] for name in SegmentThenPaint.deployed})
    first = SegmentThenPaint.predict_maps(nets, method.settings, x)
    second = SegmentThenPaint.predict_maps(nets, method.settings, x)
    for a, b in zip(first, second, strict=True):
        assert a is not None
        assert b is not None
        assert a.shape == x.shape
        assert torch.equal(a, b)


def test_without_a_weight_there_is_no_adversary_at_all() -> None:
    method, batch = method_of(adversary=False), paired_batch()
    method.paint(batch)
    assert len(method.discriminators) == 0
    assert method.discriminator_samples(batch) == {}
    assert method.generator_losses(batch, {"mask": 1, "gan_y": 0}).keys() == {"mask"}


def test_the_adversary_sees_angiograms_and_the_painted_image() -> None:
    method, batch = method_of(), paired_batch()
    method.paint(batch)
    real, fake = method.discriminator_samples(batch)["d_y"]
    assert torch.equal(real, batch.y)
    assert not fake.requires_grad
    torch.testing.assert_close(fake, method.translate(batch.x)[0].detach())


class Untouchable(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        raise AssertionError("a term of weight 0 was computed")


def test_terms_of_weight_zero_are_not_computed() -> None:
    method, batch = method_of(), paired_batch()
    method.discriminators["d_y"] = Untouchable()
    method.paint(batch)
    assert method.generator_losses(batch, {"mask": 1, "pair_l1": 2, "gan_y": 0}).keys() == {"mask", "pair_l1"}
    with pytest.raises(AssertionError, match="weight 0"):
        method.generator_losses(batch, {"gan_y": 1})


def test_batches_without_truth_are_refused() -> None:
    batch, method = paired_batch(), method_of()
    bare = Batch(batch.x, batch.y)
    method.paint(bare)
    with pytest.raises(ValueError, match="without twin and mask"):
        method.generator_losses(bare, ALL_TERMS)
    with pytest.raises(ValueError, match="without twin and mask"):
        truth(Batch(batch.x, batch.y, batch.twin))


def test_losses_before_painting_are_a_mistake_of_the_caller() -> None:
    with pytest.raises(RuntimeError, match="paint comes first"):
        method_of().generator_losses(paired_batch(), ALL_TERMS)


def test_the_finder_starts_at_the_share_of_vessels_in_a_frame() -> None:
    """With no weight in its last layer it would say 5 % everywhere."""
    method = method_of(init="kaiming")
    method.initialise(torch.Generator().manual_seed(3))
    finder = method.generators["finder"]
    assert isinstance(finder, InstanceUNet)
    nn.init.zeros_(finder.head.weight)
    _, attention = method.translate(paired_batch().x)
    assert attention is not None
    torch.testing.assert_close(attention, torch.full_like(attention, 0.05))


def test_diagnostics_are_the_mean_of_the_mask() -> None:
    method, batch = method_of(), paired_batch()
    assert method.diagnostics() == {}
    method.paint(batch)
    _, attention = method.translate(batch.x)
    assert attention is not None
    assert method.diagnostics() == {"mean_attention": pytest.approx(float(attention.detach().mean()))}


def test_it_learns_a_vessel_that_can_be_seen() -> None:
    """Stripes with a faint trace in x: the mask finds them, and the twin is met better than by x itself."""
    method = method_of(adversary=False, init="kaiming")
    method.initialise(torch.Generator().manual_seed(1))
    optimiser = torch.optim.Adam(method.generators.parameters(), lr=1e-2)
    draws = torch.Generator().manual_seed(2)

    def striped() -> Batch:
        mask = torch.zeros(2, 1, 64, 64)
        for k, left in enumerate(torch.randint(0, 56, (2,), generator=draws).tolist()):
            mask[k, :, :, left : left + 8] = 1
        plain = 0.2 * torch.randn(2, 1, 64, 64, generator=draws)
        return Batch(plain - 0.3 * mask, plain, plain - 0.8 * mask, mask)

    for _ in range(50):
        batch = striped()
        method.paint(batch)
        losses = method.generator_losses(batch, {"mask": 1, "pair_l1": 1})
        optimiser.zero_grad()
        torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    unseen = striped()
    twin, mask = truth(unseen)
    with torch.no_grad():
        y_g, attention = method.eval().translate(unseen.x)
    assert attention is not None
    assert float(attention[mask == 1].mean()) > 5 * float(attention[mask == 0].mean())
    assert float((y_g - twin).abs().mean()) < float((unseen.x - twin).abs().mean())


def test_it_says_that_it_is_ours_and_needs_pairs() -> None:
    assert SegmentThenPaint.needs_pairs
    assert SegmentThenPaint.beyond_paper
    for preset in ("paper", "desk", "smoke"):
        settings = load_settings("segment-then-paint", preset)
        assert settings.weights == {"mask": 1, "pair_l1": 1, "gan_y": 0}
    assert "simulator only" in load_settings("segment-then-paint", "desk").description
