"""Path lengths of a plan; the oracle is the simulator's renderer, disc by disc."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import center_of_mass, gaussian_filter

from casgan_dicom.model.atlas import render
from casgan_dicom.model.atlas.cues import GRID
from casgan_dicom.model.atlas.library import Library, UnitTree
from casgan_dicom.model.atlas.plan import PlanFacts, RunPlan
from casgan_dicom.model.atlas.posing import Pose
from casgan_dicom.model.atlas.render import DARKEST, optical_depth, optical_depths, path_lengths
from casgan_dicom.model.data.square import to_square
from casgan_dicom.model.simulator.geometry import View
from casgan_dicom.model.simulator.heart import Heart
from casgan_dicom.model.simulator.render import FloatImage, make_tubes, path_length
from tests.model.atlas.readings import small_library

VIEW = View(30.0, 20.0, GRID, 200.0)


def plan(number: int = 0, view: View = VIEW) -> RunPlan:
    facts = PlanFacts(
        artery="LCA",
        artery_source="given",
        artery_sure=1.0,
        angles_deg=(0.0, 0.0),
        angles_source="given",
        angles_seen_deg=(0.0, 0.0),
        angles_spread_deg=0.0,
        landmarks_off_mm=0.0,
        field_mm=200.0,
        scale_source="header",
        phase_source="picture",
        heart_rate_bpm=None,
        tip=None,
        tip_sure=0.0,
        darkness=1.0,
        darkness_source="usual",
        tree=number,
    )
    return RunPlan(facts, view=view, contraction=np.array([0.0, 1.0]), shift=np.zeros((2, 2)))


def reference(tree: UnitTree, view: View) -> FloatImage:
    """What the simulator draws of the same tree, through the same detector."""
    points = Heart().to_patient(tree.points)
    parts = [tree.segment == number for number in range(tree.segment.max() + 1)]
    tubes = make_tubes([(points[p], tree.radius[p], np.zeros(int(p.sum()))) for p in parts], view)
    blurred = gaussian_filter(path_length(tubes, tubes.points, view), 0.28 / view.pixel_mm)
    return np.asarray(blurred, dtype=np.float32)


def one_vessel(tree: UnitTree) -> UnitTree:
    """The trunk alone: nothing springs from it, so nothing is left out."""
    own = tree.segment == 0
    return replace(tree, points=tree.points[own], radius=tree.radius[own], segment=tree.segment[own])


@pytest.fixture
def any_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let trees keep the calibre that they were grown with."""
    monkeypatch.setattr(render, "_WIDTHS", ((50.0, 1e6),))
    monkeypatch.setattr(render, "_WIDEST", 1e6)


@pytest.mark.usefixtures("any_width")
@pytest.mark.parametrize("size", [128, 256, 512])
@pytest.mark.parametrize("number", [0, 8])
def test_a_trunk_agrees_with_the_simulator_disc_by_disc(size: int, number: int) -> None:
    tree = one_vessel(small_library().trees[number])
    ours = path_lengths(plan(), Library((tree,)), [0], (size, size))[0]
    theirs = reference(tree, replace(VIEW, size=size))
    assert ours.sum() == pytest.approx(theirs.sum(), rel=0.02)
    # Another soft edge (a pixel's box there, its variance here): a tenth at the ends of a short trunk.
    assert np.sqrt(((ours - theirs) ** 2).mean() / (theirs**2).mean()) < 0.1
    assert ours.max() == pytest.approx(theirs.max(), rel=0.05)


@pytest.mark.usefixtures("any_width")
def test_a_tree_agrees_with_the_simulator_but_for_what_lies_in_its_mother() -> None:
    tree = small_library().trees[1]
    ours = path_lengths(plan(1), small_library(), [0], (256, 256))[0]
    theirs = reference(tree, replace(VIEW, size=256))
    assert 0.9 * theirs.sum() < ours.sum() < theirs.sum()
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.97


@pytest.mark.parametrize("shape", [(256, 192), (192, 256), (150, 300)])
def test_frames_that_are_not_square_show_the_corner_of_the_square(shape: tuple[int, int]) -> None:
    whole = path_lengths(plan(), small_library(), [0, 1], (max(shape), max(shape)))
    cut = path_lengths(plan(), small_library(), [0, 1], shape)
    assert cut.shape == (2, *shape)
    assert cut.dtype == np.float32
    np.testing.assert_allclose(cut, whole[:, : shape[0], : shape[1]], atol=0.05)


def test_a_frame_brought_to_the_square_shows_the_tree_where_the_square_has_it() -> None:
    """A third of the rows is not a whole number of GRID's: the square takes the nearest."""
    full = path_lengths(plan(), small_library(), [0], (100, 300))
    square = to_square(full / full.max(), GRID)[0, :43]
    expected = path_lengths(plan(), small_library(), [0], (GRID, GRID))[0, :43]
    np.testing.assert_allclose(center_of_mass(square), center_of_mass(expected), atol=0.1)


def test_a_vessel_lies_where_the_plan_puts_it_at_any_size() -> None:
    centres = {}
    for size in (128, 512):
        image = path_lengths(plan(), small_library(), [0], (size, size))[0]
        centres[size] = (np.array(center_of_mass(image)) + 0.5) / size
    np.testing.assert_allclose(centres[128], centres[512], atol=0.2 / 128)


def test_warp_and_shift_move_what_is_drawn() -> None:
    still = path_lengths(plan(), small_library(), [0], (256, 256))[0]
    warp = np.array([[0.0, 0.0], [0.0, 0.0], [2.0, 0.0]])
    shifted = replace(plan(), warp=warp, shift=np.array([[0.0, -3.0], [0.0, 0.0]]))
    moved = path_lengths(shifted, small_library(), [0], (256, 256))[0]
    np.testing.assert_allclose(moved[:-6, 4:], still[6:, :-4], atol=1e-3)


@pytest.mark.parametrize("away", [(90.0, 0.0), (0.0, -90.0), (-300.0, 250.0), (1e5, 0.0)])
def test_a_tree_beyond_the_border_is_cut_and_harmless(away: tuple[float, float]) -> None:
    image = path_lengths(plan(view=replace(VIEW, shift_mm=away)), small_library(), [0], (128, 96))[0]
    assert np.isfinite(image).all()
    inside = Pose(replace(VIEW, shift_mm=away), Heart()).project(small_library().trees[0].points, 0.0)
    assert image.any() == bool(((inside > -1) & (inside < (96, 128))).all(axis=1).any())


def test_a_refused_plan_draws_nothing() -> None:
    refused = replace(plan(), refused="nothing is seen")
    assert not path_lengths(refused, small_library(), [0, 1], (64, 64)).any()


def test_close_ups_do_not_show_wider_vessels_than_real_runs_do() -> None:
    """Real vessels are 7 pixels wide in the middle and 12 at the 90th percentile, of 512."""
    tree = small_library().trees[0]
    for field_mm in (110.0, 160.0, 200.0):
        per_mm = Pose(replace(VIEW, field_mm=field_mm), Heart()).pixels_per_mm * 4
        widths = 2 * render.narrowed(tree.radius, per_mm) * per_mm
        seen = widths[2 * tree.radius >= 0.875]
        assert np.percentile(seen, 50) < 7.5
        assert np.percentile(seen, 90) < 12.5
        assert widths.max() < 16
        assert (np.diff(widths[np.argsort(tree.radius)]) >= 0).all()


def test_depth_is_nothing_without_vessel_and_never_passes_the_darkest() -> None:
    path = np.array([[0.0, 0.5, 1.0, 2.0, 4.0, 40.0]], dtype=np.float32)
    depth = optical_depth(path)[0]
    assert depth[0] == 0
    assert (np.diff(depth) > 0).all()
    assert depth[-1] < DARKEST
    assert depth[1] == pytest.approx(0.22 * 0.8 * 0.5, rel=0.05)
    assert (optical_depth(path, 0.4)[0, 1:] < depth[1:]).all()


def test_centre_lines_are_as_dark_as_real_ones() -> None:
    """-ln on the centre line of real runs is .223 in the middle and .38 at the 90th percentile."""
    depths = optical_depths(plan(), small_library(), [0], (512, 512))[0]
    tree = small_library().trees[0]
    seen = 2 * tree.radius >= 0.875
    column, row = np.rint((Pose(VIEW, Heart()).project(tree.points[seen], 0.0) + 0.5) * 4 - 0.5).astype(int).T
    on_line = depths[row, column]
    assert 0.18 < np.percentile(on_line, 50) < 0.3
    assert 0.3 < np.percentile(on_line, 90) < 0.44


def straight(*parts: tuple[tuple[float, float], tuple[float, float], float]) -> UnitTree:
    """Vessels in the picture's plane: (from, to) in mm to the left and to the head, and radius."""
    semi = np.asarray(Heart().semi_axes_mm)
    lines = [np.linspace((*start, 0.0), (*end, 0.0), 31)[:, [0, 2, 1]] for start, end, _ in parts]
    return UnitTree(
        "LCA",
        np.concatenate(lines) @ Heart().axes.T / semi,
        np.concatenate([np.full(31, radius) for _, _, radius in parts]),
        np.repeat(np.arange(len(parts)), 31),
        np.full((10, 3), np.nan),
    )


@pytest.mark.usefixtures("any_width")
def test_a_branching_is_no_dark_knot_and_a_vessel_that_goes_on_has_no_gap() -> None:
    mother = ((-20.0, 0.0), (10.0, 0.0), 1.5)
    branch, onwards = ((-5.0, 0.0), (-5.0, 28.0), 1.2), ((10.0, 0.0), (40.0, 0.0), 1.5)
    alone, whole = (Library((straight(*parts),)) for parts in ((mother,), (mother, branch, onwards)))
    front = plan(view=View(0.0, 0.0, GRID, 150.0))
    path, own = (path_lengths(front, library, [0], (512, 512))[0] for library in (whole, alone))
    usual = np.median(own[own > 0.8 * own.max()])
    assert path.max() < 1.15 * usual
    place = (Pose(front.view, Heart()).project(whole.trees[0].points[[2, -3]], 0.0) + 0.5) * 4 - 0.5
    (first, row), (last, _) = np.rint(place).astype(int)
    assert path[row, first:last].min() > 0.85 * usual


def test_a_flat_run_has_paler_vessels_of_the_same_shape() -> None:
    usual, flat = plan(), plan()
    flat = replace(flat, facts=replace(flat.facts, darkness=0.5))
    drawn, paler = (optical_depths(one, small_library(), (0,), (128, 128)) for one in (usual, flat))
    np.testing.assert_allclose(paler, 0.5 * drawn)
    assert drawn.any()


def test_a_vessel_that_moves_while_x_rays_are_on_is_smeared_and_keeps_its_agent() -> None:
    sideways = replace(plan(), shift=np.array([[0.0, 0.0], [6.0, 4.0]]), contraction=np.zeros(2))
    sharp, smeared = (
        path_lengths(replace(sideways, exposure=exposure), small_library(), [0], (512, 512))[0]
        for exposure in (0.0, 0.5)
    )
    assert smeared.max() < 0.95 * sharp.max()
    assert (smeared > 0).sum() > 1.1 * (sharp > 0).sum()
    assert smeared.sum() == pytest.approx(sharp.sum(), rel=0.03)


def test_a_heart_at_rest_is_as_sharp_whatever_the_exposure() -> None:
    resting = replace(plan(), contraction=np.zeros(2))
    sharp, long = (
        path_lengths(replace(resting, exposure=exposure), small_library(), [0, 1], (256, 256))
        for exposure in (0.0, 1.0)
    )
    np.testing.assert_array_equal(long, sharp)


# --- injection ---------------------------------------------------------------------------------------------


def injected(time_s: float, *, number: int = 0) -> FloatImage:
    """Path lengths of a still frame, so long after the first one; agent starts at 1 s and flows for 2."""
    still = plan(number)
    filling = replace(
        still,
        facts=replace(still.facts, injection_s=(1.0, 2.0)),
        contraction=np.zeros(2),
        times_s=np.array([0.0, time_s]),
    )
    return np.asarray(path_lengths(filling, small_library(), [1], (256, 256))[0])


@pytest.mark.parametrize("number", [0, 8])
def test_agent_runs_down_the_tree_fills_it_and_washes_out(number: int) -> None:
    full = path_lengths(replace(plan(number), contraction=np.zeros(2)), small_library(), [1], (256, 256))[0]
    moments = {time: injected(time, number=number) for time in (0.9, 1.2, 1.4, 2.9, 5.0, 9.0)}

    shown = {time: float(image.sum() / full.sum()) for time, image in moments.items()}
    assert shown[0.9] == 0
    assert 0.02 < shown[1.2] < shown[1.4] < shown[2.9]
    assert shown[2.9] == pytest.approx(1, abs=0.02)
    assert 0 < shown[9.0] < 0.1 < shown[5.0] < 0.9
    for image in moments.values():
        assert (image <= full + 1e-4).all()


def test_the_front_has_come_as_far_as_blood_flows_also_into_branches() -> None:
    """250 mm/s: after a tenth of a second nothing farther than 25 mm along the vessels shows."""
    tree = small_library().trees[0]
    points = Heart().to_patient(tree.points)
    pixels = Pose(VIEW, Heart()).project(tree.points, 0.0) * 2 + 0.5

    shown = injected(1.1) > 0

    steps = np.linalg.norm(np.diff(points[tree.segment == 0], axis=0), axis=1)
    assert steps.sum() < 25  # the front is in the branches
    straight = np.linalg.norm(points - points[0], axis=1)
    places = np.rint(pixels).astype(int)
    inside = ((places >= 0) & (places < 256)).all(axis=1)
    at = {
        far: shown[places[inside & far_mask, 1], places[inside & far_mask, 0]].mean()
        for far, far_mask in ((False, straight < 10), (True, straight > 60))
    }
    assert at[False] > 0.9
    assert at[True] < 0.1
