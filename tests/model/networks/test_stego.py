"""StegoGAN's generators: what one takes out, from where, and where the other puts it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from casgan_dicom.model.networks.stego import AddingGenerator, RemovingGenerator


def removing(cut: int = 2) -> RemovingGenerator:
    torch.manual_seed(4)
    return RemovingGenerator(4, 3, cut, upsampling="transpose")


def adding(cut: int = 2, *, fusion: bool = True) -> AddingGenerator:
    torch.manual_seed(4)
    return AddingGenerator(4, 3, cut, upsampling="transpose", fusion=fusion)


def image(n: int = 2) -> Tensor:
    return torch.rand(n, 1, 16, 24, generator=torch.Generator().manual_seed(0)) * 2 - 1


def shift_mask(net: RemovingGenerator, by: float) -> None:
    last = net.mask[-1]
    assert isinstance(last, nn.Conv2d)
    assert last.bias is not None
    with torch.no_grad():
        last.bias += by


def grown(map_: np.ndarray, factor: int) -> np.ndarray:
    """Bilinear, the corners' centres kept, one axis after the other."""
    for axis in (0, 1):
        n = map_.shape[axis]
        at = np.linspace(0, n - 1, factor * n)
        map_ = np.apply_along_axis(lambda line, at=at, n=n: np.interp(at, np.arange(n), line), axis, map_)
    return map_


@pytest.mark.parametrize(
    ("channels", "adds", "removes"), [(1, 12_545_793, 13_135_873), (3, 12_558_339, 13_148_419)]
)
def test_they_have_the_published_number_of_parameters(channels: int, adds: int, removes: int) -> None:
    """A ResNet-9, and a residual block or three convolutions more."""
    with torch.device("meta"):
        nets = (
            AddingGenerator(channels=channels, upsampling="transpose"),
            RemovingGenerator(channels=channels, upsampling="transpose"),
        )
    counts = [sum(p.numel() for p in net.parameters()) for net in nets]
    assert counts == [adds, removes]
    resnet_9 = {1: 11_365_633, 3: 11_378_179}[channels]
    convolution = 256 * 256 * 9 + 256
    assert counts == [resnet_9 + 2 * convolution, resnet_9 + 3 * convolution]


@torch.no_grad()
@pytest.mark.parametrize("cut", [0, 1, 3])
def test_what_is_taken_out_and_what_goes_on_are_the_features_after_the_cut(cut: int) -> None:
    net, y = removing(cut), image()

    x_g, latent, where = net(y)

    f = net.net.stem(y)
    for block in list(net.net.trunk)[:cut]:
        f = block(f)
    m = 1 / (1 + torch.exp(-net.mask(f)))
    h = f * m
    for block in list(net.net.trunk)[cut:]:
        h = block(h)
    torch.testing.assert_close(x_g, torch.tanh(net.net.head(h)))
    torch.testing.assert_close(latent, f * (1 - m))
    assert where.shape == y.shape
    for k in range(len(y)):
        expected = grown((1 - m[k]).numpy().max(axis=0), 4)
        np.testing.assert_allclose(where[k, 0].numpy(), expected, atol=1e-6)


@torch.no_grad()
def test_a_mask_that_keeps_everything_leaves_a_plain_resnet() -> None:
    net, y = removing(), image()
    shift_mask(net, 200)

    x_g, latent, where = net(y)

    assert torch.equal(x_g, net.net(y))
    assert not latent.any()
    assert not where.any()


@torch.no_grad()
def test_a_share_too_small_to_be_seen_beside_one_is_still_measured() -> None:
    net, y = removing(), image()
    shift_mask(net, 30)
    _, _, where = net(y)
    logits = net.mask(net.net.trunk[:2](net.net.stem(y)))
    # the corners are not interpolated
    torch.testing.assert_close(where[:, 0, 0, 0], torch.exp(-logits[:, :, 0, 0].amin(1)), rtol=1e-5, atol=0)


@pytest.mark.parametrize("by", [-200.0, 200.0])
def test_a_mask_that_is_certain_has_finite_gradients(by: float) -> None:
    net = removing()
    shift_mask(net, by)
    x_g, latent, where = net(image())
    (x_g.sum() + latent.sum() + where.sum()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


@torch.no_grad()
@pytest.mark.parametrize("fusion", [True, False])
@pytest.mark.parametrize("cut", [0, 1, 3])
def test_a_latent_is_added_after_the_cut(cut: int, fusion: bool) -> None:
    net, x = adding(cut, fusion=fusion), image()
    latent = torch.randn(2, 16, 4, 6, generator=torch.Generator().manual_seed(1))

    drawn = net(x, latent)

    h = net.net.stem(x)
    for k, block in enumerate([*net.net.trunk, nn.Identity()]):
        if k == cut:
            h = h + (latent + net.fusion.get_submodule("body")(latent) if fusion else latent)
        h = block(h)
    torch.testing.assert_close(drawn, torch.tanh(net.net.head(h)))
    assert torch.equal(net(x), net.net(x))
    assert not torch.allclose(drawn, net(x))


@pytest.mark.parametrize("cut", [-1, 4])
def test_there_is_no_cut_outside_the_trunk(cut: int) -> None:
    with pytest.raises(ValueError, match=f"a cut after {cut} of 3 residual blocks"):
        removing(cut)
    with pytest.raises(ValueError, match=f"a cut after {cut} of 3 residual blocks"):
        adding(cut)
