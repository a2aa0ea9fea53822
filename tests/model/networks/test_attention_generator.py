"""AttentionGAN's generator: (context, attention) is the paper's sum of ten in another form."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor, nn
from torch.jit import TracerWarning  # type: ignore[attr-defined]

from casgan_dicom.model.networks.attention_generator import AttentionGenerator


def made_up(channels: int = 1) -> tuple[AttentionGenerator, Tensor]:
    torch.manual_seed(3)
    return AttentionGenerator(4, 1, channels, channels), torch.rand(2, channels, 16, 24) * 2 - 1


def bias_of_attention(net: AttentionGenerator) -> Tensor:
    """What is added to the ten logits everywhere."""
    last = net.attention[-1].get_submodule("conv")
    assert isinstance(last, nn.Conv2d)
    assert last.bias is not None
    return last.bias


@torch.no_grad()
def plain_formula(net: AttentionGenerator, x: Tensor) -> Tensor:
    """Σ A_i ⊙ C_i + A_10 ⊙ x in float64, one map after the other."""
    h = net.trunk(net.stem(x))
    contents, logits = torch.tanh(net.content(h)).double(), net.attention(h).double()
    powers = [torch.exp(logits[:, i] - logits.amax(1)) for i in range(10)]
    total = torch.stack(powers).sum(0)
    channels = x.shape[1]
    image = (powers[9] / total)[:, None] * x.double()
    for i in range(9):
        image = image + (powers[i] / total)[:, None] * contents[:, i * channels : (i + 1) * channels]
    return image


@pytest.mark.parametrize(("channels", "golden"), [(1, 11_760_211), (3, 11_822_949)])
def test_it_has_the_published_number_of_parameters(channels: int, golden: int) -> None:
    with torch.device("meta"):
        net = AttentionGenerator(in_channels=channels, out_channels=channels)
    assert sum(p.numel() for p in net.parameters()) == golden


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("tenth", [-100.0, -3.0, 0.0, 3.0, 12.0, 30.0])
def test_context_and_attention_are_the_plain_formula(channels: int, tenth: float) -> None:
    """`tenth` favours the input or the contents, up to where A or 1 - A is lost beside 1 in float32."""
    net, x = made_up(channels)
    with torch.no_grad():
        bias_of_attention(net)[9] += tenth
        context, attention = net(x)

    image = x * (1 - attention) + context * attention

    # a few float32 roundings of values up to 1
    torch.testing.assert_close(image.double(), plain_formula(net, x), rtol=0, atol=1e-6)


@pytest.mark.parametrize("tenth", [-1e4, 0.0, 1e4])
def test_maps_stay_in_range_and_gradients_finite_even_where_one_side_vanishes(tenth: float) -> None:
    net, x = made_up()
    with torch.no_grad():
        bias_of_attention(net)[9] += tenth

    context, attention = net(x)
    (x * (1 - attention) + context * attention).sum().backward()

    assert context.abs().max() <= 1
    assert 0 <= attention.min() <= attention.max() <= 1
    if tenth > 0:
        assert not attention.any()
    elif tenth < 0:
        torch.testing.assert_close(attention, torch.ones_like(attention))
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


@torch.no_grad()
def test_a_recorded_copy_takes_any_batch() -> None:
    """Engines get one: a shape that was computed in Python would be frozen in it."""
    net, x = made_up()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of torch.jit as a whole
        # InstanceNorm asks for its number of channels in Python, which is the same for any batch
        warnings.filterwarnings("ignore", "Converting a tensor to a Python boolean", TracerWarning)
        recorded = torch.jit.trace(net.eval(), x[:1], check_trace=False)  # type: ignore[no-untyped-call]
    three = torch.rand(3, 1, 16, 24, generator=torch.Generator().manual_seed(5)) * 2 - 1
    for ours, theirs in zip(net(three), recorded(three), strict=True):
        torch.testing.assert_close(ours, theirs)
