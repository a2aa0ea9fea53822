"""AttentionGAN: CycleGAN's terms on the paper's sum of ten, one sample and one map at a time."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from casgan_dicom.model.methods.attentiongan import AttentionGan
from casgan_dicom.model.networks.attention import compose
from casgan_dicom.model.networks.unet import UNet
from casgan_dicom.model.preset_files import load_settings
from casgan_dicom.model.training.trainer import Trainer
from tests.model.methods.naive import l1, unpaired_batch
from tests.model.toys import tiny_sampler

ALL_TERMS = dict.fromkeys(AttentionGan.terms, 1.0)


def method_of() -> AttentionGan:
    torch.manual_seed(5)
    return AttentionGan(load_settings("attentiongan", "smoke"), UNet(4)).train()


def maps_of(net: nn.Module, image: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """The nine contents and the ten attention maps of the paper."""
    parts = dict(net.named_children())
    h = parts["trunk"](parts["stem"](image))
    contents, powers = torch.tanh(parts["content"](h)), torch.exp(parts["attention"](h))
    total = powers.sum(1)
    return [contents[:, i] for i in range(9)], [powers[:, i] / total for i in range(10)]


def plain(net: nn.Module, image: Tensor) -> Tensor:
    contents, attentions = maps_of(net, image)
    drawn = attentions[9] * image[:, 0]
    for attention, content in zip(attentions[:9], contents, strict=True):
        drawn = drawn + attention * content
    return drawn[:, None]


@torch.no_grad()
def test_every_term_is_cyclegans_on_the_sum_of_contents_and_input() -> None:
    method, batch = method_of(), unpaired_batch(2)
    g_x, g_y = method.generators["g_x"], method.generators["g_y"]
    d_x, d_y = method.discriminators["d_x"], method.discriminators["d_y"]

    method.paint(batch)
    found = method.generator_losses(batch, ALL_TERMS)

    rows = []
    for k in range(2):
        x, y = batch.x[k : k + 1], batch.y[k : k + 1]
        rows.append(
            {
                "gan_x": float(((d_x(plain(g_x, y)) - 1) ** 2).mean()),
                "gan_y": float(((d_y(plain(g_y, x)) - 1) ** 2).mean()),
                "cyc_x": l1(plain(g_x, plain(g_y, x)), x),
                "cyc_y": l1(plain(g_y, plain(g_x, y)), y),
                "idt_x": l1(plain(g_x, x), x),
                "idt_y": l1(plain(g_y, y), y),
            }
        )
    assert found.keys() == rows[0].keys()
    for name, value in found.items():
        # float32 through some fifteen layers, batched here and sample by sample there
        assert float(value) == pytest.approx(sum(row[name] for row in rows) / 2, rel=2e-4), name


@torch.no_grad()
def test_inference_gets_context_and_attention_of_what_was_painted() -> None:
    method, batch = method_of(), unpaired_batch()
    method.paint(batch)
    deployed = nn.ModuleDict({name: method.generators[name] for name in AttentionGan.deployed})

    context, attention = AttentionGan.predict_maps(deployed, method.settings, batch.x)

    assert list(deployed) == ["g_y"]
    assert attention is not None
    assert torch.equal(compose(batch.x, context, attention), method.discriminator_samples(batch)["d_y"][1])
    _, attentions = maps_of(method.generators["g_y"], batch.x)
    torch.testing.assert_close(attention[:, 0], 1 - attentions[9], rtol=1e-5, atol=1e-6)
    y_g, again = method.translate(batch.x)
    torch.testing.assert_close(y_g, plain(method.generators["g_y"], batch.x), rtol=1e-5, atol=1e-6)
    assert again is not None
    assert torch.equal(again, attention)


@pytest.mark.parametrize(
    ("term", "moved"), [("gan_x", {"g_x"}), ("gan_y", {"g_y"}), ("cyc_y", {"g_x", "g_y"})]
)
def test_a_term_moves_both_heads_of_the_generators_it_is_about(term: str, moved: set[str]) -> None:
    method, batch = method_of(), unpaired_batch(1)
    method.paint(batch)
    method.generator_losses(batch, {term: 1.0})[term].backward()  # type: ignore[no-untyped-call]
    for name, net in method.generators.items():
        for part, child in net.named_children():
            size = sum(float(p.grad.abs().sum()) for p in child.parameters() if p.grad is not None)
            assert (size > 0) is (name in moved), (name, part)


def test_gradients_are_those_of_the_plain_formula() -> None:
    """Not a matter of course: context and attention are other numbers than the ten maps."""
    method, batch = method_of(), unpaired_batch(1)
    g_y, d_y = method.generators["g_y"], method.discriminators["d_y"]
    expected = torch.autograd.grad(
        ((d_y(plain(g_y, batch.x)) - 1) ** 2).mean(), list(g_y.parameters()), materialize_grads=True
    )

    method.paint(batch)
    method.generator_losses(batch, {"gan_y": 1.0})["gan_y"].backward()  # type: ignore[no-untyped-call]

    for (name, p), gradient in zip(g_y.named_parameters(), expected, strict=True):
        assert p.grad is not None
        largest = float(gradient.abs().max())
        # float32 sums over 64 x 64 pixels in another order; a bias before an InstanceNorm has rounding only
        torch.testing.assert_close(p.grad, gradient, rtol=1e-3, atol=1e-3 * largest + 1e-6, msg=name)


def test_only_terms_with_a_weight_are_there() -> None:
    method, batch = method_of(), unpaired_batch(1)
    method.paint(batch)
    assert method.generator_losses(batch, {"gan_y": 1, "cyc_x": 10, "idt_x": 0}).keys() == {"gan_y", "cyc_x"}


def test_diagnostics_say_how_much_was_drawn() -> None:
    method, batch = method_of(), unpaired_batch()
    assert method.diagnostics() == {}
    method.paint(batch)
    _, attentions = maps_of(method.generators["g_y"], batch.x)
    expected = 1 - float(attentions[9].detach().mean())
    assert method.diagnostics() == {"mean_attention": pytest.approx(expected, rel=1e-5)}


def test_full_size_networks_have_the_published_number_of_parameters() -> None:
    settings = load_settings("attentiongan", "paper")
    with torch.device("meta"):
        sides = AttentionGan.build_generators(settings), AttentionGan.build_discriminators(settings)
    counts = [sum(p.numel() for p in side.parameters()) for side in sides]
    assert counts == [2 * 11_760_211, 2 * 2_762_689]


def test_two_steps_change_every_network_and_values_stay_finite(tmp_path: Path) -> None:
    settings = load_settings("attentiongan", "smoke", ["optim.steps=2", "optim.amp=false"])
    trainer = Trainer(settings, tiny_sampler(settings), tmp_path / "run")
    trainer.run()

    torch.manual_seed(settings.seed)
    first = AttentionGan(settings, UNet(settings.segmentor.base))
    first.initialise(torch.Generator().manual_seed(settings.seed))
    after = trainer.method.state_dict()
    changed = {key for key, value in first.state_dict().items() if not torch.equal(value, after[key])}
    # a bias before an InstanceNorm has no gradient but rounding
    assert changed >= {key for key in after if key.endswith("weight")}
    assert all(value.isfinite().all() for value in after.values())
