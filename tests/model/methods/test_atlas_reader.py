"""What the networks say, in pixels and degrees."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from casgan_dicom.model.atlas import targets
from casgan_dicom.model.atlas.cues import GRID, LANDMARKS
from casgan_dicom.model.bundle.bundle import load_bundle
from casgan_dicom.model.bundle.deployed import pose_net, tip_net
from casgan_dicom.model.engines.graph import one_frame
from casgan_dicom.model.methods.atlas import Atlas, torch_reader
from casgan_dicom.model.methods.atlas_reader import Frames, Reader, _tip, look, read_cues
from casgan_dicom.model.networks.reading_shapes import CELLS, FINE, SEEN, TOLD
from casgan_dicom.model.preset_files import load_settings
from casgan_dicom.model.simulator.cine import CineSettings, simulate_cine
from casgan_dicom.model.simulator.geometry import Array
from casgan_dicom.model.simulator.procedural import ProceduralBackgrounds


def test_a_sharp_heat_map_gives_its_cell_in_pixels() -> None:
    logits = np.full((1, CELLS * CELLS + 1), -30.0, np.float32)
    logits[0, 20 * CELLS + 7] = 0.0

    place, mass, none = _tip(logits)

    np.testing.assert_allclose(place, [[7.5 * 2 - 0.5, 20.5 * 2 - 0.5]], atol=1e-4)
    assert mass[0] == pytest.approx(1, abs=1e-4)
    assert none[0] < 1e-6


def test_a_tip_between_two_cells_lies_between_them() -> None:
    logits = np.full((1, CELLS * CELLS + 1), -30.0, np.float32)
    logits[0, 20 * CELLS + 7] = logits[0, 20 * CELLS + 8] = 0.0

    assert _tip(logits)[0][0, 0] == pytest.approx(8 * 2 - 0.5, abs=1e-4)


def test_no_tip_is_said_with_its_probability() -> None:
    logits = np.full((1, CELLS * CELLS + 1), -30.0, np.float32)
    logits[0, -1] = 0.0

    assert _tip(logits)[2][0] == pytest.approx(1, abs=1e-4)


def chances(*frames: dict[tuple[int, int] | None, float]) -> Frames:
    """Logits of frames from the chance of each (row, column), and of none."""
    likely = np.full((len(frames), CELLS * CELLS + 1), 1e-9, np.float32)
    for t, frame in enumerate(frames):
        for at, chance in frame.items():
            likely[t, -1 if at is None else at[0] * CELLS + at[1]] = chance
    return np.log(likely)


SHOWN = {(30, 31): 0.9, None: 0.1}
"""A frame that shows the tip."""
BEND = {(12, 44): 0.3, (28, 29): 0.1, None: 0.6}
"""A frame that half takes a bend for it, and thinks of its true place, too."""


def test_a_frame_that_is_not_sure_looks_where_the_others_have_the_tip() -> None:
    place, mass, none = _tip(chances(SHOWN, BEND, SHOWN, SHOWN, BEND))

    np.testing.assert_allclose(place[[1, 4]], [[29.5 * 2 - 0.5, 28.5 * 2 - 0.5]] * 2, atol=1e-3)
    np.testing.assert_allclose(place[[0, 2, 3]], [[31.5 * 2 - 0.5, 30.5 * 2 - 0.5]] * 3, atol=1e-3)
    np.testing.assert_allclose(mass, 0.9, atol=1e-3)
    np.testing.assert_allclose(none[[1, 4]], 0.6, atol=1e-3)  # that one is there it does not say


def test_a_frame_that_is_sure_of_another_place_keeps_it() -> None:
    """Where the table moves, the tip goes with it."""
    place, mass, _ = _tip(chances(SHOWN, SHOWN, SHOWN, {(30, 50): 0.8, None: 0.2}))

    np.testing.assert_allclose(place[3], [50.5 * 2 - 0.5, 30.5 * 2 - 0.5], atol=1e-3)
    assert mass[3] == pytest.approx(0.8, abs=1e-3)


def test_frames_without_any_catheter_agree_on_none() -> None:
    _, mass, none = _tip(chances(*[{(5 + 9 * k, 50 - 8 * k): 0.02, None: 0.98} for k in range(5)]))

    assert (mass < 0.05).all()
    assert (none > 0.95).all()


@pytest.mark.parametrize("shape", [(256, 256), (512, 300), (90, 200)])
def test_frames_of_any_shape_are_read(shape: tuple[int, int]) -> None:
    reader = torch_reader(Atlas.build_generators(load_settings("atlas", "smoke")).eval())
    frames = np.random.default_rng(1).random((3, *shape), np.float32)

    cues = read_cues(reader, look(reader, frames), (-30.0, 20.0))

    assert cues.landmarks.shape == (3, 2, LANDMARKS, 2)
    assert cues.vessel.shape == (3, GRID, GRID)
    assert cues.tip.shape == cues.isocentre.shape == cues.angles_deg.shape == (3, 2)
    assert bool(((cues.contraction >= 0) & (cues.contraction <= 1)).all())
    assert bool((cues.spread > 0).all())
    assert cues.pan.shape == (3, 2)
    seen = {name: value for name, value in vars(cues).items() if name != "shaft_depth"}
    assert all(np.isfinite(value).all() for value in seen.values())


def test_the_shipped_networks_read_the_same_on_openvino() -> None:
    """What is planned by it is rendered, so a view, a place or a phase off would be another tree."""
    module = pytest.importorskip("casgan_dicom.model.engines.openvino_engine")
    bundle = load_bundle("atlas")
    plain = simulate_cine(5, CineSettings(size=256, frames=8), ProceduralBackgrounds()).plain
    frames = plain.astype(np.float32) / np.float32(255)
    tip = module.OpenVinoGraph(lambda: tip_net(bundle), 2 * one_frame(FINE), precision="f32")
    pose = module.OpenVinoGraph(lambda: pose_net(bundle), ((SEEN, GRID, GRID), (TOLD,)), precision="f32")
    ours, theirs = Reader(tip, pose), torch_reader(bundle.generators)

    found, wanted = (
        vars(read_cues(reader, look(reader, frames), (-30.0, 20.0))) for reader in (ours, theirs)
    )

    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-3, err_msg=name)


@pytest.mark.parametrize(
    ("there", "back", "value"),
    [
        (targets.from_pixels, targets.to_pixels, [12.0, 100.5]),
        (targets.scale_of, targets.field_of, 143.0),
        (targets.semi_axes_values, targets.semi_axes_of, [40.0, 51.0, 70.0]),
        (targets.apex_values, targets.apex_of, [0.5, -0.6, -0.6]),
    ],
)
def test_learned_values_are_undone(
    there: Callable[[Array], Array], back: Callable[[Array], Array], value: float | list[float]
) -> None:
    np.testing.assert_allclose(back(there(np.asarray(value))), value)
