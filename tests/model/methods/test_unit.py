"""UNIT: its terms against the equations, one sample at a time, and what each of them moves."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.data.batch import Batch
from casgan_dicom.model.methods.unit import Unit, kl_term
from casgan_dicom.model.networks.layer_norm import MapLayerNorm
from casgan_dicom.model.networks.unet import UNet
from casgan_dicom.model.preset_files import load_settings
from tests.model.methods.naive import fooling, grads, l1, unpaired_batch
from tests.model.toys import tiny_settings

NOISE_SEED = 11
ALL_TERMS = dict.fromkeys(Unit.terms, 1.0)


def method_of(gan: str = "lsgan", **net: object) -> Unit:
    torch.manual_seed(5)
    return Unit(tiny_settings({"optim": {"gan": gan}, "net": net}, method="unit"), UNet(4)).train()


def losses_of(method: Unit, batch: Batch) -> dict[str, Tensor]:
    torch.manual_seed(NOISE_SEED)
    method.paint(batch)
    return method.generator_losses(batch, ALL_TERMS)


@torch.no_grad()
def naive_terms(method: Unit, batch: Batch, gan: str) -> dict[str, float]:
    """The equations, sample by sample; the noise is drawn in the order of the method."""
    g, d = method.generators, method.discriminators
    torch.manual_seed(NOISE_SEED)
    noise = [torch.randn(len(batch.x), 16, 16, 16) for _ in range(4)]  # of x, y and their two fakes
    rows = []
    for k in range(len(batch.x)):
        x, y = batch.x[k : k + 1], batch.y[k : k + 1]
        n_x, n_y, n_yg, n_xg = (n[k : k + 1] for n in noise)
        mu_x, mu_y = g["enc_x"](x), g["enc_y"](y)
        y_g, x_g = g["dec_y"](mu_x + n_x), g["dec_x"](mu_y + n_y)
        mu_yg, mu_xg = g["enc_y"](y_g), g["enc_x"](x_g)
        rows.append(
            {
                "gan_x": fooling(d["d_x"](x_g), gan),
                "gan_y": fooling(d["d_y"](y_g), gan),
                "rec": l1(g["dec_x"](mu_x + n_x), x) + l1(g["dec_y"](mu_y + n_y), y),
                "kl": float((mu_x**2).mean() + (mu_y**2).mean()),
                "cyc_img": l1(g["dec_x"](mu_yg + n_yg), x) + l1(g["dec_y"](mu_xg + n_xg), y),
                "kl_cyc": float((mu_yg**2).mean() + (mu_xg**2).mean()),
            }
        )
    return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}


@pytest.mark.parametrize("gan", ["lsgan", "vanilla"])
def test_every_term_equals_its_equation(gan: str) -> None:
    method, batch = method_of(gan), unpaired_batch()

    found = losses_of(method, batch)

    expected = naive_terms(method, batch, gan)
    assert found.keys() == expected.keys() == set(Unit.terms)
    for name, value in found.items():
        # float32 through some twenty layers, batched here and sample by sample there
        assert float(value.detach()) == pytest.approx(expected[name], rel=2e-4), name


def test_the_kl_term_is_twice_the_divergence_from_the_standard_normal() -> None:
    mu = torch.randn(3, 4, generator=torch.Generator().manual_seed(2))
    one = torch.ones_like(mu)
    posterior, prior = torch.distributions.Normal(mu, one), torch.distributions.Normal(0 * mu, one)
    divergence = torch.distributions.kl_divergence(posterior, prior)
    torch.testing.assert_close(kl_term(mu), 2 * divergence.mean())


def test_the_kl_term_of_bf16_means_is_summed_in_float32() -> None:
    mu = torch.randn(1, 16, 64, 64, generator=torch.Generator().manual_seed(2)).bfloat16()
    exact = float(mu.double().square().mean())
    assert float(kl_term(mu)) == pytest.approx(exact, rel=1e-5)  # bf16 itself has 2 to 3 digits


def test_discriminators_see_the_fakes_of_the_generators_without_their_gradient() -> None:
    method, batch = method_of(), unpaired_batch()
    losses = losses_of(method, batch)
    samples = method.discriminator_samples(batch)
    assert samples.keys() == dict(method.discriminators.items()).keys()
    for name, domain, real in (("d_x", "x", batch.x), ("d_y", "y", batch.y)):
        seen, fake = samples[name]
        assert torch.equal(seen, real)
        assert not fake.requires_grad
        expected = fooling(method.discriminators[name](fake), "lsgan")
        assert float(losses[f"gan_{domain}"].detach()) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("term", "moved"),
    [
        ("gan_x", {"enc_y", "dec_x"}),
        ("gan_y", {"enc_x", "dec_y"}),
        ("rec", {"enc_x", "enc_y", "dec_x", "dec_y"}),
        ("kl", {"enc_x", "enc_y"}),
        ("cyc_img", {"enc_x", "enc_y", "dec_x", "dec_y"}),
        ("kl_cyc", {"enc_x", "enc_y", "dec_x", "dec_y"}),
    ],
)
def test_a_term_moves_the_networks_on_its_way_and_no_others(term: str, moved: set[str]) -> None:
    method, batch = method_of(), unpaired_batch(1)
    method.paint(batch)
    losses = method.generator_losses(batch, {term: 1})
    losses[term].backward()  # type: ignore[no-untyped-call]
    assert losses.keys() == {term}
    assert {name for name, net in method.generators.items() if grads(net) > 0} == moved


def test_all_terms_together_reach_every_parameter() -> None:
    method = method_of()
    torch.stack(list(losses_of(method, unpaired_batch(1)).values())).sum().backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in method.generators.parameters())


class Untouchable(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        raise AssertionError("a term of weight 0 was computed")


def test_terms_of_weight_zero_are_not_computed() -> None:
    method, batch = method_of(), unpaired_batch(1)
    method.paint(batch)
    for name in method.generators:
        method.generators[name] = Untouchable()
    method.discriminators["d_y"] = Untouchable()
    losses = method.generator_losses(batch, {"gan_x": 1, "kl": 0.01, "gan_y": 0, "rec": 0})
    assert losses.keys() == {"gan_x", "kl"}
    for term in ("gan_y", "rec", "cyc_img", "kl_cyc"):
        with pytest.raises(AssertionError, match="weight 0"):
            method.generator_losses(batch, {term: 1})


def test_losses_before_painting_are_a_mistake_of_the_caller() -> None:
    with pytest.raises(RuntimeError, match="paint comes first"):
        method_of().generator_losses(unpaired_batch(), ALL_TERMS)


def test_translation_decodes_the_mean_latent_with_the_deployed_networks() -> None:
    method, x = method_of().eval(), unpaired_batch(2).x
    deployed = nn.ModuleDict({name: method.generators[name] for name in Unit.deployed})

    drawn, attention = Unit.predict_maps(deployed, method.settings, x)
    again, _ = Unit.predict_maps(deployed, method.settings, x)

    assert attention is None
    assert torch.equal(drawn, again)
    assert torch.equal(drawn, method.translate(x)[0])
    assert torch.equal(drawn, method.generators["dec_y"](method.generators["enc_x"](x)))


def test_golden_numbers_of_parameters_at_full_size() -> None:
    settings = load_settings("unit", "paper")
    with torch.device("meta"):
        sides = Unit.build_generators(settings), Unit.build_discriminators(settings)
    sizes = [sum(p.numel() for p in side.parameters()) for side in sides]
    assert sizes == [2 * 11_127_937, 2 * 8_265_027]


def test_first_weights_are_kaimings_and_those_of_discriminators_normal() -> None:
    method = method_of(init="kaiming", ngf=16, ndf=16, init_gain=0.03)
    method.initialise(torch.Generator().manual_seed(3))
    encoder = method.generators["enc_x"]
    block = encoder.get_submodule("trunk.0.body.0.conv")
    assert isinstance(block, nn.Conv2d)
    assert float(block.weight.detach().std()) == pytest.approx(math.sqrt(2 / (9 * 64)), rel=0.02)
    for side in (method.generators, method.discriminators):
        convs = [m for m in side.modules() if isinstance(m, nn.Conv2d)]
        assert all(not bool(conv.bias.any()) for conv in convs if conv.bias is not None)
    judge = method.discriminators["d_y"].get_submodule("scales.2.6.conv")
    assert isinstance(judge, nn.Conv2d)
    assert float(judge.weight.detach().std()) == pytest.approx(0.03, rel=0.02)
    norms = [m for m in method.generators.modules() if isinstance(m, MapLayerNorm)]
    assert len(norms) == 4
    assert all(float(norm.gamma.detach().min()) >= 0 for norm in norms)


def test_first_weights_depend_on_the_seed_alone() -> None:
    """The γ of the layer norms too, which are drawn once when the networks are made."""
    states = []
    for before in (1, 2):
        method = method_of()
        torch.manual_seed(before)
        for p in method.parameters():
            nn.init.normal_(p)
        method.initialise(torch.Generator().manual_seed(3))
        states.append(method.state_dict())
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_small_crops_are_refused_before_training() -> None:
    settings = tiny_settings({"data": {"crop": 48, "frame_size": 48}}, method="unit")
    with pytest.raises(ConfigError, match=r"data\.crop is 48.*at least 64"):
        Unit(settings, UNet(4))


@pytest.mark.parametrize("preset", ["paper", "desk", "smoke"])
def test_presets_keep_the_official_optimiser(preset: str) -> None:
    settings = load_settings("unit", preset)
    optim = settings.optim
    assert (optim.lr, optim.weight_decay, optim.betas, optim.pool) == (1e-4, 1e-4, (0.5, 0.999), 0)
    assert (optim.schedule, optim.step_every, optim.step_gamma) == ("step", 100_000, 0.5)
    assert settings.weights == {"gan_x": 1, "gan_y": 1, "rec": 10, "kl": 0.01, "cyc_img": 10, "kl_cyc": 0.01}
    assert (Unit.order, Unit.discriminator_scale, settings.net.init) == ("DG", 1.0, "kaiming")
