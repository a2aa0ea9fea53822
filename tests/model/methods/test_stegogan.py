"""StegoGAN: its terms against the equations, one sample at a time; what moves, what is deployed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.data.batch import Batch
from casgan_dicom.model.methods.stegogan import StegoGan
from casgan_dicom.model.networks.stego import AddingGenerator, RemovingGenerator
from casgan_dicom.model.networks.unet import UNet
from casgan_dicom.model.preset_files import load_settings
from casgan_dicom.model.training.checkpoint import load_checkpoint
from casgan_dicom.model.training.trainer import Trainer
from tests.model.methods.naive import Counting, l1, unpaired_batch
from tests.model.toys import tiny_sampler

NOISE_SEED = 11
ALL_TERMS = dict.fromkeys(StegoGan.terms, 1.0)


def method_of(*overrides: str) -> StegoGan:
    torch.manual_seed(5)
    return StegoGan(load_settings("stegogan", "smoke", list(overrides)), UNet(4)).train()


def nets_of(method: StegoGan) -> tuple[RemovingGenerator, AddingGenerator]:
    g_x, g_y = method.generators["g_x"], method.generators["g_y"]
    assert isinstance(g_x, RemovingGenerator)
    assert isinstance(g_y, AddingGenerator)
    return g_x, g_y


def losses_of(method: StegoGan, batch: Batch, weights: Mapping[str, float] = ALL_TERMS) -> dict[str, Tensor]:
    torch.manual_seed(NOISE_SEED)
    method.paint(batch)
    return method.generator_losses(batch, weights)


def root(where: Tensor) -> float:
    return sum(math.sqrt(w) for w in where.flatten().tolist()) / where.numel()


@torch.no_grad()
@pytest.mark.parametrize("layer", [0, 1])
def test_every_term_equals_its_equation(layer: int) -> None:
    method = method_of("net.n_blocks=2", f"stego.layer={layer}", "stego.noise=0.1")
    batch, (g_x, g_y) = unpaired_batch(2), nets_of(method)
    d_x, d_y = method.discriminators["d_x"], method.discriminators["d_y"]

    found = losses_of(method, batch)

    torch.manual_seed(NOISE_SEED)
    noise = 0.1 * torch.randn(batch.x.shape)
    rows = []
    for k in range(2):
        x, y = batch.x[k : k + 1], batch.y[k : k + 1]
        x_g, latent, w = g_x(y)
        y_clean, y_g = g_y(x), g_y(x, latent)
        x_cyc, _, w_g = g_x(y_g)
        rows.append(
            {
                "gan_x": float(((d_x(x_g) - 1) ** 2).mean()),
                "gan_y": float(((d_y(y_g) - 1) ** 2).mean()),
                "cyc_x": l1(x_cyc, x),
                "cyc_y": l1(g_y(x_g + noise[k : k + 1], latent), y),
                "idt_x": l1(g_x(x)[0], x),
                "idt_y": l1(g_y(y), y),
                "reg": root(w) + root(w_g),
                "consistency": l1(g_y(x_g) * (1 - w), y * (1 - w)) + l1(y_clean * (1 - w_g), y_g * (1 - w_g)),
            }
        )
    assert g_x.cut == g_y.cut == (layer or 2)
    assert found.keys() == rows[0].keys()
    for name, value in found.items():
        # float32 through some twenty layers, batched here and sample by sample there
        assert float(value) == pytest.approx(sum(row[name] for row in rows) / 2, rel=2e-4), name


def test_discriminators_see_the_image_with_the_latent_put_in() -> None:
    method, batch = method_of(), unpaired_batch()
    g_x, g_y = nets_of(method)
    losses_of(method, batch)
    samples = method.discriminator_samples(batch)

    x_g, latent, _ = g_x(batch.y)
    assert samples["d_x"][0] is batch.x
    assert samples["d_y"][0] is batch.y
    assert torch.equal(samples["d_x"][1], x_g.detach())
    assert torch.equal(samples["d_y"][1], g_y(batch.x, latent).detach())
    assert not torch.allclose(samples["d_y"][1], g_y(batch.x))
    assert not any(fake.requires_grad for _, fake in samples.values())


@torch.no_grad()
def test_what_is_deployed_is_the_clean_image() -> None:
    method, batch = method_of(), unpaired_batch()
    deployed = nn.ModuleDict({name: method.generators[name] for name in StegoGan.deployed})

    drawn, attention = StegoGan.predict_maps(deployed, method.settings, batch.x)

    assert list(deployed) == ["g_y"]
    assert attention is None
    assert torch.equal(drawn, nets_of(method)[1].net(batch.x))
    assert torch.equal(drawn, method.translate(batch.x)[0])


def moved_parts(method: StegoGan) -> set[str]:
    """Parts of both generators that have a gradient which is not 0."""
    parts = {
        f"{name}.{part}": child for name, g in method.generators.items() for part, child in g.named_children()
    }
    return {
        name
        for name, part in parts.items()
        if any(p.grad is not None and bool(p.grad.any()) for p in part.parameters())
    }


@pytest.mark.parametrize(
    ("term", "moved"),
    [
        ("gan_x", {"g_x.net", "g_x.mask"}),
        ("gan_y", {"g_y.net", "g_y.fusion"}),  # what was put in is no way back to G_X
        ("idt_x", {"g_x.net", "g_x.mask"}),
        ("idt_y", {"g_y.net"}),
        ("cyc_x", {"g_x.net", "g_x.mask", "g_y.net", "g_y.fusion"}),
        ("cyc_y", {"g_x.net", "g_x.mask", "g_y.net", "g_y.fusion"}),
        ("reg", {"g_x.net", "g_x.mask", "g_y.net", "g_y.fusion"}),
        ("consistency", {"g_x.net", "g_x.mask", "g_y.net", "g_y.fusion"}),
    ],
)
def test_a_term_moves_the_parts_it_is_about(term: str, moved: set[str]) -> None:
    method = method_of()
    losses_of(method, unpaired_batch(1), {term: 1.0})[term].backward()  # type: ignore[no-untyped-call]
    assert moved_parts(method) == moved


def test_a_mask_that_keeps_everything_costs_nothing_and_breaks_no_gradient() -> None:
    """√w has an endless slope at w = 0."""
    method = method_of()
    last = nets_of(method)[0].mask[-1]
    assert isinstance(last, nn.Conv2d)
    assert last.bias is not None
    last.bias.data += 200

    loss = losses_of(method, unpaired_batch(1), {"reg": 1.0})["reg"]
    loss.backward()  # type: ignore[no-untyped-call]

    assert float(loss.detach()) < 1e-5
    assert all(p.grad is None or p.grad.isfinite().all() for p in method.generators.parameters())


@pytest.mark.parametrize(
    ("weights", "times"),
    [
        ({"gan_y": 1, "reg": 0}, [1, 1, 0, 1]),
        ({"gan_x": 1}, [1, 1, 1, 0]),
        ({"cyc_y": 10}, [1, 2, 0, 0]),
        ({"idt_x": 5, "idt_y": 5}, [2, 2, 0, 0]),
        ({"reg": 0.3}, [2, 1, 0, 0]),
        ({"cyc_x": 10, "reg": 0.3, "consistency": 1}, [2, 3, 0, 0]),
    ],
)
def test_terms_of_weight_zero_are_not_computed(weights: dict[str, float], times: list[int]) -> None:
    method = method_of()
    counting = {}
    for side, names in ((method.generators, ("g_x", "g_y")), (method.discriminators, ("d_x", "d_y"))):
        for name in names:
            side[name] = counting[name] = Counting(side[name])

    losses = losses_of(method, unpaired_batch(1), weights)

    assert losses.keys() == {name for name, weight in weights.items() if weight}
    assert [net.times for net in counting.values()] == times


def test_the_mask_alone_is_drawn_for_relu_by_fan_out() -> None:
    method = method_of("net.ngf=16")
    method.initialise(torch.Generator().manual_seed(2))
    g_x, g_y = nets_of(method)
    stds = {
        name: [float(layer.weight.detach().std()) for layer in net.modules() if isinstance(layer, nn.Conv2d)]
        for name, net in (("mask", g_x.mask), ("trunk", g_x.net.trunk), ("fusion", g_y.fusion))
    }
    # 36,864 numbers each: a standard error of 0.4 %
    assert stds["mask"] == [pytest.approx(math.sqrt(2 / (64 * 9)), rel=0.02)] * 3
    assert stds["trunk"] == [pytest.approx(0.02, rel=0.02)] * 2
    assert stds["fusion"] == [pytest.approx(0.02, rel=0.02)] * 2


def test_settings_that_mean_nothing_are_refused_with_their_names() -> None:
    with pytest.raises(ConfigError, match=r"stego.layer is -1, want at least 0\n  stego.noise is -1, want"):
        load_settings("stegogan", "smoke", ["stego.layer=-1", "stego.noise=-1"])
    with pytest.raises(ConfigError, match=r"stego.layer is 2, want 0 to net.n_blocks \(1\)"):
        method_of("stego.layer=2")


def test_samples_before_painting_are_a_mistake_of_the_caller() -> None:
    with pytest.raises(RuntimeError, match="paint comes first"):
        method_of().discriminator_samples(unpaired_batch())


def test_diagnostics_say_how_much_was_taken_out() -> None:
    method, batch = method_of(), unpaired_batch()
    assert method.diagnostics() == {}
    method.paint(batch)
    where = nets_of(method)[0](batch.y)[2]
    assert method.diagnostics() == {"mean_removed": pytest.approx(float(where.detach().mean()))}


def test_full_size_networks_have_the_published_number_of_parameters() -> None:
    settings = load_settings("stegogan", "paper")
    with torch.device("meta"):
        sides = StegoGan.build_generators(settings), StegoGan.build_discriminators(settings)
    counts = [sum(p.numel() for p in side.parameters()) for side in sides]
    # of the published counts for 3 channels, 12,546 are the two convolutions that see or draw an image
    assert counts == [12_558_339 + 13_148_419 - 2 * 12_546, 2 * 2_762_689]


def test_two_steps_change_every_network_and_values_stay_finite(tmp_path: Path) -> None:
    settings = load_settings("stegogan", "smoke", ["optim.steps=2", "optim.amp=false"])
    trainer = Trainer(settings, tiny_sampler(settings), tmp_path / "run")
    trainer.run()

    torch.manual_seed(settings.seed)
    first = StegoGan(settings, UNet(settings.segmentor.base))
    first.initialise(torch.Generator().manual_seed(settings.seed))
    after = trainer.method.state_dict()
    changed = {key for key, value in first.state_dict().items() if not torch.equal(value, after[key])}
    # a bias before an InstanceNorm has no gradient but rounding
    assert changed >= {key for key in after if key.endswith("weight")}
    assert all(value.isfinite().all() for value in after.values())


def test_the_generators_step_twice_on_each_gradient(tmp_path: Path) -> None:
    """Adam counts its steps."""
    settings = load_settings("stegogan", "smoke", ["optim.steps=3", "optim.amp=false"])
    Trainer(settings, tiny_sampler(settings), tmp_path / "run").run()
    state = load_checkpoint(tmp_path / "run" / "checkpoint.pt")
    counts = {
        side: {int(p["step"]) for p in state[side]["state"].values()} for side in ("optim_g", "optim_d")
    }
    assert counts == {"optim_g": {6}, "optim_d": {3}}
