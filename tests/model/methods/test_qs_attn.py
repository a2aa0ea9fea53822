"""QS-Attn: CUT's terms with patches chosen by attention, against the definition."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.data.batch import Batch
from casgan_dicom.model.methods.cut import Cut
from casgan_dicom.model.methods.patchnce import SamplerKind
from casgan_dicom.model.methods.qs_attn import QsAttn
from casgan_dicom.model.preset_files import load_settings
from tests.model.methods.test_cut import (
    LAYERS,
    PLACES_SEED,
    drawn_of,
    grads,
    losses_of,
    made_up_batch,
    method_of,
    points,
    settings_of,
    taps,
    trained,
)
from tests.model.methods.test_patchnce import brute_loss, brute_patches

MODES: dict[str, SamplerKind] = {
    "global": "qs-global",
    "local": "qs-local",
    "local_global": "qs-local-global",
}


def naive_nce(method: Cut, source: Tensor, target: Tensor, kind: SamplerKind) -> float:
    """CUT's loss, but on the blocks with rows of lowest entropy, of the source's attention for both."""
    keys, queries, losses = taps(method, source), taps(method, target), []
    for layer in LAYERS:
        pair = (queries[layer].detach(), keys[layer].detach())
        if layer.startswith("block"):
            routed = [
                torch.tensor(
                    np.stack(
                        [
                            brute_patches(kind, k, seen, method.nce.patches)
                            for k, seen in zip(*both, strict=True)
                        ]
                    )
                ).float()
                for both in ((doubles(pair[1]), doubles(pair[0])), (doubles(pair[1]), doubles(pair[1])))
            ]
            # The MLP by hand, on a map of one row so that all of it is picked.
            n = torch.arange(method.nce.patches)
            ends = [points(method, layer, r.transpose(1, 2)[:, :, None], n).detach() for r in routed]
        else:
            places = torch.randperm(pair[0].shape[2] * pair[0].shape[3])[: method.nce.patches]
            ends = [points(method, layer, h, places).detach() for h in pair]
        losses.append(brute_loss(ends[0], ends[1], method.nce.temperature))
    return sum(losses) / len(losses)


def doubles(h: Tensor) -> list[np.ndarray[tuple[int, ...], np.dtype[np.float64]]]:
    return list(h.double().numpy())


@pytest.mark.parametrize("mode", list(MODES))
def test_every_term_equals_its_equation(mode: str) -> None:
    method, batch = method_of(settings_of("qs-attn", mode=mode), QsAttn), made_up_batch()
    y_g, y_idt = drawn_of(method, batch.x), drawn_of(method, batch.y)
    torch.manual_seed(PLACES_SEED)
    expected = {
        "nce_x": naive_nce(method, batch.x, y_g, MODES[mode]),
        "nce_y": naive_nce(method, batch.y, y_idt, MODES[mode]),
    }

    torch.manual_seed(PLACES_SEED)
    found = losses_of(method, batch, {"nce_x": 1, "nce_y": 1})

    for name, value in found.items():
        assert float(value.detach()) == pytest.approx(expected[name], rel=5e-4), name


def test_layers_before_the_blocks_are_chosen_as_in_cut() -> None:
    method = method_of(settings_of("qs-attn"), QsAttn)
    assert method.contrast.samplers == {
        "input": "random",
        "down1": "random",
        "down2": "random",
        "block1": "qs-global",
    }


@pytest.mark.parametrize("mode", list(MODES))
def test_the_term_reaches_generator_and_mlps(mode: str) -> None:
    method = method_of(settings_of("qs-attn", mode=mode, layers=["block1"]), QsAttn)
    with torch.autocast("cpu", torch.bfloat16):
        losses_of(method, made_up_batch(), {"nce_x": 1})["nce_x"].backward()  # type: ignore[no-untyped-call]
    assert all(grads(method.generators["nce_mlp"]))
    weights = dict(method.generators["g_y"].named_parameters())
    assert all(
        p.grad is not None and float(p.grad.abs().sum()) > 0
        for key, p in weights.items()
        if key.endswith("weight")
    )


def test_full_size_networks_have_no_more_parameters_than_cut() -> None:
    settings = load_settings("qs-attn", "paper")
    with torch.device("meta"):
        sides = {**QsAttn.build_generators(settings), **QsAttn.build_discriminators(settings)}
    assert {key: sum(p.numel() for p in net.parameters()) for key, net in sides.items()} == {
        "g_y": 11_365_633,
        "nce_mlp": 559_872,
        "d_y": 2_762_689,
    }


def test_what_is_painted_is_what_translation_draws() -> None:
    method, batch = method_of(settings_of("qs-attn"), QsAttn), made_up_batch()
    method.paint(batch)
    deployed = nn.ModuleDict({name: method.generators[name] for name in QsAttn.deployed})
    drawn, attention = QsAttn.predict_maps(deployed, method.settings, batch.x)
    assert attention is None
    assert torch.equal(method.discriminator_samples(batch)["d_y"][1], drawn.detach())


def test_an_unknown_mode_and_a_missing_layer_are_named() -> None:
    with pytest.raises(ConfigError, match=r"qs\.mode is 'glob'"):
        settings_of("qs-attn", mode="glob")
    with pytest.raises(ConfigError, match=r"qs\.layers names block5, which"):
        QsAttn.build_generators(settings_of("qs-attn", layers=["block5"]))


def test_steps_change_every_network(tmp_path: Path) -> None:
    method = method_of(settings_of("qs-attn"), QsAttn)
    method.initialise(torch.Generator().manual_seed(1))
    before = {key: value.clone() for key, value in method.state_dict().items()}
    batch: Batch = made_up_batch()

    figures = trained(method, batch, tmp_path)

    assert figures[0].keys() == {"d_y", "gan_y", "nce_x", "nce_y"}
    after = method.state_dict()
    for part in ("generators.g_y", "generators.nce_mlp", "discriminators.d_y"):
        assert any(not torch.equal(before[key], after[key]) for key in before if key.startswith(part))
