"""UNSB: the bridge and its terms against their equations, who gets a gradient, and a fixed translation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.data.batch import Batch
from casgan_dicom.model.methods.base import Losses
from casgan_dicom.model.methods.unsb import Unsb, bridge_share, bridge_times
from casgan_dicom.model.networks.unet import UNet
from casgan_dicom.model.preset_files import load_settings
from casgan_dicom.model.settings import TrainSettings
from casgan_dicom.model.training.distributed import ALONE
from casgan_dicom.model.training.step import TrainingStep
from tests.model.methods.test_patchnce import brute_loss
from tests.model.toys import tiny_settings

LAYERS = ("input", "down1", "block1")
WEIGHTS = {"gan_y": 1.0, "sb": 1.0, "energy": 1.0, "nce_x": 0.5, "nce_y": 0.5}
TIMES = [0.0, 0.5, 0.5 + 0.5 * 12 / 25, 0.5 + 0.5 * 18 / 25, 0.5 + 0.5 * 22 / 25, 1.0]
"""Sums of 1, 1/2, 1/3, 1/4 are 12/12, 18/12, 22/12 and 25/12."""


def settings_of(**sb: object) -> TrainSettings:
    own = {"layers": list(LAYERS), "width": 8, "patches": 16, "tau": 0.2, **sb}
    tables: dict[str, dict[str, object]] = {"optim": {"pool": 0, "batch": 1}, "sb": own}
    return replace(tiny_settings(tables, method="unsb"), weights=WEIGHTS)


def method_of(settings: TrainSettings) -> Unsb:
    torch.manual_seed(5)
    return Unsb(settings, UNet(4)).train()


def made_up_batch(n: int = 2) -> Batch:
    generator = torch.Generator().manual_seed(1)
    x, y = (torch.rand(n, 1, 32, 32, generator=generator) * 2 - 1 for _ in range(2))
    return Batch(x, y)


def losses_of(method: Unsb, batch: Batch, weights: Mapping[str, float]) -> Losses:
    method.paint(batch)
    return method.generator_losses(batch, weights)


def seed_of_step(step: int, steps: int = 5) -> int:
    """A seed whose first draw is this step."""
    for seed in range(200):
        torch.manual_seed(seed)
        if int(torch.randint(steps, ())) == step:
            return seed
    raise AssertionError


def test_times_of_the_bridge_are_those_of_the_paper() -> None:
    assert bridge_times(5) == pytest.approx(TIMES)
    assert bridge_times(1) == [0, 1]
    assert bridge_share(bridge_times(5), 4) == pytest.approx(1)  # the last step goes all the way


class Naive:
    """The equations, draws in the order of the method."""

    def __init__(self, method: Unsb) -> None:
        self.g, self.d, self.sb = method.generators, method.discriminators, method.sb

    def carried(self, x: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """x_t and y_g."""
        x_t = x
        for k in range(step):
            ahead = self.g["g_y"](x_t, k, torch.randn(len(x), 16))[0].detach()
            length, left = TIMES[k + 1] - TIMES[k], 1 - TIMES[k]
            s = length / left
            spread = math.sqrt(self.sb.tau * length * (1 - s))
            x_t = (1 - s) * x_t + s * ahead + spread * torch.randn(x.shape)
        return x_t, self.g["g_y"](x_t, step, torch.randn(len(x), 16))[0]

    def energies(self, a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor], step: int) -> list[float]:
        t = torch.full_like(a[0], TIMES[step])
        scores: Tensor = self.g["energy"](torch.cat([*a, *b, t], 1))
        return [float(score) for score in scores.detach().flatten()]

    def nce(self, source: Tensor, target: Tensor) -> float:
        latent, losses = torch.randn(len(source), 16), []
        keys, queries = (self.g["g_y"](image, 0, latent, LAYERS)[1] for image in (source, target))
        for layer in LAYERS:
            h = queries[layer].flatten(2)
            places = torch.randperm(h.shape[2])[: self.sb.patches]
            pair = [
                self.g["nce_mlp"](layer, f[layer].flatten(2)[:, :, places].mT).detach()
                for f in (queries, keys)
            ]
            losses.append(brute_loss(pair[0], pair[1], 0.07))
        return sum(losses) / len(losses)


@pytest.mark.parametrize("step", [0, 2, 4])
def test_every_term_equals_its_equation(step: int) -> None:
    method, batch, seed = method_of(settings_of()), made_up_batch(), seed_of_step(step)
    naive, expected = Naive(method), {}
    torch.manual_seed(seed)
    torch.randint(5, ())
    own = naive.carried(batch.x, step)
    t = torch.full_like(batch.x, TIMES[step])
    expected["gan_y"] = float((naive.d["d_y"](torch.cat([own[1], t], 1)) - 1).square().mean().detach())
    other = naive.carried(batch.x.flip(0).flip(3), step)  # of two samples, the next is the other one
    same, mixed = naive.energies(own, own, step), naive.energies(own, other, step)
    total = math.log(sum(math.exp(e) for e in mixed))
    entropy = sum(same) / len(same) - total
    way = float((own[0] - own[1]).square().mean().detach())
    expected["sb"] = 0.2 * way - 0.2 * (5 - step) / 5 * entropy
    expected["energy"] = -entropy + total**2
    expected["nce_x"] = naive.nce(batch.x, own[1])
    drawn_y = naive.carried(batch.y, step)[1]
    expected["nce_y"] = naive.nce(batch.y, drawn_y)

    torch.manual_seed(seed)
    found = losses_of(method, batch, WEIGHTS)

    assert found.keys() == expected.keys()
    for name, value in found.items():
        # float32 through up to five passes of the generator
        assert float(value.detach()) == pytest.approx(expected[name], rel=1e-3), name
    real, fake = method.discriminator_samples(batch)["d_y"]
    torch.testing.assert_close(fake, torch.cat([own[1], t], 1).detach())
    torch.testing.assert_close(real, torch.cat([batch.y, t], 1))
    assert not fake.requires_grad


def moved(net: nn.Module) -> set[str]:
    return {
        name for name, p in net.named_parameters() if p.grad is not None and float(p.grad.abs().sum()) > 0
    }


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize(
    ("term", "nets"),
    [
        ("gan_y", {"g_y"}),
        ("sb", {"g_y"}),
        ("energy", {"energy"}),
        ("nce_x", {"g_y", "nce_mlp"}),
        ("nce_y", {"g_y", "nce_mlp"}),
    ],
)
def test_a_term_moves_its_networks_and_no_others(term: str, nets: set[str], bf16: bool) -> None:
    method = method_of(settings_of())
    method.discriminators.requires_grad_(False)
    torch.manual_seed(seed_of_step(2))  # passes without gradient come first
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        loss = losses_of(method, made_up_batch(), {term: 1})
        loss[term].backward()  # type: ignore[no-untyped-call]
    assert loss.keys() == {term}
    for name, net in method.generators.items():
        if name not in nets:
            assert not moved(net), name
            continue
        # A bias in front of InstanceNorm is taken away again.
        wanting = {key for key, _ in net.named_parameters()} - moved(net)
        assert not [key for key in wanting if key.endswith("weight")], (name, wanting)


def test_terms_of_weight_zero_are_not_computed() -> None:
    method, batch, passes = method_of(settings_of()), made_up_batch(), []
    method.generators["g_y"].register_forward_hook(lambda *_: passes.append(1))
    torch.manual_seed(seed_of_step(0))
    assert losses_of(method, batch, {"gan_y": 1, "sb": 0, "nce_y": 0}).keys() == {"gan_y"}
    assert len(passes) == 1  # neither the other frame nor y


def test_the_other_pair_is_painted_once_for_both_its_terms() -> None:
    method, passes = method_of(settings_of()), []
    method.generators["g_y"].register_forward_hook(lambda *_: passes.append(1))
    torch.manual_seed(seed_of_step(0))
    losses_of(method, made_up_batch(), {"sb": 1, "energy": 1})
    assert len(passes) == 2


def test_translation_takes_all_steps_without_a_draw() -> None:
    method, x = method_of(settings_of()), made_up_batch().x
    g = method.generators["g_y"]
    deployed = nn.ModuleDict({name: method.generators[name] for name in Unsb.deployed})
    expected = x
    for k in range(5):
        s = (TIMES[k + 1] - TIMES[k]) / (1 - TIMES[k])
        expected = (1 - s) * expected + s * g(expected, k, g.fixed_latents[k : k + 1])[0]  # type: ignore[index]
    before = torch.get_rng_state()

    drawn, attention = Unsb.predict_maps(deployed, method.settings, x)
    again, _ = Unsb.predict_maps(deployed, method.settings, x)

    assert attention is None
    # float32 through five passes, each behind the other
    torch.testing.assert_close(drawn, expected, rtol=0, atol=2e-4)
    assert torch.equal(drawn, again)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(method.translate(x)[0], drawn)


class Translation(nn.Module):
    def __init__(self, method: Unsb) -> None:
        super().__init__()
        self.nets, self.settings = method.generators, method.settings

    def forward(self, x: Tensor) -> Tensor:
        return Unsb.predict_maps(self.nets, self.settings, x)[0]


def test_translation_can_be_exported() -> None:
    net, x = Translation(method_of(settings_of())).eval(), made_up_batch(1).x
    exported = torch.export.export(net, (x,)).module()
    torch.testing.assert_close(exported(x), net(x))


def test_full_size_networks_have_as_many_parameters_as_written_down() -> None:
    """No official number is known to us: the generator is ResNet-9, 9 affine layers and two MLPs of 256."""
    settings = load_settings("unsb", "paper")
    with torch.device("meta"):
        sides = {**Unsb.build_generators(settings), **Unsb.build_discriminators(settings)}
    mlp = 2 * (256 * 256 + 256)
    assert {key: sum(p.numel() for p in net.parameters()) for key, net in sides.items()} == {
        "g_y": 11_365_633 + 9 * (256 * 512 + 512) + 2 * mlp,
        "nce_mlp": 559_872,
        "energy": 2_762_689 + 4 * 64 * 16,  # four more input channels
        "d_y": 2_762_689 + 64 * 16,
    }


def test_values_that_mean_nothing_and_missing_layers_are_named() -> None:
    with pytest.raises(
        ConfigError, match=r"sb\.steps is 0, want at least 1\n  sb\.tau is -1, want more than 0"
    ):
        settings_of(steps=0, tau=-1.0)
    with pytest.raises(ConfigError, match=r"sb\.layers names block5, which"):
        Unsb.build_generators(settings_of(layers=["block5"]))


def test_it_is_marked_as_ours() -> None:
    assert Unsb.beyond_paper
    assert set(load_settings("unsb", "smoke").weights) == set(Unsb.terms)


def test_steps_change_every_network_and_repeat_bit_for_bit(tmp_path: Path) -> None:
    runs = []
    for _ in range(2):
        method, batch = method_of(settings_of()), made_up_batch()
        method.initialise(torch.Generator().manual_seed(1))
        before = {key: value.clone() for key, value in method.state_dict().items()}
        step = TrainingStep(method, method.settings, ALONE, tmp_path)
        torch.manual_seed(3)
        figures = [step([batch], number, 1.0) for number in range(3)]
        after = method.state_dict()
        for part in ("generators.g_y", "generators.nce_mlp", "generators.energy", "discriminators.d_y"):
            assert any(not torch.equal(before[key], after[key]) for key in before if key.startswith(part))
        assert torch.equal(before["generators.g_y.fixed_latents"], after["generators.g_y.fixed_latents"])
        runs.append((figures, after))
    assert runs[0][0] == runs[1][0]
    assert all(torch.equal(value, runs[1][1][key]) for key, value in runs[0][1].items())
