"""PatchNCE and its samplers against loops over patches."""

from __future__ import annotations

import copy
import math

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from casgan_dicom.model.methods.patchnce import SAMPLERS, PatchNce, SamplerKind, patch_loss, random_places
from casgan_dicom.model.networks.patch_features import PatchFeatures

Array = npt.NDArray[np.float64]


def features(seed: int, *shape: int, scale: float = 1.0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * scale


def on_sphere(seed: int, *shape: int) -> Tensor:
    return torch.nn.functional.normalize(features(seed, *shape), dim=-1)


def brute_loss(query: Tensor, key: Tensor, temperature: float) -> float:
    """The official form: the positive in front, -10 where the patch would meet itself."""
    total, n = 0.0, 0
    for q_image, k_image in zip(query.double().tolist(), key.double().tolist(), strict=True):
        for s, q in enumerate(q_image):
            scores = [sum(a * b for a, b in zip(q, k, strict=True)) for k in k_image]
            others = [-10.0 if t == s else score for t, score in enumerate(scores)]
            logits = [scores[s] / temperature, *(other / temperature for other in others)]
            top = max(logits)
            total -= logits[0] - top - math.log(sum(math.exp(v - top) for v in logits))
            n += 1
    return total / n


@pytest.mark.parametrize("temperature", [0.07, 0.5])
def test_the_loss_equals_a_loop_over_patches(temperature: float) -> None:
    query, key = on_sphere(1, 2, 12, 5), on_sphere(2, 2, 12, 5)
    assert float(patch_loss(query, key, temperature)) == pytest.approx(
        brute_loss(query, key, temperature), rel=1e-5
    )


def test_patches_that_are_alike_only_to_themselves_have_the_loss_of_the_closed_form() -> None:
    points = torch.eye(6)[None]
    expected = math.log(1 + 5 * math.exp(-1 / 0.07))
    assert float(patch_loss(points, points, 0.07)) == pytest.approx(expected, rel=0.1)  # 3e-6 in float32
    assert float(patch_loss(points, points.roll(1, 1), 0.07)) == pytest.approx(1 / 0.07, rel=1e-5)


def test_negatives_come_from_the_same_image_only() -> None:
    query, key = on_sphere(1, 2, 12, 5), on_sphere(2, 2, 12, 5)
    alone = [float(patch_loss(query[k : k + 1], key[k : k + 1], 0.07)) for k in range(2)]
    assert float(patch_loss(query, key, 0.07)) == pytest.approx(sum(alone) / 2, rel=1e-6)


def test_keys_are_constants_and_queries_are_not() -> None:
    query, key = on_sphere(1, 1, 9, 4).requires_grad_(), on_sphere(2, 1, 9, 4).requires_grad_()
    patch_loss(query, key, 0.07).backward()  # type: ignore[no-untyped-call]
    assert key.grad is None
    assert query.grad is not None
    assert float(query.grad.abs().min()) > 0


def test_under_autocast_logits_stay_in_float32() -> None:
    query, key, mlp = features(1, 1, 64, 16), features(2, 1, 64, 16), PatchFeatures({"down1": 16}, 8)
    expected = patch_loss(mlp("down1", query), mlp("down1", key), 0.07)
    with torch.autocast("cpu", torch.bfloat16):
        found = patch_loss(mlp("down1", query), mlp("down1", key), 0.07)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


def test_random_places_are_the_same_for_key_and_query_and_never_twice() -> None:
    key, places = features(1, 2, 3, 6, 5), torch.arange(30.0).reshape(1, 1, 6, 5)

    torch.manual_seed(4)
    select = random_places(key, 11)
    torch.manual_seed(4)
    expected = torch.randperm(30)[:11]

    assert select(places).flatten().tolist() == expected.tolist()
    assert len(set(expected.tolist())) == 11
    for image, picked in zip(key, select(key), strict=True):
        for place, patch in zip(expected.tolist(), picked, strict=True):
            assert torch.equal(patch, image[:, place // 5, place % 5])


def test_a_layer_with_fewer_places_gives_all_of_them() -> None:
    key = features(1, 1, 3, 4, 4)
    for sampler in SAMPLERS.values():
        assert sampler(key, 256)(key).shape == (1, 16, 3)


def softmax(scores: Array) -> Array:
    shifted: Array = np.exp(scores - scores.max())
    return np.asarray(shifted / shifted.sum())


def entropy(row: Array) -> float:
    return float(-sum(p * math.log(p) for p in row if p > 0))


def global_attention(image: Array) -> list[Array]:
    """A row over all places, for each place of image (C, H, W)."""
    flat = image.reshape(len(image), -1)
    return [
        softmax(np.array([flat[:, i] @ flat[:, j] for j in range(flat.shape[1])]))
        for i in range(flat.shape[1])
    ]


def local_attention(image: Array) -> list[Array]:
    """A row over the 49 places around, for each place; a place beyond the border is a feature of zeros."""
    _, height, width = image.shape
    rows: list[Array] = []
    for i in range(height):
        for j in range(width):
            scores = [
                float(image[:, i, j] @ image[:, i + a, j + b])
                if 0 <= i + a < height and 0 <= j + b < width
                else 0.0
                for a in range(-3, 4)
                for b in range(-3, 4)
            ]
            rows.append(softmax(np.array(scores)))
    return rows


def locally_routed(row: Array, place: int, target: Array) -> Array:
    """Mean of the window of `target` around `place`, weighted by `row`."""
    _, height, width = target.shape
    total = np.zeros(len(target))
    weights = iter(row)
    for a in range(-3, 4):
        for b in range(-3, 4):
            weight, i, j = next(weights), place // width + a, place % width + b
            if 0 <= i < height and 0 <= j < width:
                total += weight * target[:, i, j]
    return total


def brute_patches(kind: SamplerKind, source: Array, target: Array, n: int) -> Array:
    """Patches of one image by the definition, (n, C), lowest entropy first."""
    everywhere, around = global_attention(source), local_attention(source)
    choosing = everywhere if kind == "qs-global" else around
    chosen = sorted(range(len(choosing)), key=lambda place: entropy(choosing[place]))[:n]
    if kind == "qs-local":
        return np.stack([locally_routed(around[place], place, target) for place in chosen])
    flat = target.reshape(len(target), -1)
    return np.stack([(flat * everywhere[place]).sum(1) for place in chosen])


@pytest.mark.parametrize("kind", ["qs-global", "qs-local", "qs-local-global"])
def test_attended_patches_are_the_rows_of_lowest_entropy_and_route_source_and_target(
    kind: SamplerKind,
) -> None:
    source, target = features(1, 2, 3, 8, 9, scale=0.8), features(2, 2, 3, 8, 9)

    select = SAMPLERS[kind](source, 20)

    for seen in (source, target):  # the target is routed by the source's attention
        found = select(seen).double().numpy()
        for k in range(2):
            expected = brute_patches(kind, source[k].double().numpy(), seen[k].double().numpy(), 20)
            np.testing.assert_allclose(found[k], expected, rtol=1e-4, atol=1e-5)


def test_the_three_attentions_differ() -> None:
    source = features(1, 1, 3, 8, 8)
    patches = [SAMPLERS[kind](source, 12)(source) for kind in ("qs-global", "qs-local", "qs-local-global")]
    assert not any(torch.allclose(a, b) for a, b in zip(patches, patches[1:] + patches[:1], strict=True))


def test_attention_takes_gradients_to_the_target_only() -> None:
    source, target = features(1, 1, 3, 8, 8).requires_grad_(), features(2, 1, 3, 8, 8).requires_grad_()
    for kind in ("qs-global", "qs-local", "qs-local-global"):
        target.grad = None
        SAMPLERS[kind](source, 5)(target).square().sum().backward()  # type: ignore[no-untyped-call]
        assert source.grad is None
        assert target.grad is not None
        assert float(target.grad.abs().sum()) > 0


@pytest.mark.parametrize("kind", list(SAMPLERS))
def test_attention_does_not_change_under_autocast(kind: SamplerKind) -> None:
    source = features(1, 1, 8, 10, 10)
    torch.manual_seed(1)
    expected = SAMPLERS[kind](source, 30)(source)
    torch.manual_seed(1)
    with torch.autocast("cpu", torch.bfloat16):
        found = SAMPLERS[kind](source, 30)(source)
    assert torch.equal(found, expected)


def test_the_whole_loss_is_the_mean_over_layers() -> None:
    mlp = PatchFeatures({"down1": 4, "block1": 6}, 8)
    keys = {"down1": features(1, 2, 4, 8, 8), "block1": features(2, 2, 6, 4, 4)}
    queries = {"down1": features(3, 2, 4, 8, 8), "block1": features(4, 2, 6, 4, 4)}

    torch.manual_seed(9)
    found = PatchNce({"down1": "random", "block1": "qs-global"}, 0.2, 10)(mlp, keys, queries)

    torch.manual_seed(9)
    places = torch.randperm(64)[:10]
    rows = {"down1": [h.flatten(2)[:, :, places].transpose(1, 2) for h in (queries["down1"], keys["down1"])]}
    key = keys["block1"].double().numpy()
    rows["block1"] = [
        torch.tensor(
            np.stack([brute_patches("qs-global", key[k], seen[k].double().numpy(), 10) for k in range(2)]),
            dtype=torch.float32,
        )
        for seen in (queries["block1"], keys["block1"])
    ]
    losses = [
        brute_loss(mlp(name, query).detach(), mlp(name, key_).detach(), 0.2)
        for name, (query, key_) in rows.items()
    ]
    assert float(found.detach()) == pytest.approx(sum(losses) / 2, rel=1e-4)


def test_the_mlp_learns_from_queries_only() -> None:
    """Its gradient is that of a loss whose keys went through a copy of it."""
    mlp, key, query = PatchFeatures({"down1": 4}, 8), features(1, 1, 4, 8, 8), features(2, 1, 4, 8, 8)
    key.requires_grad_()
    other = copy.deepcopy(mlp)

    PatchNce({"down1": "random"}, 0.07, 64)(mlp, {"down1": key}, {"down1": query}).backward()  # type: ignore[no-untyped-call]

    points = other("down1", key.flatten(2).transpose(1, 2)).detach()
    expected = torch.autograd.grad(
        patch_loss(mlp("down1", query.flatten(2).transpose(1, 2)), points, 0.07), list(mlp.parameters())
    )
    assert key.grad is None
    for p, gradient in zip(mlp.parameters(), expected, strict=True):
        torch.testing.assert_close(p.grad, gradient, rtol=1e-3, atol=1e-5)
        assert float(gradient.abs().sum()) > 0


def test_points_of_the_mlp_have_length_one_and_its_definition() -> None:
    mlp, patches = PatchFeatures({"block1": 6}, 8), features(1, 2, 5, 6)
    w1, b1, w2, b2 = mlp.parameters()
    hidden = torch.einsum("bnc,dc->bnd", patches, w1) + b1
    points = torch.einsum("bnc,dc->bnd", hidden.clamp_min(0), w2) + b2

    found = mlp("block1", patches)

    torch.testing.assert_close(found.norm(dim=2), torch.ones(2, 5), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(
        found, points / points.square().sum(2, keepdim=True).sqrt(), rtol=1e-4, atol=1e-5
    )


def test_mlps_of_the_official_layers_have_the_official_number_of_parameters() -> None:
    with torch.device("meta"):
        mlp = PatchFeatures({"input": 1, "down1": 128, "down2": 256, "block1": 256, "block5": 256})
    assert sum(p.numel() for p in mlp.parameters()) == 559_872
