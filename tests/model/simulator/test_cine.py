"""Whole runs: the twins, the truth about them, and determinism."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from casgan_dicom.model.simulator import catheter, devices
from casgan_dicom.model.simulator.cine import CineSettings, SimulatedCine, simulate_cine
from tests.model.simulator.phantom import WaterBaths

SMALL = CineSettings(size=96, frames=24)
PATIENTS = WaterBaths()


def cine(
    seed: int = 5, settings: CineSettings = SMALL, indices: tuple[int, ...] | None = None
) -> SimulatedCine:
    return simulate_cine(seed, settings, PATIENTS, indices=indices)


@pytest.fixture(scope="module")
def left() -> SimulatedCine:
    return cine(settings=replace(SMALL, injected="LCA"))


@pytest.fixture(scope="module")
def right() -> SimulatedCine:
    return cine(settings=replace(SMALL, injected="RCA", view="LAO45"))


def arrays(run: SimulatedCine) -> dict[str, np.ndarray]:
    values = {f.name: getattr(run, f.name) for f in fields(run)}
    return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}


def test_same_seed_gives_the_same_bytes() -> None:
    one, two = arrays(cine(indices=(2, 15))), arrays(cine(indices=(2, 15)))
    assert one.keys() == two.keys()
    for name, array in one.items():
        assert array.tobytes() == two[name].tobytes(), name


def test_another_seed_gives_another_patient() -> None:
    assert not np.array_equal(cine(1, indices=(15,)).contrast, cine(2, indices=(15,)).contrast)


def test_a_frame_does_not_depend_on_which_others_are_rendered() -> None:
    alone, among = arrays(cine(indices=(15,))), arrays(cine(indices=(3, 15, 20)))
    for name in ("plain", "contrast", "vessel_mask", "vessel_mm", "catheter_mask", "phase"):
        np.testing.assert_array_equal(alone[name][0], among[name][1], err_msg=name)


def test_a_frame_does_not_depend_on_the_length_of_the_run() -> None:
    short, long = cine(indices=(9,)), cine(settings=replace(SMALL, frames=200), indices=(9,))
    np.testing.assert_array_equal(short.contrast, long.contrast)


@pytest.mark.parametrize("bits", [8, 10, 12])
def test_arrays_have_their_shapes_types_and_range(bits: int) -> None:
    run = cine(settings=replace(SMALL, bits=bits), indices=(0, 12))  # type: ignore[arg-type]
    for name in ("plain", "contrast"):
        stored = getattr(run, name)
        assert stored.dtype == (np.uint8 if bits == 8 else np.uint16)
        assert stored.shape == (2, 96, 96)
        assert stored.max() < 2**bits
    for name in ("vessel_mask", "tree_mask", "catheter_mask", "clutter_mask", "centreline", "heart_mask"):
        assert getattr(run, name).dtype == np.bool_
        assert getattr(run, name).shape == (2, 96, 96)
    assert run.vessel_mm.dtype == np.float32
    assert run.tip.dtype == np.float64
    assert run.tip.shape == (2, 2)


def test_every_run_begins_without_contrast(left: SimulatedCine) -> None:
    lead_in = left.run.lead_in_frames()
    assert lead_in >= 1
    np.testing.assert_array_equal(left.plain[:lead_in], left.contrast[:lead_in])
    assert not left.vessel_mask[:lead_in].any()
    assert not left.vessel_mm[:lead_in].any()
    assert left.vessel_mask[-1].any()


def test_vessels_fill_from_the_ostium_onwards(left: SimulatedCine) -> None:
    lead_in = left.run.lead_in_frames()
    area = left.vessel_mask.sum(axis=(1, 2))
    assert area[lead_in + 1] < 0.5 * area.max()
    assert left.run.filling()[lead_in] < left.run.filling()[lead_in + 3] < left.run.filling().max()


def test_twins_agree_away_from_vessels_and_differ_on_them(right: SimulatedCine) -> None:
    plain, contrast = right.display(right.plain[-1]), right.display(right.contrast[-1])
    line = right.centreline[-1]
    rows, columns = np.indices(line.shape)
    away = np.ones(line.shape, dtype=np.bool_)
    for mask in (right.vessel_mm[-1] > 0, right.catheter_mask[-1]):
        for r, c in zip(*np.nonzero(mask), strict=True):
            away &= (rows - r) ** 2 + (columns - c) ** 2 > 8**2
    assert away.any()
    assert line.sum() > 30
    assert np.median(plain[line] - contrast[line]) > 0.03
    # scatter spreads a little of the vessel's shadow over the picture
    assert np.abs(plain[away] - contrast[away]).mean() < 0.2 * np.median(plain[line] - contrast[line])


def test_masks_nest(left: SimulatedCine) -> None:
    assert not (left.vessel_mask & ~left.tree_mask).any()
    assert not (left.centreline & ~left.vessel_mask).any()
    assert (left.vessel_mm[left.vessel_mask] > 0).mean() > 0.999
    assert not (left.vessel_mask & ~left.field_mask).any()


def test_path_length_is_what_darkens_the_frame(right: SimulatedCine) -> None:
    """On a water bath, depth measured from the twins must follow the path length that made it."""
    mm = right.vessel_mm[-1]
    near = right.vessel_mask[-1] & ~right.catheter_mask[-1]
    plain, contrast = right.intensity(right.plain[-1]), right.intensity(right.contrast[-1])
    depth = np.log(np.maximum(plain, 1) / np.maximum(contrast, 1))
    assert np.corrcoef(depth[near], mm[near])[0, 1] > 0.8


def test_catheter_tip_is_told_in_each_frame(right: SimulatedCine) -> None:
    """The tip follows the beat, lies on the mask's end, and near the artery that it injects."""
    assert np.ptp(right.tip, axis=0).max() > 1.5
    assert right.catheter_mask[0].sum() > 60
    tracks = right.vessel_tracks()
    for tip, mask, points in zip(right.tip, right.catheter_mask, tracks, strict=True):
        rows, columns = np.nonzero(mask)
        assert np.hypot(columns - tip[0], rows - tip[1]).min() < 1.5
        assert np.linalg.norm(points - tip, axis=1).min() < 20.0  # up to 15 mm beside it


def test_run_without_a_catheter_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catheter, "_NONE", 1.0)
    without = cine(indices=(0, 3))

    assert np.isnan(without.tip).all()
    assert without.tip.shape == (2, 2)
    assert not without.catheter_mask.any()


def test_devices_darken_the_plain_frame_and_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_SECOND_SHARE", 0.0)
    bare = cine(indices=(0,))
    monkeypatch.setattr(devices, "_SECOND_SHARE", 1.0)
    with_second = cine(indices=(0,))

    told = with_second.clutter_mask[0] & ~bare.clutter_mask[0]
    darker = bare.display(bare.plain[0]) - with_second.display(with_second.plain[0])
    assert told.sum() > 20
    assert darker[told].mean() > 5 * abs(darker[~with_second.clutter_mask[0]].mean())


def test_cue_zero_leaves_no_trace_and_changes_nothing_else() -> None:
    """Twenty times the physical cue must darken the tree, and nothing else."""
    settings = replace(SMALL, injected="RCA", view="LAO45", lead_in_s=(1.5, 1.5))
    none, strong = (cine(settings=replace(settings, cue=cue), indices=(0,)) for cue in (0.0, 20.0))
    vessel = none.tree_mask[0]
    np.testing.assert_array_equal(none.catheter_mask, strong.catheter_mask)
    np.testing.assert_array_equal(none.tree_mask, strong.tree_mask)
    darker = none.display(none.plain[0]) - strong.display(strong.plain[0])
    assert darker[vessel].mean() > 5 * abs(darker[~vessel].mean())


def test_well_filled_frames_are_filled_and_spread() -> None:
    run = simulate_cine(5, replace(SMALL, frames=60), PATIENTS, well_filled=4)
    filling = run.run.filling()
    assert len(run.indices) == 4
    assert list(run.indices) == sorted(set(run.indices))
    assert filling[list(run.indices)].min() >= 0.8 * filling.max()
    assert run.indices[-1] - run.indices[0] > 10


def test_first_frames_can_be_rendered_beside_the_filled_ones() -> None:
    run = simulate_cine(5, replace(SMALL, frames=60), PATIENTS, well_filled=2, consecutive=4)
    assert run.indices[:4] == (0, 1, 2, 3)
    assert run.indices[4:] == run.run.well_filled(2)


def test_injected_artery_and_view_can_be_chosen(left: SimulatedCine, right: SimulatedCine) -> None:
    assert left.injected == "LCA"
    assert right.injected == "RCA"
    assert right.view.primary_deg == pytest.approx(45, abs=24)  # four standard deviations of the jitter


def test_both_arteries_are_injected_over_many_seeds() -> None:
    drawn = {cine(seed, replace(SMALL, size=32), indices=(0,)).injected for seed in range(8)}
    assert drawn == {"LCA", "RCA"}


@pytest.mark.parametrize("indices", [(-1,), (24,), ()])
def test_indexes_outside_the_run_are_refused(indices: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="24 frames"):
        cine(indices=indices)


def test_indices_and_well_filled_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="not both"):
        simulate_cine(0, SMALL, PATIENTS, indices=(0,), well_filled=3)


def test_unknown_view_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="LAO45"):
        cine(settings=replace(SMALL, injected="RCA", view="PA"))


def test_monochrome1_display_is_undone() -> None:
    run = cine(indices=(12,))
    inverted = replace(run, detector=replace(run.detector, inverted=not run.detector.inverted))
    np.testing.assert_allclose(inverted.display(run.plain), 1 - run.display(run.plain), atol=1e-6)
