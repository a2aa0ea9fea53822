"""CAS-GAN: its terms against the equations written out naively, its switches, its gradients."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from casgan_dicom.model.data.batch import Batch
from casgan_dicom.model.methods.base import Losses
from casgan_dicom.model.methods.casgan import CasGan, CasOptions, build_generators, predict_maps
from casgan_dicom.model.networks.attention import compose
from casgan_dicom.model.networks.unet import UNet
from casgan_dicom.model.settings import NetSettings
from tests.model.methods.naive import grads, paired_batch
from tests.model.toys import tiny_settings

ROWS = list(itertools.product([False, True], repeat=3))
"""The eight rows of the ablation: (drl, vsgg, vsgl)."""
NOISE_SEED = 11
ALL_TERMS = dict.fromkeys(CasGan.terms, 1.0)


def switches(drl: bool, vsgg: bool, vsgl: bool, **more: object) -> dict[str, object]:
    return {"drl": drl, "vsgg": vsgg, "vsgl": vsgl, "cycle_noise": 0.02, **more}


def method_of(cas: Mapping[str, object], gan: str = "lsgan") -> CasGan:
    """Networks with random weights; the segmentor's batch statistics are random too."""
    torch.manual_seed(5)
    segmentor = UNet(4)
    for name, buffer in segmentor.named_buffers():
        if name.endswith("mean"):
            buffer.uniform_(-0.1, 0.1)
        elif name.endswith("var"):
            buffer.uniform_(0.1, 0.3)  # about what its layers see, so that no ReLU is dead
    return CasGan(tiny_settings({"cas": cas, "optim": {"gan": gan}}), segmentor).train()


def losses_of(method: CasGan, batch: Batch, weights: Mapping[str, float]) -> Losses:
    """What the trainer does for the generator's side."""
    method.paint(batch)
    return method.generator_losses(batch, weights)


def l1(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).abs().mean()


def fooling(score: Tensor, gan: str) -> Tensor:
    """What the generator pays for a score that should look real."""
    return ((score - 1) ** 2).mean() if gan == "lsgan" else -torch.log(torch.sigmoid(score)).mean()


def dice_loss(p: Tensor, t: Tensor) -> Tensor:
    return 1 - (2 * (p * t).sum() + 1) / (p.sum() + t.sum() + 1)


class Naive:
    """The equations for one sample at a time, straight from the networks' own outputs."""

    def __init__(self, method: CasGan, gan: str) -> None:
        self.g, self.d, self.cas, self.gan = method.generators, method.discriminators, method.cas, gan
        self.unet = method.segmentor

    def paint(self, base: Tensor, z_bg: Tensor, z_vess: Tensor) -> tuple[Tensor, Tensor | None]:
        if self.cas.vsgg:
            attention, context = self.g["vessel"](z_vess)
            return base - base * attention + context * attention, attention
        if self.cas.drl:
            return self.g["dec_y"](self.g["fuse"](torch.cat([z_bg, z_vess], 1))), None
        return self.g["dec_y"](z_bg), None

    def sample(self, x: Tensor, y: Tensor, noise: Tensor) -> dict[str, Tensor]:
        terms = self._drl(x, y, noise) if self.cas.drl else self._plain(x, y, noise)
        terms["gan_y"] = fooling(self.d["d_y"](self.y_g), self.gan)
        terms["gan_x"] = fooling(self.d["d_x"](self.x_g), self.gan)
        if self.cas.vsgl:
            terms["gan_sem"] = fooling(self.d["d_sem"](torch.sigmoid(self.unet(self.y_g))), self.gan)
        return terms

    def _drl(self, x: Tensor, y: Tensor, noise: Tensor) -> dict[str, Tensor]:
        e_bg, e_vess, m, g_bg = (self.g[name] for name in ("enc_bg", "enc_vess", "predictor", "dec_bg"))
        z_x, z_y, v_y = e_bg(x), e_bg(y), e_vess(y)
        self.y_g, self.attention = self.paint(x, z_x, m(z_x))
        self.x_g = g_bg(z_y)
        z_back = e_bg(self.x_g + noise)
        y_rec, _ = self.paint(self.x_g, z_y, v_y)
        y_cyc, _ = self.paint(self.x_g, z_back, m(z_back))
        return {
            "pred": l1(m(z_y), v_y),
            "cyc_img": l1(g_bg(e_bg(self.y_g)), x) + l1(y_cyc, y),
            "cyc_lat": l1(e_bg(self.y_g), z_x) + l1(e_vess(self.y_g), m(z_x)) + l1(z_back, z_y),
            "rec": l1(g_bg(z_x), x) + l1(y_rec, y),
        }

    def _plain(self, x: Tensor, y: Tensor, noise: Tensor) -> dict[str, Tensor]:
        e_x, e_y, dec_x = (self.g[name] for name in ("enc_bg", "enc_y", "dec_bg"))
        self.y_g, self.attention = self.paint(x, e_x(x), e_x(x))
        self.x_g = dec_x(e_y(y))
        z_back = e_x(self.x_g + noise)
        y_cyc, _ = self.paint(self.x_g, z_back, z_back)
        y_idt, _ = self.paint(y, e_x(y), e_x(y))
        return {
            "cyc_img": l1(dec_x(e_y(self.y_g)), x) + l1(y_cyc, y),
            "idt": l1(dec_x(e_y(x)), x) + l1(y_idt, y),
        }


def naive_terms(method: CasGan, batch: Batch, gan: str) -> dict[str, float]:
    naive = Naive(method, gan)
    torch.manual_seed(NOISE_SEED)
    noise = method.cas.cycle_noise * torch.randn(batch.x.shape)
    assert batch.twin is not None
    assert batch.mask is not None
    rows: list[dict[str, Tensor]] = []
    paid, weights = torch.zeros(()), torch.zeros(())
    for k in range(len(batch.x)):
        x, y, twin, mask = (t[k : k + 1] for t in (batch.x, batch.y, batch.twin, batch.mask))
        terms = naive.sample(x, y, noise[k : k + 1])
        weight = torch.where(mask > 0, 1.0, 0.03)
        paid, weights = paid + (weight * (naive.y_g - twin).abs()).sum(), weights + weight.sum()
        terms["pair_dice"] = dice_loss(torch.sigmoid(method.segmentor(naive.y_g)), mask)
        if naive.attention is not None:
            terms["pair_attention"] = dice_loss(naive.attention, mask)
            terms["sparsity"] = naive.attention.sum() / naive.attention.numel()
        rows.append(terms)
    means = {name: float(torch.stack([row[name] for row in rows]).mean().detach()) for name in rows[0]}
    return means | {"pair_l1": float((paid / weights).detach())}


@pytest.mark.parametrize("gan", ["lsgan", "vanilla"])
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_every_term_equals_its_equation(row: tuple[bool, bool, bool], gan: str) -> None:
    method, batch = method_of(switches(*row), gan), paired_batch()
    expected = naive_terms(method, batch, gan)

    torch.manual_seed(NOISE_SEED)
    found = losses_of(method, batch, ALL_TERMS)

    assert found.keys() == expected.keys()
    for name, value in found.items():
        # float32 through some twenty layers, batched here and sample by sample there
        assert float(value.detach()) == pytest.approx(expected[name], rel=2e-4), name


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_discriminators_see_the_fakes_of_the_generator_step(row: tuple[bool, bool, bool]) -> None:
    method, batch = method_of(switches(*row)), paired_batch(1)
    naive = Naive(method, "lsgan")
    naive.sample(batch.x, batch.y, torch.zeros_like(batch.x))

    losses_of(method, batch, ALL_TERMS)
    samples = method.discriminator_samples(batch)

    expected = {"d_x": (batch.x, naive.x_g), "d_y": (batch.y, naive.y_g)}
    if method.cas.vsgl:
        expected["d_sem"] = (method.segmentor.soft_mask(batch.y), method.segmentor.soft_mask(naive.y_g))
    assert samples.keys() == expected.keys() == dict(method.discriminators.items()).keys()
    for name, (real, fake) in samples.items():
        assert not real.requires_grad
        assert not fake.requires_grad
        torch.testing.assert_close(real, expected[name][0])
        torch.testing.assert_close(fake, expected[name][1].detach(), rtol=1e-3, atol=1e-4)


def test_a_temperature_softens_the_map_that_the_semantic_discriminator_sees() -> None:
    soft, batch = method_of(switches(True, True, True, sem_temperature=3.0)), paired_batch(1)

    gan_sem = losses_of(soft, batch, {"gan_sem": 1})["gan_sem"]
    real, fake = soft.discriminator_samples(batch)["d_sem"]

    torch.testing.assert_close(real, 1 / (1 + torch.exp(-soft.segmentor(batch.y) / 3)))
    torch.testing.assert_close(gan_sem, ((soft.discriminators["d_sem"](fake) - 1) ** 2).mean())


def test_where_nothing_is_drawn_a_temperature_leaves_a_gradient() -> None:
    """A segmentor that is sure of nothing gives D_Sem's map a slope of about e^-9 at temperature 1."""
    slopes = []
    for temperature in (1.0, 4.0):
        logits = torch.full((1, 1, 64, 64), -9.0, requires_grad=True)
        method = method_of(switches(True, True, True, sem_temperature=temperature))
        method._semantic(logits).sum().backward()  # type: ignore[no-untyped-call]
        assert logits.grad is not None
        slopes.append(float(logits.grad.mean()))
    assert slopes[0] < 2e-4
    assert slopes[1] > 0.02


def test_discriminators_of_angiograms_also_reject_the_input_where_asked() -> None:
    method, batch = method_of(switches(True, True, True, reject_input=True)), paired_batch(1)

    losses_of(method, batch, ALL_TERMS)
    samples = method.discriminator_samples(batch)

    half = len(batch.x)
    torch.testing.assert_close(samples["d_y"][1][half:], batch.x)
    torch.testing.assert_close(samples["d_sem"][1][half:], method.segmentor.soft_mask(batch.x))
    assert {name: len(fake) // half for name, (_, fake) in samples.items()} == {
        "d_x": 1,
        "d_y": 2,
        "d_sem": 2,
    }


def test_samples_before_painting_are_a_mistake_of_the_caller() -> None:
    with pytest.raises(RuntimeError, match="paint comes first"):
        method_of(switches(True, True, True)).discriminator_samples(paired_batch())


def test_the_segmentor_is_frozen_yet_its_gradient_reaches_the_generator() -> None:
    method = method_of(switches(True, True, True))
    before = {name: value.clone() for name, value in method.segmentor.state_dict().items()}

    losses_of(method, paired_batch(), {"gan_sem": 1})["gan_sem"].backward()  # type: ignore[no-untyped-call]

    assert method.training
    assert not method.segmentor.training
    assert all(p.grad is None for p in method.segmentor.parameters())
    after = method.segmentor.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    for name in ("enc_bg", "predictor", "vessel"):
        assert grads(method.generators[name]) > 0


@pytest.mark.parametrize("stopped", [False, True])
def test_stop_gradient_keeps_the_prediction_loss_away_from_its_target(stopped: bool) -> None:
    method = method_of(switches(True, True, True, pred_stopgrad=stopped))
    losses_of(method, paired_batch(), {"pred": 1})["pred"].backward()  # type: ignore[no-untyped-call]
    assert (grads(method.generators["enc_vess"]) == 0) is stopped
    assert grads(method.generators["predictor"]) > 0


class Untouchable(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        raise AssertionError("a term of weight 0 was computed")


def test_terms_of_weight_zero_are_not_computed() -> None:
    method = method_of(switches(True, True, True))
    method.discriminators["d_y"] = Untouchable()
    losses = losses_of(method, paired_batch(), {"gan_x": 1, "gan_y": 0, "rec": 2})
    assert losses.keys() == {"gan_x", "rec"}
    with pytest.raises(AssertionError, match="weight 0"):
        losses_of(method, paired_batch(), {"gan_y": 1})


def test_the_segmentor_is_not_run_where_no_term_needs_it() -> None:
    method = method_of(switches(True, True, False))
    method.segmentor.forward = Untouchable().forward  # type: ignore[method-assign]
    losses_of(method, paired_batch(), {"rec": 1})
    with pytest.raises(AssertionError):
        losses_of(method, paired_batch(), {"rec": 1, "pair_dice": 1})


def test_unpaired_batches_have_no_paired_terms() -> None:
    batch = paired_batch()
    losses = losses_of(method_of(switches(True, True, True)), Batch(batch.x, batch.y), ALL_TERMS)
    assert not [name for name in losses if name.startswith("pair_")]


def test_truth_never_reaches_an_unpaired_term() -> None:
    """With and without twin and mask every unpaired term has the same value and the same gradient."""
    batch, method = paired_batch(), method_of(switches(True, True, True))
    weights = {name: 1.0 for name in CasGan.terms if not name.startswith("pair_")}
    seen = []
    for given in (batch, Batch(batch.x, batch.y)):
        method.zero_grad()
        torch.manual_seed(NOISE_SEED)
        torch.stack(list(losses_of(method, given, weights).values())).sum().backward()  # type: ignore[no-untyped-call]
        seen.append([p.grad.clone() for p in method.generators.parameters() if p.grad is not None])
    assert len(seen[0]) == len(list(method.generators.parameters()))
    assert all(torch.equal(a, b) for a, b in zip(*seen, strict=True))


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_translation_uses_the_deployed_networks_only(row: tuple[bool, bool, bool]) -> None:
    method, x = method_of(switches(*row)).eval(), paired_batch(1).x
    y_g, attention = method.translate(x)
    deployed = nn.ModuleDict(
        {name: net for name, net in method.generators.items() if name in CasGan.deployed}
    )

    drawn, again = predict_maps(deployed, method.cas, x)

    if method.cas.vsgg:
        assert attention is not None
        assert again is not None
        assert torch.equal(attention, again)
        assert torch.equal(y_g, compose(x, drawn, again))
    else:
        assert attention is again is None
        assert torch.equal(y_g, drawn)


def test_deployed_path_has_16_and_a_half_million_parameters() -> None:
    with torch.device("meta"):
        nets = build_generators(NetSettings(), CasOptions())
    sizes = {name: sum(p.numel() for p in net.parameters()) for name, net in nets.items()}
    assert sum(sizes[name] for name in CasGan.deployed if name in sizes) == 16_524_034
    assert sum(sizes.values()) == 16_524_034 + 5_092_864 + 5_092_609  # with E_Vess and G_BG: 26.7 million


def test_diagnostics_are_the_means_they_say_they_are() -> None:
    method, batch = method_of(switches(True, True, True)), paired_batch()
    assert method.diagnostics() == {}
    losses_of(method, batch, {"rec": 1})
    figures = method.diagnostics()
    _, attention = method.translate(batch.x)
    assert attention is not None
    z_vess = method.generators["enc_vess"](batch.y)
    m = method.generators["predictor"](method.generators["enc_bg"](batch.y))
    assert figures["mean_attention"] == pytest.approx(float(attention.detach().mean()), rel=1e-4)
    expected = float(((m - z_vess).abs().mean() / z_vess.abs().mean()).detach())
    assert figures["pred_relative"] == pytest.approx(expected, rel=1e-4)
