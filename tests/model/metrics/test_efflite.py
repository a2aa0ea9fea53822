"""EfficientNet-Lite0 on its published weights: it knows photographs, and computes what others' code does."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import as_file, files

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.nn.functional as F
from skimage import data

from casgan_dicom.model.metrics.efflite import MEAN, SCALE, EffLite0, SameConv, prepare
from casgan_dicom.model.metrics.extractors import EFFLITE_FILE, EFFLITE_PACKAGE, load_weights


@pytest.fixture(scope="module")
def net() -> EffLite0:
    made = EffLite0()
    with as_file(files(EFFLITE_PACKAGE) / EFFLITE_FILE) as path:
        load_weights(made, path)
    return made.eval().requires_grad_(False)


def test_the_network_has_the_size_of_the_published_one() -> None:
    with torch.device("meta"):
        net = EffLite0()
    assert sum(parameter.numel() for parameter in net.parameters()) == 4_652_008
    assert len(net.state_dict()) == 296


@pytest.mark.parametrize(
    ("photograph", "classes"),
    [(data.chelsea, {281, 282, 285}), (data.coffee, {967}), (data.rocket, {657})],
    ids=["cat", "espresso", "missile"],
)
def test_photographs_are_recognised(
    net: EffLite0, photograph: Callable[[], npt.NDArray[np.uint8]], classes: set[int]
) -> None:
    """ImageNet's classes: tabby, tiger cat, Egyptian cat; espresso; missile."""
    image = torch.from_numpy(photograph()).permute(2, 0, 1)[None].float()
    side = min(image.shape[2:])
    top, left = (image.shape[2] - side) // 2, (image.shape[3] - side) // 2
    square = image[:, :, top : top + side, left : left + side]
    sized = F.interpolate(square, (224, 224), mode="bicubic", antialias=True).clamp(0, 255)
    assert int(net((sized - MEAN) / SCALE).argmax()) in classes


def test_features_are_those_of_the_packages_own_network(net: EffLite0) -> None:
    """The numbers are those of efficientnet-lite-pytorch 0.1.0 with the same weights and input."""
    rows, columns = torch.meshgrid(torch.arange(224.0), torch.arange(224.0), indexing="ij")
    image = torch.stack([torch.sin(rows / 9), torch.cos(columns / 5), torch.sin((rows + columns) / 13)])[None]

    found = net.features(image)[0]

    assert found.shape == (1280,)
    torch.testing.assert_close(
        found[[71, 292, 600, 945, 1244]],
        torch.tensor([5.904454, 3.31575, 5.221885, 3.510639, 2.265379]),
        rtol=1e-3,
        atol=1e-4,
    )
    assert float(found.mean()) == pytest.approx(0.1740755, rel=1e-3)  # float32 through 50 convolutions


def test_a_stride_of_two_pads_the_far_sides_only() -> None:
    """As TensorFlow does for an even side: the first output is centred on pixel 1."""
    conv = SameConv(1, 1, 3, 2, bias=False)
    image = torch.arange(36.0).reshape(1, 1, 6, 6)
    with torch.no_grad():
        conv.weight.zero_()
        conv.weight[0, 0, 1, 1] = 1
        found = conv(image)
    assert torch.equal(found[0, 0], image[0, 0, 1::2, 1::2])


def test_prepared_frames_are_grey_in_three_equal_channels_at_the_training_range() -> None:
    frames = torch.tensor([0.0, 0.5, 1.0])[:, None, None, None].expand(3, 1, 40, 60)
    found = prepare(frames)
    assert found.shape == (3, 3, 224, 224)
    wanted = torch.tensor([-127 / 128, 0.5 / 128, 1.0])
    torch.testing.assert_close(found, wanted[:, None, None, None].expand(3, 3, 224, 224), atol=1e-5, rtol=0)


def test_a_pattern_finer_than_the_network_sees_becomes_grey_not_a_coarser_pattern() -> None:
    """One bright column in three, shrunk to a quarter."""
    stripes = torch.tensor([0.0, 0.0, 1.0]).repeat(299)[None, None, None, :896].expand(1, 1, 896, 896)
    inner = prepare(stripes)[..., 4:-4, 4:-4]  # the border has less to average over
    assert float(inner.std()) < 0.05


def test_an_edge_does_not_overshoot_the_range() -> None:
    """As bicubic weights would make it."""
    edge = (torch.arange(100) > 50).float()[None, None, None].expand(1, 1, 100, 100)
    found = prepare(edge)
    assert (float(found.min()), float(found.max())) == (-127 / 128, 1)
