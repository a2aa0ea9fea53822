"""Plans of simulated runs whose truth is known; networks are played by the truth, a little shaken."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from casgan_dicom.model.atlas.cues import GRID, Cues
from casgan_dicom.model.atlas.plan import RunPlan
from casgan_dicom.model.atlas.planner import make_plan
from casgan_dicom.model.atlas.render import path_lengths
from casgan_dicom.model.metrics.centreline import share_near, skeleton
from casgan_dicom.model.metrics.vessels import dice
from tests.model.atlas.readings import FRAMES, SAMPLED, Mask, oracle_cues, patient, small_library, told

FRAME = 22


def plan_of(seed: int, cues: Cues | None = None) -> RunPlan:
    of = patient(seed)
    return make_plan(cues or oracle_cues(of), SAMPLED, FRAMES, told(of), small_library())


def drawn(plan: RunPlan) -> Mask:
    return np.asarray(path_lengths(plan, small_library(), [FRAME], (256, 256))[0] >= 0.5)


def blind(cues: Cues) -> Cues:
    """No catheter, and landmarks in the corner, as unsure as they are wrong."""
    anywhere = replace(cues, landmarks=np.zeros_like(cues.landmarks))
    return replace(without_tip(anywhere), spread=np.full_like(cues.spread, 20.0))


def one_frame(cues: Cues) -> Cues:
    """What a still shows: the first frame of the run."""
    return Cues(**{one.name: getattr(cues, one.name)[:1] for one in fields(cues)})


def without_tip(cues: Cues) -> Cues:
    return replace(cues, tip_mass=np.zeros(len(SAMPLED)), no_tip=np.ones(len(SAMPLED)))


def test_what_is_drawn_lies_on_the_true_vessels_far_more_than_by_chance() -> None:
    """By chance: the tree of another patient, by the same scores; three patients, both arteries."""
    seeds = (900, 901, 907)
    true = [patient(seed).vessel(FRAME) for seed in seeds]
    plans = [plan_of(seed) for seed in seeds]
    pairs = [(drawn(plan), one) for plan, one in zip(plans, true, strict=True)]
    chance = [(other, one) for other in true for one in true if other is not one]
    assert {plan.facts.artery for plan in plans} == {"LCA", "RCA"}
    assert np.mean([dice(m, t) for m, t in pairs]) > np.mean([dice(m, t) for m, t in chance]) + 0.2
    recall = [share_near(skeleton(t), skeleton(m)) for m, t in pairs]
    assert np.mean(recall) > np.mean([share_near(skeleton(t), skeleton(m)) for m, t in chance]) + 0.2


def test_facts_say_where_everything_is_from() -> None:
    of = patient(901)
    facts = plan_of(901).facts
    assert facts.artery == of.run.tree.system
    assert (facts.artery_source, facts.angles_source, facts.scale_source) == ("picture", "header", "header")
    assert facts.angles_deg == (of.run.view.primary_deg, of.run.view.secondary_deg)
    assert facts.phase_source == "R waves"
    assert facts.heart_rate_bpm == pytest.approx(of.run.motion.heart_rate_bpm)
    assert facts.field_mm == pytest.approx(of.run.view.field_mm)
    assert facts.tip_sure == pytest.approx(0.8 * 0.95)
    view = of.run.view
    assert facts.landmarks_off_mm == pytest.approx(3.0 * view.field_mm / GRID / view.magnification)
    apart = np.linalg.norm(oracle_cues(of).angles_deg - facts.angles_seen_deg, axis=1)
    assert facts.angles_spread_deg == pytest.approx(np.median(apart))
    assert facts.notes == ()
    assert small_library().trees[facts.tree].system == facts.artery


def test_the_tip_is_told_in_shares_of_the_whole_frame() -> None:
    of = patient(901)
    cues = oracle_cues(of)
    wide = replace(told(of), shape=(256, 512))
    tip = make_plan(cues, SAMPLED, FRAMES, wide, small_library()).facts.tip
    assert tip is not None
    assert tip[0] == pytest.approx((cues.tip[0, 0] + 0.5) / 128)
    assert tip[1] == pytest.approx((cues.tip[0, 1] + 0.5) / 64)


def test_the_same_run_gets_the_same_plan() -> None:
    one, again = plan_of(902), plan_of(902)
    assert one.facts == again.facts
    np.testing.assert_array_equal(one.warp, again.warp)


def test_one_tree_moves_through_all_frames_of_the_run() -> None:
    plan = plan_of(900)
    assert plan.contraction.shape == (FRAMES,)
    assert plan.shift.shape == (FRAMES, 2)
    lengths = path_lengths(plan, small_library(), range(0, FRAMES, 3), (128, 128))
    # The same tree, seen from a little another side as it contracts: its volume hardly changes.
    volumes = lengths.sum(axis=(1, 2))
    assert volumes.std() < 0.1 * volumes.mean()
    steps = np.abs(np.diff(lengths, axis=0)).mean(axis=(1, 2))
    assert (steps > 0).all()


def test_frames_without_times_are_said_to_have_been_assumed() -> None:
    of = patient(900)
    context = replace(told(of), times_s=(), r_waves_s=())
    (note,) = make_plan(oracle_cues(of), SAMPLED, FRAMES, context, small_library()).facts.notes
    assert note == "the header does not time the frames: 15 a second were assumed"

    first = one_frame(oracle_cues(of))
    still = make_plan(first, [0], 1, replace(context, injection_s=None), small_library())
    assert still.facts.notes == ()


def test_an_injection_that_is_asked_for_fills_the_tree_and_is_told() -> None:
    of = patient(900)
    plans = [
        make_plan(oracle_cues(of), SAMPLED, FRAMES, replace(told(of), injection_s=asked), small_library())
        for asked in (None, (0.5, 2.0))
    ]
    moments = [0, int(np.searchsorted(plans[1].times_s, 0.6)), FRAMES - 1]
    throughout, injected = (
        path_lengths(plan, small_library(), moments, (128, 128)).sum(axis=(1, 2)) for plan in plans
    )

    assert [plan.facts.injection_s for plan in plans] == [None, (0.5, 2.0)]
    assert injected[0] == 0
    assert 0 < injected[1] < 0.8 * throughout[1]
    assert (throughout > 0).all()


def test_nothing_is_drawn_where_neither_artery_nor_catheter_nor_heart_are_seen() -> None:
    unsure = replace(blind(oracle_cues(patient(900))), right=np.zeros(len(SAMPLED)))
    plan = plan_of(900, unsure)
    assert (
        plan.refused == "the picture shows neither which artery it is, nor a catheter, nor where the heart is"
    )
    assert not drawn(plan).any()


@pytest.mark.parametrize("cue", ["artery", "tip", "landmarks"])
def test_one_sure_cue_is_enough_to_draw(cue: str) -> None:
    good = oracle_cues(patient(900))
    unsure = replace(blind(good), right=np.zeros(len(SAMPLED)))
    mended = {
        "artery": replace(unsure, right=good.right),
        "tip": replace(unsure, tip_mass=good.tip_mass, no_tip=good.no_tip),
        "landmarks": replace(unsure, landmarks=good.landmarks, spread=good.spread),
    }
    assert plan_of(900, mended[cue]).refused == ""


def test_the_callers_word_for_the_artery_does_not_help_where_nothing_is_seen() -> None:
    of = patient(900)
    lost = blind(oracle_cues(of))
    lost = replace(lost, spread=np.full_like(lost.spread, 40.0))
    plan = make_plan(lost, SAMPLED, FRAMES, replace(told(of), artery="LCA"), small_library())
    assert plan.facts.artery_source == "given"
    assert plan.refused == "the picture shows neither a catheter nor where the heart is"


def test_a_tree_outside_the_picture_is_not_drawn() -> None:
    """Everything that was read lies two pictures beside the one that there is."""
    good = oracle_cues(patient(900))
    far = 250.0
    away = replace(good, isocentre=good.isocentre + far, tip=good.tip + far, landmarks=good.landmarks + far)
    assert plan_of(900, away).refused == "only 0 % of the artery would lie in the picture"


def test_landmarks_beside_the_heart_are_not_drawn_by() -> None:
    good = oracle_cues(patient(900))
    assert plan_of(900, replace(good, isocentre=good.isocentre + 8.0)).refused == ""
    torn = replace(good, isocentre=good.isocentre + 60.0, spread=good.spread + 6.0)
    plan = plan_of(900, without_tip(torn))
    assert plan.refused == "the artery's landmarks do not lie where the picture shows the heart"


def test_readings_that_do_not_fit_the_run_are_an_error() -> None:
    cues = oracle_cues(patient(900))
    context = told(patient(900))
    with pytest.raises(ValueError, match="12 readings"):
        make_plan(cues, SAMPLED[:-1], FRAMES, context, small_library())
    with pytest.raises(ValueError, match="of 20 frames"):
        make_plan(cues, SAMPLED, 20, context, small_library())


@pytest.mark.parametrize(("pulse_ms", "share"), [(None, 7 * 15 / 1000), (20.0, 0.3), (500.0, 1.0)])
def test_the_exposure_is_the_pulse_over_the_time_between_frames(pulse_ms: float | None, share: float) -> None:
    of = patient(1)
    context = replace(told(of), pulse_ms=pulse_ms)
    assert make_plan(oracle_cues(of), SAMPLED, FRAMES, context, small_library()).exposure == pytest.approx(
        share
    )
