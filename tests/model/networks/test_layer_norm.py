"""Layer normalisation over whole maps, against loops in double precision."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from casgan_dicom.model.networks.layer_norm import MapLayerNorm, init_layer_norms


def test_it_equals_its_equation_number_by_number() -> None:
    """Unbiased standard deviation, and ε added to it and not to the variance: 0.5 makes that visible."""
    layer = MapLayerNorm(3, eps=0.5)
    h = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(1)) * 2 + 1
    with torch.no_grad():
        layer.beta.copy_(torch.tensor([0.1, -0.2, 0.3]))

    found = layer(h)

    gammas, betas = layer.gamma.tolist(), layer.beta.tolist()
    for sample, normalised in zip(h.double().tolist(), found.tolist(), strict=True):
        values = [v for channel in sample for row in channel for v in row]
        mean = sum(values) / 60
        std = math.sqrt(sum((v - mean) ** 2 for v in values) / 59)
        for c, channel in enumerate(sample):
            for i, row in enumerate(channel):
                for j, v in enumerate(row):
                    expected = gammas[c] * (v - mean) / (std + 0.5) + betas[c]
                    assert normalised[c][i][j] == pytest.approx(expected, abs=1e-5)


def test_a_large_offset_costs_no_digits() -> None:
    """1e3 beside a spread of 1: a single float32 sum over 16 million values would lose it."""
    layer = MapLayerNorm(64)
    h = torch.randn(1, 64, 128, 128, generator=torch.Generator().manual_seed(2)) + 1000
    found = layer(h).detach().numpy()
    wide = h.double().numpy()
    exact = (wide - wide.mean()) / (wide.std(ddof=1) + 1e-5)
    exact = exact * layer.gamma.detach().double().numpy()[:, None, None]
    # float32 values near 1000 are 6e-5 apart
    np.testing.assert_allclose(found, exact, atol=2e-4)


def test_bf16_goes_in_and_comes_out_but_statistics_are_float32() -> None:
    h = torch.randn(1, 4, 32, 32, generator=torch.Generator().manual_seed(3)).bfloat16()
    layer = MapLayerNorm(4)
    found = layer(h)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, layer(h.float()).bfloat16())


def test_first_weights_are_uniform_and_depend_on_the_seed_alone() -> None:
    nets = [nn.Sequential(MapLayerNorm(4000), nn.ReLU(), MapLayerNorm(8)) for _ in range(2)]
    for net in nets:
        torch.rand(7)  # whatever ran before
        for p in net.parameters():
            nn.init.constant_(p, 9.0)
        init_layer_norms(net, torch.Generator().manual_seed(4))
    first, second = (net.state_dict() for net in nets)
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    gamma = first["0.gamma"]
    assert 0 <= float(gamma.min()) < 0.01
    assert 0.99 < float(gamma.max()) <= 1
    assert float(gamma.mean()) == pytest.approx(0.5, abs=0.02)  # 4 standard errors of 4,000 draws
    assert float(first["0.beta"].abs().max()) == 0
