"""Discriminators at three scales: golden sizes, the pyramid against a loop, the smallest image."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from casgan_dicom.model.networks.multiscale import MsImageDis


@pytest.mark.parametrize(("channels", "expected"), [(1, 8_265_027), (3, 8_271_171)])
def test_three_scales_have_the_golden_number_of_parameters(channels: int, expected: int) -> None:
    with torch.device("meta"):
        net = MsImageDis(in_channels=channels)
    assert sum(p.numel() for p in net.parameters()) == expected


def halved(image: Tensor) -> Tensor:
    """Mean of the pixels there are within one step of every second pixel."""
    rows, columns = image.shape
    result = torch.empty((rows + 1) // 2, (columns + 1) // 2)
    for i in range(result.shape[0]):
        for j in range(result.shape[1]):
            top, left = max(0, 2 * i - 1), max(0, 2 * j - 1)
            result[i, j] = image[top : 2 * i + 2, left : 2 * j + 2].mean()
    return result


def test_every_scale_sees_the_image_at_half_the_size_of_the_one_before() -> None:
    net = MsImageDis(ndf=2)
    image = torch.randn(1, 1, 64, 80, generator=torch.Generator().manual_seed(1))

    scores = net(image)

    seen = image[0, 0]
    assert len(scores) == 3
    for one_scale, score in zip(net.scales, scores, strict=True):
        torch.testing.assert_close(score, one_scale(seen[None, None]), rtol=1e-4, atol=1e-6)
        seen = halved(seen)


def test_the_last_scale_still_scores_64_pixels_but_not_48() -> None:
    net = MsImageDis(ndf=2)
    assert [score.shape[2:] for score in net(torch.zeros(1, 1, 64, 64))] == [(4, 4), (2, 2), (1, 1)]
    with pytest.raises(ValueError, match=r"48, 64.*at least 64"):
        net(torch.zeros(1, 1, 48, 64))
