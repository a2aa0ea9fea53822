"""MUNIT: its terms against the equations, one sample at a time, and its one style for all frames."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.bundle.bundle import load_bundle
from casgan_dicom.model.bundle.writing import save_bundle
from casgan_dicom.model.data.batch import Batch
from casgan_dicom.model.methods.munit import FixedStyle, Munit, options
from casgan_dicom.model.networks.unet import UNet
from casgan_dicom.model.preset_files import load_settings
from casgan_dicom.model.training.trainer import Trainer
from tests.model.methods.naive import fooling, grads, l1, unpaired_batch
from tests.model.toys import tiny_sampler, tiny_settings

STYLE_SEED = 11
ALL_TERMS = dict.fromkeys(Munit.terms, 1.0)
SMALL = {"style_dim": 3, "mlp_dim": 8}


def method_of(gan: str = "lsgan", **own: object) -> Munit:
    torch.manual_seed(5)
    settings = tiny_settings({"optim": {"gan": gan}, "munit": {**SMALL, **own}}, method="munit")
    return Munit(settings, UNet(4)).train()


def losses_of(method: Munit, batch: Batch) -> dict[str, Tensor]:
    torch.manual_seed(STYLE_SEED)
    method.paint(batch)
    return method.generator_losses(batch, ALL_TERMS)


@torch.no_grad()
def naive_terms(method: Munit, batch: Batch, gan: str) -> dict[str, float]:
    """The equations, sample by sample; the styles are drawn in the order of the method."""
    g, d = method.generators, method.discriminators
    torch.manual_seed(STYLE_SEED)
    s_xs, s_ys = (torch.randn(len(batch.x), 3) for _ in range(2))
    rows = []
    for k in range(len(batch.x)):
        x, y, s_x, s_y = (t[k : k + 1] for t in (batch.x, batch.y, s_xs, s_ys))
        c_x, c_y, own_x, own_y = g["content_x"](x), g["content_y"](y), g["style_x"](x), g["style_y"](y)
        y_g, x_g = g["dec_y"](c_x, s_y), g["dec_x"](c_y, s_x)
        c_yg, c_xg = g["content_y"](y_g), g["content_x"](x_g)
        rows.append(
            {
                "gan_x": fooling(d["d_x"](x_g), gan),
                "gan_y": fooling(d["d_y"](y_g), gan),
                "rec": l1(g["dec_x"](c_x, own_x), x) + l1(g["dec_y"](c_y, own_y), y),
                "style": l1(g["style_x"](x_g), s_x) + l1(g["style_y"](y_g), s_y),
                "content": l1(c_yg, c_x) + l1(c_xg, c_y),
                "cyc_img": l1(g["dec_x"](c_yg, own_x), x) + l1(g["dec_y"](c_xg, own_y), y),
            }
        )
    return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}


@pytest.mark.parametrize("gan", ["lsgan", "vanilla"])
def test_every_term_equals_its_equation(gan: str) -> None:
    method, batch = method_of(gan), unpaired_batch()

    found = losses_of(method, batch)

    expected = naive_terms(method, batch, gan)
    assert found.keys() == expected.keys() == set(Munit.terms)
    for name, value in found.items():
        # float32 through some twenty layers, batched here and sample by sample there
        assert float(value.detach()) == pytest.approx(expected[name], rel=2e-4), name


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


CONTENTS, STYLES, DECODERS = {"content_x", "content_y"}, {"style_x", "style_y"}, {"dec_x", "dec_y"}


@pytest.mark.parametrize(
    ("term", "moved"),
    [
        ("gan_x", {"content_y", "dec_x"}),
        ("gan_y", {"content_x", "dec_y"}),
        ("rec", CONTENTS | STYLES | DECODERS),
        ("style", CONTENTS | STYLES | DECODERS),
        ("content", CONTENTS | DECODERS),
        ("cyc_img", CONTENTS | STYLES | DECODERS),
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
    def forward(self, *_images: Tensor) -> Tensor:
        raise AssertionError("a term of weight 0 was computed")


def test_terms_of_weight_zero_are_not_computed() -> None:
    method, batch = method_of(), unpaired_batch(1)
    method.paint(batch)
    for name in method.generators:
        method.generators[name] = Untouchable()
    method.discriminators["d_y"] = Untouchable()
    assert method.generator_losses(batch, {"gan_x": 1, "gan_y": 0, "cyc_img": 0}).keys() == {"gan_x"}
    for term in ("gan_y", "rec", "style", "content", "cyc_img"):
        with pytest.raises(AssertionError, match="weight 0"):
            method.generator_losses(batch, {term: 1})


def test_losses_before_painting_are_a_mistake_of_the_caller() -> None:
    with pytest.raises(RuntimeError, match="paint comes first"):
        method_of().generator_losses(unpaired_batch(), ALL_TERMS)


def test_every_step_draws_other_styles_but_translation_always_takes_the_same() -> None:
    method, batch = method_of(), unpaired_batch(1)
    fakes, drawn = [], []
    for _ in range(2):
        method.paint(batch)
        fakes.append(method.discriminator_samples(batch)["d_y"][1])
        drawn.append(method.translate(batch.x)[0])
    assert not torch.equal(fakes[0], fakes[1])
    assert torch.equal(drawn[0], drawn[1])


def test_all_frames_of_a_batch_get_the_style_of_the_seed() -> None:
    method, x = method_of(style_seed=7).eval(), unpaired_batch(3).x
    style = torch.randn(1, 3, generator=torch.Generator().manual_seed(7))
    drawn, attention = method.translate(x)
    assert attention is None
    for k in range(3):
        content = method.generators["content_x"](x[k : k + 1])
        torch.testing.assert_close(drawn[k : k + 1], method.generators["dec_y"](content, style))


def test_another_seed_is_another_style() -> None:
    assert not torch.equal(FixedStyle(8, 1)(), FixedStyle(8, 2)())


def test_the_style_travels_with_the_weights_of_a_bundle(tmp_path: Path) -> None:
    """It is read from the file and not drawn again: a changed one comes back changed."""
    method, x = method_of().eval(), unpaired_batch(1).x
    method.generators["fixed_style"].register_buffer("style", torch.full((1, 3), 0.25))
    save_bundle(
        tmp_path,
        method.settings,
        method.generators.state_dict(),
        UNet(method.settings.segmentor.base).state_dict(),
        data="made up",
    )

    bundle = load_bundle(tmp_path)

    assert set(bundle.generators) == {"content_x", "dec_y", "fixed_style"}
    assert torch.equal(bundle.generators["fixed_style"](), torch.full((1, 3), 0.25))
    assert torch.equal(Munit.predict_maps(bundle.generators, bundle.settings, x)[0], method.translate(x)[0])


@pytest.mark.train
def test_training_moves_every_network_but_never_the_style(tmp_path: Path) -> None:
    own: dict[str, dict[str, object]] = {
        "munit": {**SMALL, "style_seed": 3},
        "optim": {"pool": 0, "ema": 0.9},
    }
    settings = replace(tiny_settings(own, method="munit"), weights=ALL_TERMS)
    fresh = Munit(settings, UNet(4))
    fresh.initialise(torch.Generator().manual_seed(settings.seed))
    before = {name: value.clone() for name, value in fresh.generators.state_dict().items()}

    trainer = Trainer(settings, tiny_sampler(settings), tmp_path / "run")
    assert trainer.run().finished
    bundle = load_bundle(trainer.export())

    after = trainer.method.generators.state_dict()
    unmoved = {name for name, value in after.items() if torch.equal(value, before[name])}
    assert unmoved == {"fixed_style.style"}
    assert torch.equal(bundle.generators["fixed_style"](), FixedStyle(3, 3)())


def test_golden_numbers_of_parameters_at_full_size() -> None:
    settings = load_settings("munit", "paper")
    with torch.device("meta"):
        sides = Munit.build_generators(settings), Munit.build_discriminators(settings)
    sizes = [sum(p.numel() for p in side.parameters()) for side in sides]
    assert sizes == [2 * 15_007_369, 2 * 8_265_027]


def test_options_out_of_range_are_named_with_their_table() -> None:
    with pytest.raises(ConfigError, match=r"(?s)munit\.style_dim is 0.*munit\.style_seed is -1"):
        tiny_settings({"munit": {"style_dim": 0, "style_seed": -1}}, method="munit")
    with pytest.raises(TypeError, match=r"unit.*munit"):
        options(tiny_settings(method="unit"))


@pytest.mark.parametrize("preset", ["paper", "desk", "smoke"])
def test_presets_keep_the_official_optimiser(preset: str) -> None:
    settings = load_settings("munit", preset)
    optim = settings.optim
    assert (optim.lr, optim.weight_decay, optim.betas, optim.pool) == (1e-4, 1e-4, (0.5, 0.999), 0)
    assert (optim.schedule, optim.step_every, optim.step_gamma) == ("step", 100_000, 0.5)
    assert settings.weights == {"gan_x": 1, "gan_y": 1, "rec": 10, "style": 1, "content": 1, "cyc_img": 0}
    assert (Munit.order, Munit.discriminator_scale, settings.net.init) == ("DG", 1.0, "kaiming")
