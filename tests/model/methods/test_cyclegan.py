"""CycleGAN: its terms against the equations, one sample at a time, and what each of them moves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from casgan_dicom.model.data.batch import Batch
from casgan_dicom.model.methods.cyclegan import CycleGan
from casgan_dicom.model.networks.unet import UNet
from casgan_dicom.model.preset_files import load_settings
from casgan_dicom.model.training.trainer import Trainer
from tests.model.methods.naive import Counting, fooling, l1, unpaired_batch
from tests.model.toys import tiny_sampler

ALL_TERMS = dict.fromkeys(CycleGan.terms, 1.0)


def method_of(gan: str = "lsgan") -> CycleGan:
    torch.manual_seed(5)
    return CycleGan(load_settings("cyclegan", "smoke", [f"optim.gan={gan}"]), UNet(4)).train()


def losses_of(method: CycleGan, batch: Batch, weights: Mapping[str, float] = ALL_TERMS) -> dict[str, Tensor]:
    method.paint(batch)
    return method.generator_losses(batch, weights)


@torch.no_grad()
@pytest.mark.parametrize("gan", ["lsgan", "vanilla"])
def test_every_term_equals_its_equation(gan: str) -> None:
    method, batch = method_of(gan), unpaired_batch(3)
    g_x, g_y = method.generators["g_x"], method.generators["g_y"]
    d_x, d_y = method.discriminators["d_x"], method.discriminators["d_y"]

    found = losses_of(method, batch)

    rows = []
    for k in range(3):
        x, y = batch.x[k : k + 1], batch.y[k : k + 1]
        rows.append(
            {
                "gan_x": fooling(d_x(g_x(y)), gan),
                "gan_y": fooling(d_y(g_y(x)), gan),
                "cyc_x": l1(g_x(g_y(x)), x),
                "cyc_y": l1(g_y(g_x(y)), y),
                "idt_x": l1(g_x(x), x),
                "idt_y": l1(g_y(y), y),
            }
        )
    assert found.keys() == rows[0].keys()
    for name, value in found.items():
        # float32 through some fifteen layers, batched here and sample by sample there
        assert float(value) == pytest.approx(sum(row[name] for row in rows) / 3, rel=2e-4), name


def test_discriminators_see_the_fakes_of_the_step_without_gradient() -> None:
    method, batch = method_of(), unpaired_batch()
    losses_of(method, batch)
    samples = method.discriminator_samples(batch)

    fakes = {"d_x": method.generators["g_x"](batch.y), "d_y": method.generators["g_y"](batch.x)}
    assert samples.keys() == fakes.keys() == dict(method.discriminators.items()).keys()
    for name, (real, fake) in samples.items():
        assert real is (batch.x if name == "d_x" else batch.y)
        assert not fake.requires_grad
        assert torch.equal(fake, fakes[name].detach())


@pytest.mark.parametrize(
    ("term", "moved"),
    [
        *[("gan_x", {"g_x"}), ("gan_y", {"g_y"}), ("idt_x", {"g_x"}), ("idt_y", {"g_y"})],
        *[("cyc_x", {"g_x", "g_y"}), ("cyc_y", {"g_x", "g_y"})],
    ],
)
def test_a_term_moves_the_generators_it_is_about(term: str, moved: set[str]) -> None:
    method = method_of()
    losses_of(method, unpaired_batch(1), {term: 1.0})[term].backward()  # type: ignore[no-untyped-call]
    for name, net in method.generators.items():
        assert all((p.grad is not None) is (name in moved) for p in net.parameters()), name
        assert any(bool(p.grad.any()) for p in net.parameters() if p.grad is not None) is (name in moved)


@pytest.mark.parametrize(
    ("weights", "times"),
    [
        ({"gan_y": 1}, [1, 1, 0, 1]),
        ({"gan_x": 1, "cyc_x": 0}, [1, 1, 1, 0]),
        ({"cyc_x": 10}, [2, 1, 0, 0]),
        ({"cyc_y": 10, "idt_y": 5}, [1, 3, 0, 0]),
        ({"idt_x": 5}, [2, 1, 0, 0]),
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


def test_samples_before_painting_are_a_mistake_of_the_caller() -> None:
    with pytest.raises(RuntimeError, match="paint comes first"):
        method_of().discriminator_samples(unpaired_batch())


@torch.no_grad()
def test_translation_is_what_was_painted_by_the_deployed_generator_alone() -> None:
    method, batch = method_of(), unpaired_batch()
    method.paint(batch)
    deployed = nn.ModuleDict({name: method.generators[name] for name in CycleGan.deployed})

    drawn, attention = CycleGan.predict_maps(deployed, method.settings, batch.x)

    assert attention is None
    assert list(deployed) == ["g_y"]
    assert torch.equal(drawn, method.discriminator_samples(batch)["d_y"][1])
    assert torch.equal(drawn, method.translate(batch.x)[0])


def test_full_size_networks_have_the_published_number_of_parameters() -> None:
    settings = load_settings("cyclegan", "paper")
    with torch.device("meta"):
        sides = CycleGan.build_generators(settings), CycleGan.build_discriminators(settings)
    counts = [sum(p.numel() for p in side.parameters()) for side in sides]
    assert counts == [2 * 11_365_633, 2 * 2_762_689]


def test_two_steps_change_every_network_and_losses_stay_finite(tmp_path: Path) -> None:
    settings = load_settings("cyclegan", "smoke", ["optim.steps=2", "optim.amp=false"])
    trainer = Trainer(settings, tiny_sampler(settings), tmp_path / "run")
    trainer.run()

    torch.manual_seed(settings.seed)
    first = CycleGan(settings, UNet(settings.segmentor.base))
    first.initialise(torch.Generator().manual_seed(settings.seed))
    after = trainer.method.state_dict()
    changed = {key for key, value in first.state_dict().items() if not torch.equal(value, after[key])}
    # a bias before an InstanceNorm has no gradient but rounding
    assert changed >= {key for key in after if key.endswith("weight")}
    assert all(value.isfinite().all() for value in after.values())
