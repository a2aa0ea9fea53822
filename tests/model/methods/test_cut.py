"""CUT and FastCUT: terms against loops over patches, who gets a gradient, and what is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.data.batch import Batch
from casgan_dicom.model.methods.base import Losses
from casgan_dicom.model.methods.cut import Cut, FastCut
from casgan_dicom.model.networks.unet import UNet
from casgan_dicom.model.preset_files import load_settings
from casgan_dicom.model.settings import TrainSettings
from casgan_dicom.model.training.distributed import ALONE
from casgan_dicom.model.training.step import TrainingStep
from tests.model.methods.test_patchnce import brute_loss
from tests.model.toys import tiny_settings

LAYERS = ("input", "down1", "down2", "block1")
TINY_NCE = {"layers": list(LAYERS), "width": 8, "patches": 16}
ALL_TERMS = dict.fromkeys(Cut.terms, 1.0)
PLACES_SEED = 11


def settings_of(method: str = "cut", gan: str = "lsgan", **nce: object) -> TrainSettings:
    table = "qs" if method == "qs-attn" else "nce"
    tables: dict[str, dict[str, object]] = {
        "net": {"init": "xavier"},
        "optim": {"gan": gan, "pool": 0, "batch": 1},
        table: {**TINY_NCE, **nce},
    }
    weights = {"gan_y": 1.0, "nce_x": 0.5, "nce_y": 0.5}
    return replace(tiny_settings(tables, method=method), weights=weights)


def method_of(settings: TrainSettings, cls: type[Cut] = Cut) -> Cut:
    torch.manual_seed(5)
    method = cls(settings, UNet(4))
    return method.train()


def made_up_batch(n: int = 2) -> Batch:
    generator = torch.Generator().manual_seed(1)
    x, y = (torch.rand(n, 1, 32, 32, generator=generator) * 2 - 1 for _ in range(2))
    return Batch(x, y)


def losses_of(method: Cut, batch: Batch, weights: Mapping[str, float]) -> Losses:
    """What the trainer does for the generator's side."""
    method.paint(batch)
    return method.generator_losses(batch, weights)


def fooling(score: Tensor, gan: str) -> Tensor:
    return ((score - 1) ** 2).mean() if gan == "lsgan" else -torch.log(torch.sigmoid(score)).mean()


def taps(method: Cut, image: Tensor) -> dict[str, Tensor]:
    """Features stage by stage, straight from the layers."""
    g: Any = method.generators["g_y"]
    h, found = image, {}
    for name in ("input", "down1", "down2", "halve", "block1"):
        found[name] = h = g.stages[name](h)
    return found


def drawn_of(method: Cut, image: Tensor) -> Tensor:
    g: Any = method.generators["g_y"]
    return torch.tanh(g.head(taps(method, image)["block1"]))


def points(method: Cut, layer: str, h: Tensor, places: Tensor) -> Tensor:
    """Picked patches through the layer's MLP, by hand."""
    mlp: Any = method.generators["nce_mlp"]
    first, _, second = mlp.mlps[layer]
    patches = torch.stack([h[:, :, p // h.shape[3], p % h.shape[3]] for p in places.tolist()], 1)
    out: Tensor = second(first(patches).clamp_min(0))
    return out / (out.square().sum(-1, keepdim=True).sqrt() + 1e-7)


def naive_nce(method: Cut, source: Tensor, target: Tensor, *, mirrored: bool = False) -> float:
    """PatchNCE of `target` against `source`, with places from the global generator, layer by layer."""
    keys, queries = taps(method, source), taps(method, target)
    losses = []
    for layer in LAYERS:
        query = queries[layer].flip(3) if mirrored else queries[layer]
        places = torch.randperm(query.shape[2] * query.shape[3])[: method.nce.patches]
        pair = [points(method, layer, h, places).detach() for h in (query, keys[layer])]
        losses.append(brute_loss(pair[0], pair[1], method.nce.temperature))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("gan", ["lsgan", "vanilla"])
def test_every_term_equals_its_equation(gan: str) -> None:
    method, batch = method_of(settings_of(gan=gan)), made_up_batch()
    y_g, y_idt = drawn_of(method, batch.x), drawn_of(method, batch.y)
    torch.manual_seed(PLACES_SEED)
    expected = {
        "gan_y": float(fooling(method.discriminators["d_y"](y_g), gan).detach()),
        "nce_x": naive_nce(method, batch.x, y_g),
        "nce_y": naive_nce(method, batch.y, y_idt),
    }

    torch.manual_seed(PLACES_SEED)
    found = losses_of(method, batch, ALL_TERMS)

    assert found.keys() == expected.keys()
    for name, value in found.items():
        # float32 in front of a temperature of 0.07 here, float64 sums there
        assert float(value.detach()) == pytest.approx(expected[name], rel=2e-4), name


def test_fastcut_paints_half_of_its_steps_mirrored_and_mirrors_the_features_back() -> None:
    method, batch, seen = method_of(settings_of("fastcut"), FastCut), made_up_batch(1), set()
    for seed in range(12):
        torch.manual_seed(seed)
        mirrored = bool(torch.rand(()) < 0.5)
        y_g = drawn_of(method, batch.x.flip(3) if mirrored else batch.x)
        expected = naive_nce(method, batch.x, y_g, mirrored=mirrored)

        torch.manual_seed(seed)
        loss = losses_of(method, batch, {"nce_x": 10})["nce_x"]

        torch.testing.assert_close(method.discriminator_samples(batch)["d_y"][1], y_g.detach())
        assert float(loss.detach()) == pytest.approx(expected, rel=2e-4)
        seen.add(mirrored)
    assert seen == {False, True}


def test_a_mirrored_identity_is_compared_with_the_frame_as_it_is() -> None:
    method, batch = method_of(settings_of("fastcut"), FastCut), made_up_batch(1)
    torch.manual_seed(mirroring_seed())
    torch.rand(())
    expected = naive_nce(method, batch.y, drawn_of(method, batch.y.flip(3)), mirrored=True)
    torch.manual_seed(mirroring_seed())
    found = losses_of(method, batch, {"nce_y": 1})["nce_y"]
    assert float(found.detach()) == pytest.approx(expected, rel=2e-4)


def mirroring_seed() -> int:
    """A seed whose first draw mirrors."""
    for seed in range(20):
        torch.manual_seed(seed)
        if torch.rand(()) < 0.5:
            return seed
    raise AssertionError


def test_cut_never_mirrors() -> None:
    method, batch = method_of(settings_of()), made_up_batch(1)
    for _ in range(8):
        method.paint(batch)
        torch.testing.assert_close(
            method.discriminator_samples(batch)["d_y"][1], drawn_of(method, batch.x).detach()
        )


def grads(net: nn.Module) -> list[float]:
    return [0.0 if p.grad is None else float(p.grad.abs().sum()) for p in net.parameters()]


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("term", ["nce_x", "nce_y"])
def test_a_contrastive_term_reaches_every_weight_of_generator_and_mlps(term: str, bf16: bool) -> None:
    """Under autocast as well, which keeps copies of weights and could keep one without gradient."""
    method = method_of(settings_of())
    method.discriminators.requires_grad_(False)
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        losses_of(method, made_up_batch(), {term: 1})[term].backward()  # type: ignore[no-untyped-call]
    for name, net in method.generators.items():
        wanting = [
            key
            for (key, _), size in zip(net.named_parameters(), grads(net), strict=True)
            # A bias in front of InstanceNorm is taken away again.
            if size == 0 and not (name == "g_y" and key.endswith("bias"))
        ]
        assert not wanting, (name, wanting)
    assert not any(grads(method.discriminators))


def test_the_source_gets_no_gradient_through_its_own_features() -> None:
    """A key is a constant: the gradient is that of a loss whose keys are numbers."""
    method, batch = method_of(settings_of()), made_up_batch(1)
    weights = list(method.generators["g_y"].parameters())
    torch.manual_seed(PLACES_SEED)
    losses_of(method, batch, {"nce_x": 1})["nce_x"].backward()  # type: ignore[no-untyped-call]
    found = [p.grad for p in weights]

    torch.manual_seed(PLACES_SEED)
    queries, losses = taps(method, drawn_of(method, batch.x)), []
    keys = {name: h.detach() for name, h in taps(method, batch.x).items()}
    for layer in LAYERS:
        places = torch.randperm(queries[layer].shape[2] * queries[layer].shape[3])[:16]
        q, k = points(method, layer, queries[layer], places), points(method, layer, keys[layer], places)
        logits = q[0] @ k[0].detach().T / 0.07
        losses.append(-torch.log_softmax(logits, 1).diagonal().mean())
    expected = torch.autograd.grad(torch.stack(losses).mean(), weights)

    for a, b in zip(found, expected, strict=True):
        assert a is not None
        # relative to the largest of all: a bias in front of InstanceNorm has rounding for a gradient
        torch.testing.assert_close(a, b, rtol=1e-2, atol=1e-3 * max(float(e.abs().max()) for e in expected))


class Untouchable(nn.Module):
    def forward(self, *_: object) -> Tensor:
        raise AssertionError("a term of weight 0 was computed")


def test_terms_of_weight_zero_are_not_computed() -> None:
    method, batch, passes = method_of(settings_of()), made_up_batch(), []
    method.generators["g_y"].register_forward_hook(lambda *_: passes.append(1))
    method.discriminators["d_y"] = Untouchable()
    assert losses_of(method, batch, {"gan_y": 0, "nce_x": 1}).keys() == {"nce_x"}
    assert len(passes) == 2  # G(x) and the encoder on it: nothing of y
    with pytest.raises(AssertionError, match="weight 0"):
        losses_of(method, batch, {"gan_y": 1})

    method = method_of(settings_of())
    method.generators["nce_mlp"] = Untouchable()
    assert losses_of(method, batch, {"gan_y": 1, "nce_x": 0}).keys() == {"gan_y"}


def test_what_is_painted_is_what_translation_draws() -> None:
    method, batch = method_of(settings_of()), made_up_batch()
    method.paint(batch)
    real, fake = method.discriminator_samples(batch)["d_y"]
    deployed = nn.ModuleDict({name: method.generators[name] for name in Cut.deployed})

    drawn, attention = Cut.predict_maps(deployed, method.settings, batch.x)

    assert attention is None
    assert real is batch.y
    assert not fake.requires_grad
    assert torch.equal(fake, drawn.detach())
    assert torch.equal(method.translate(batch.x)[0], drawn)


def test_samples_before_painting_are_a_mistake_of_the_caller() -> None:
    with pytest.raises(RuntimeError, match="paint comes first"):
        method_of(settings_of()).discriminator_samples(made_up_batch())


def test_full_size_networks_have_as_many_parameters_as_the_official_ones() -> None:
    for name in ("cut", "fastcut"):
        settings = load_settings(name, "paper")
        with torch.device("meta"):
            sides = {**Cut.build_generators(settings), **Cut.build_discriminators(settings)}
        assert {key: sum(p.numel() for p in net.parameters()) for key, net in sides.items()} == {
            "g_y": 11_365_633,
            "nce_mlp": 559_872,
            "d_y": 2_762_689,
        }


def test_a_layer_that_the_generator_lacks_is_named() -> None:
    settings = settings_of(layers=["down1", "block5", "blok1"])
    with pytest.raises(
        ConfigError, match=r"nce\.layers names block5, blok1, .* net\.n_blocks = 1 lacks"
    ) as caught:
        Cut.build_generators(settings)
    assert caught.value.hint == "it has input, down1, down2, block1"


def test_values_that_mean_nothing_are_named() -> None:
    with pytest.raises(ConfigError) as caught:
        settings_of(layers=[], temperature=0.0, patches=1, width=0)
    for fault in ("layers is empty", "temperature is 0", "patches is 1", "width is 0"):
        assert f"nce.{fault}" in caught.value.message
    with pytest.raises(ConfigError, match="different names"):
        settings_of(layers=["down1", "down1"])


@pytest.mark.parametrize(
    ("method", "mirrors", "steps"), [("cut", False, 640_000), ("fastcut", True, 320_000)]
)
def test_presets_hold_the_official_recipe(method: str, mirrors: bool, steps: int) -> None:
    settings = load_settings(method, "paper")
    own = method_of(load_settings(method, "smoke"), FastCut if mirrors else Cut).nce
    assert own.flip_equivariance is mirrors
    assert settings.optim.steps == steps
    assert {name: w for name, w in settings.weights.items() if w} == (
        {"gan_y": 1, "nce_x": 10} if mirrors else {"gan_y": 1, "nce_x": 0.5, "nce_y": 0.5}
    )


def trained(method: Cut, batch: Batch, folder: Path) -> list[dict[str, float]]:
    """Three steps of the trainer; figures of each."""
    step = TrainingStep(method, method.settings, ALONE, folder)
    torch.manual_seed(3)
    return [step([batch], number, 1.0) for number in range(3)]


@pytest.mark.parametrize("name", ["cut", "fastcut"])
def test_steps_change_every_network_and_repeat_bit_for_bit(name: str, tmp_path: Path) -> None:
    cls, batch = {"cut": Cut, "fastcut": FastCut}[name], made_up_batch()
    runs = []
    for _ in range(2):
        method = method_of(settings_of(name), cls)
        method.initialise(torch.Generator().manual_seed(1))
        before = {key: value.clone() for key, value in method.state_dict().items()}
        figures = trained(method, batch, tmp_path)
        after = method.state_dict()
        for part in ("generators.g_y", "generators.nce_mlp", "discriminators.d_y"):
            assert any(not torch.equal(before[key], after[key]) for key in before if key.startswith(part))
        runs.append((figures, after))
    assert runs[0][0] == runs[1][0]
    assert all(torch.equal(value, runs[1][1][key]) for key, value in runs[0][1].items())
