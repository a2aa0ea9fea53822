"""Drawing by plan: what is sampled, what is told to whom, and that only the tree's dye touches a pixel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from casgan_dicom import threads
from casgan_dicom.model.atlas.border import border_of
from casgan_dicom.model.atlas.context import RunContext
from casgan_dicom.model.atlas.cues import GRID
from casgan_dicom.model.atlas.plan import RunPlan
from casgan_dicom.model.atlas.render import optical_depths
from casgan_dicom.model.atlas.sampling import sampled_frames
from casgan_dicom.model.data.normalisation import Levels
from casgan_dicom.model.drawing import Synthesis
from casgan_dicom.model.methods.atlas_drawer import AtlasDrawer
from casgan_dicom.model.simulator.geometry import View
from tests.model.atlas.readings import small_library
from tests.support.atlas import DEPTH, FACTS, Planner

LEVELS = Levels(0.1, 0.9)
FRAMES = np.linspace(0.2, 1, 3 * 40 * 32, dtype=np.float32).reshape(3, 40, 32)


@pytest.mark.parametrize("frames", [1, 16, 96])
def test_the_frames_that_tell_most_are_sampled(frames: int) -> None:
    assert Planner().drawer().sampled(frames) == sampled_frames(frames)


def test_the_planner_is_told_where_the_frames_are_in_how_long_a_run() -> None:
    planner, context = Planner(), RunContext(frames=40, artery="LCA", key="1.2.3")

    plan = planner.drawer().plan(FRAMES, (0, 12, 30), context)

    assert planner.seen == [FRAMES.shape]
    assert planner.told == [((0, 12, 30), 40, replace(context, shape=FRAMES.shape[1:]))]
    assert plan.facts.artery == "LCA"


def test_a_run_of_unknown_length_ends_with_its_last_sampled_frame() -> None:
    planner = Planner()
    planner.drawer().plan(FRAMES, (0, 4, 9), RunContext())
    assert planner.told[0][1] == 10


def test_the_dye_absorbs_and_nothing_else_is_touched() -> None:
    planner = Planner()
    drawer = planner.drawer()
    plan = drawer.plan(FRAMES, (0, 1, 2), RunContext(frames=20))

    made = drawer.draw(FRAMES[:2], LEVELS, plan, (11, 12))

    assert sorted(planner.drawn) == [(11,), (12,)]  # each by itself, in any order
    assert made.attention is not None
    for i, row in enumerate((19, 20)):
        bar = np.zeros(FRAMES.shape[1:], np.bool_)
        bar[row] = True
        # the ends of a row are a little darker or brighter than what lies beside them, as grain is
        np.testing.assert_allclose(made.frames[i][bar], FRAMES[i][bar] * np.exp(-DEPTH), rtol=2e-4)
        np.testing.assert_array_equal(made.frames[i][~bar], FRAMES[i][~bar])
        np.testing.assert_array_equal(made.attention[i] > 0, bar)
        np.testing.assert_allclose(made.attention[i][bar], 1 - np.exp(-DEPTH), rtol=1e-5)


def test_a_refused_plan_draws_nothing_and_asks_no_renderer() -> None:
    planner = Planner(refused="no heart is seen")
    drawer = planner.drawer()

    made = drawer.draw(FRAMES, LEVELS, drawer.plan(FRAMES, (0, 1, 2), RunContext()), (0, 1, 2))

    np.testing.assert_array_equal(made.frames, FRAMES)
    assert made.attention is not None
    assert not made.attention.any()
    assert planner.drawn == []


def test_the_atlas_does_not_draw_without_a_plan() -> None:
    with pytest.raises(ValueError, match="by a plan"):
        Planner().drawer().draw(FRAMES, LEVELS, None, (0, 1, 2))


def test_nothing_is_drawn_where_no_picture_is() -> None:
    """A blade burned into the pixels, and a shutter of the header."""
    frames = FRAMES.copy()
    frames[:, :, :5] = 0.02
    visible = np.ones(FRAMES.shape[1:], np.bool_)
    visible[:, -4:] = False
    drawer = Planner().drawer()
    plan = drawer.plan(frames, (0, 1, 2), RunContext(frames=20, visible=visible))

    made = drawer.draw(frames, LEVELS, plan, (11, 12, 13))

    assert made.attention is not None
    assert not made.attention[:, :, :5].any()
    assert not made.attention[:, :, -3:].any()  # the rim of a shutter belongs to it where it is black
    assert made.attention[:, :, 5:-4].any(axis=(1, 2)).all()


def test_every_number_of_threads_draws_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tree that beats behind a round field stop, on frames with grain."""
    count, side = 7, 192
    rng = np.random.default_rng(5)
    row, column = np.mgrid[:side, :side] - side / 2
    frames = rng.uniform(0.3, 0.9, (count, side, side)).astype(np.float32)
    frames[:, np.hypot(row, column) > 80] = 0.01
    plan = RunPlan(
        replace(FACTS, tree=3, injection_s=None),
        view=View(30.0, 20.0, GRID, 200.0),
        contraction=np.linspace(0, 1, count),
        shift=np.zeros((count, 2)),
        exposure=0.3,
        border=border_of(frames),
    )
    drawer = AtlasDrawer(
        read_cues=Planner().read_cues,
        make_plan=Planner().make_plan,  # type: ignore[arg-type]  # of another library, and not asked
        optical_depths=optical_depths,
        library=small_library(),
        name="none",
        device="cpu",
    )

    def drawn_by(number: int) -> Synthesis:
        monkeypatch.setattr(threads, "threads", lambda: number)
        return drawer.draw(frames, LEVELS, plan, range(count))

    one = drawn_by(1)
    assert one.vessels is not None
    assert one.vessels.any(axis=(1, 2)).all()
    for number in (2, 3, 8):
        other = drawn_by(number)
        for name in ("frames", "attention", "out_of_range", "vessels"):
            np.testing.assert_array_equal(getattr(other, name), getattr(one, name))
