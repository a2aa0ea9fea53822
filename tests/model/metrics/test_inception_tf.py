"""The Inception-v3 of FID against torch-fidelity's, and its resize against TensorFlow 1's loop."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from casgan_dicom.model.metrics.inception_tf import FEATURES, InceptionTF, prepare, resize_tf1


def patterned_weights() -> dict[str, Tensor]:
    """Weights by the names of the published file, alike on every machine; features stay near 1."""
    chance = np.random.default_rng(7)
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in InceptionTF().state_dict().items()}
    return {name: _entry(name, shape, chance) for name, shape in sorted(shapes.items())}


def _entry(name: str, shape: torch.Size, chance: np.random.Generator) -> Tensor:
    if not shape:
        return torch.tensor(0)
    drawn = chance.random(tuple(shape), dtype=np.float32)
    if name.endswith(("running_var", "bn.weight")):
        values = drawn + np.float32(0.5)
    elif name.endswith(("running_mean", "bias")):
        values = drawn * np.float32(0.4) - np.float32(0.2)
    else:
        values = (drawn - np.float32(0.5)) * np.float32(math.sqrt(24 / math.prod(shape[1:])))
    return torch.from_numpy(values)


def test_the_network_has_the_size_of_the_published_one() -> None:
    with torch.device("meta"):
        net = InceptionTF()
    assert sum(parameter.numel() for parameter in net.parameters()) == 23_850_960
    assert len(net.state_dict()) == 566


def test_features_are_those_of_torch_fidelitys_network() -> None:
    """The numbers are those of torch-fidelity 0.4.0 with the same weights and 8-bit image.

    Average pooling that counts the padding, an average in the last block or another ε would move them by
    more than the tolerance, which is for float32 through 94 convolutions.
    """
    net = InceptionTF().eval()
    net.load_state_dict(patterned_weights())
    image = np.random.default_rng(8).integers(0, 256, (1, 90, 70), dtype=np.uint8)

    with torch.inference_mode():
        found = net.features(prepare(torch.from_numpy(image[:, None] / np.float32(255))))[0]

    assert found.shape == (FEATURES,)
    wanted = torch.tensor([23.822048, 19.877716, 17.128061, 24.76981, 21.582844, 34.303627])
    torch.testing.assert_close(found[[71, 410, 754, 1145, 1503, 1916]], wanted, rtol=1e-4, atol=1e-4)
    assert float(found.mean()) == pytest.approx(3.284401, rel=1e-4)


def _resize_by_loop(image: npt.NDArray[np.float32], rows: int, columns: int) -> npt.NDArray[np.float64]:
    """`tf.image.resize_bilinear(align_corners=False)` of TensorFlow 1, pixel by pixel."""
    height, width = image.shape
    out = np.zeros((rows, columns))
    for i in range(rows):
        for j in range(columns):
            y, x = i * height / rows, j * width / columns
            top, left = math.floor(y), math.floor(x)
            below, right = min(top + 1, height - 1), min(left + 1, width - 1)
            upper = image[top, left] * (1 - (x - left)) + image[top, right] * (x - left)
            lower = image[below, left] * (1 - (x - left)) + image[below, right] * (x - left)
            out[i, j] = upper * (1 - (y - top)) + lower * (y - top)
    return out


@pytest.mark.parametrize("size", [(5, 9), (20, 31), (40, 17), (7, 11)])
def test_the_resize_is_that_of_tensorflow_1(size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).random((20, 31), dtype=np.float32)
    found = resize_tf1(torch.from_numpy(image)[None, None], *size)[0, 0]
    np.testing.assert_allclose(found.numpy(), _resize_by_loop(image, *size), atol=1e-5)  # float32


def test_a_frame_of_the_networks_size_is_not_touched() -> None:
    image = torch.rand(2, 1, 299, 299)
    assert torch.equal(resize_tf1(image, 299, 299), image)


def test_prepared_frames_are_8_bit_grey_in_three_equal_channels() -> None:
    """128 is FID's zero; 100.4 of 255 is 100 in a file of 8 bits."""
    frames = torch.tensor([0.0, 128 / 255, 100.4 / 255, 1.0])[:, None, None, None].expand(4, 1, 50, 60)
    found = prepare(frames)
    wanted = torch.tensor([-128.0, 0, -28, 127]) / 128
    assert torch.equal(found, wanted[:, None, None, None].expand(4, 3, 299, 299))
