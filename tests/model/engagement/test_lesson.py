"""Learning where a catheter lies, and the judge that the shipped bundles bring."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from casgan_dicom.model.bundle.bundle import load_bundle
from casgan_dicom.model.data.engaged import EngagedRuns, EngagedSettings, engaged_runs
from casgan_dicom.model.data.rendering import SimulatedData
from casgan_dicom.model.engagement.judge import EngagementJudge
from casgan_dicom.model.engagement.lesson import Lesson, learn_engagement
from casgan_dicom.model.networks.engagement import EngagementNet
from casgan_dicom.model.simulator.procedural import ProceduralBackgrounds

CHESTS = 10


def toy_runs() -> EngagedRuns:
    """A chest and a patient each, two frames: a black block on the left or on the right, and a tree there."""
    rng = np.random.default_rng(1)
    count = 4 * CHESTS
    plain = rng.integers(100, 140, (count, 256, 256)).astype(np.uint8)
    tree = np.zeros((count, 128, 128), dtype=bool)
    laid = np.full((count, 40, 2), 128, dtype=np.float32)
    for k in range(count):
        left = k % 4 < 2
        plain[k, 100:160, slice(40, 70) if left else slice(180, 210)] = 10
        tree[k, 40:100, slice(20, 50) if left else slice(80, 110)] = True
    return EngagedRuns(plain, plain, tree, laid)


def lesson(steps: int) -> Lesson:
    return Lesson(steps, frames=2, patients=1)


def test_the_limit_keeps_the_other_artery_out_and_the_tip_network_stays_as_it_is() -> None:
    torch.manual_seed(1)
    net, said = EngagementNet(8, 8), list[str]()
    before = {name: value.clone() for name, value in net.tip.state_dict().items()}

    learnt = learn_engagement(net, toy_runs(), lesson(40), said.append)

    assert learnt.catheters == 2  # of the held-out chest, one in either artery
    assert learnt.refused == 0.5  # the quantile lies between the two of them
    assert said[-1].startswith("step 40 of 40: loss ")
    assert float(said[-1].split()[-1]) < 0.75
    assert all(torch.equal(value, net.tip.state_dict()[name]) for name, value in before.items())
    assert not net.training


def test_too_few_chests_are_refused() -> None:
    runs = toy_runs()
    one = EngagedRuns(runs.plain[:4], runs.contrast[:4], runs.tree[:4], runs.laid[:4])

    with pytest.raises(ValueError, match="1 chests are too few"):
        learn_engagement(EngagementNet(8, 8), one, lesson(1))


@pytest.fixture(scope="module")
def judge() -> EngagementJudge:
    judge = load_bundle("casgan-desk").engagement
    assert judge is not None
    return judge


def test_frames_and_trees_have_to_be_as_many(judge: EngagementJudge) -> None:
    frames = np.zeros((2, 64, 64), np.float32)
    with pytest.raises(ValueError, match="want as many"):
        judge(frames, np.zeros((1, 64, 64), bool))
    with pytest.raises(ValueError, match="one or more"):
        judge(frames[:0], np.zeros((0, 64, 64), bool))


def test_the_shipped_judge_tells_one_artery_from_the_other(judge: EngagementJudge) -> None:
    """Chests that nothing was learnt from, frames with and without contrast; a catheter in the other artery
    is never seen in this one."""
    settings = EngagedSettings(backgrounds=4, patients=2, frames=2)
    runs = engaged_runs(SimulatedData(77, ProceduralBackgrounds, "procedural", None), settings)
    own, other = list[float](), list[float]()
    for frames in (runs.plain, runs.contrast):
        for start in range(0, len(frames), 2):
            index = np.arange(start, start + 2)
            shown = frames[index].astype(np.float32) / np.float32(255)
            for found, tree in ((own, index), (other, runs.partner(index, 2))):
                found.append(judge(shown, runs.tree[tree].repeat(2, axis=1).repeat(2, axis=2)))

    assert max(other) <= 0
    assert np.mean(np.array(own) > 0) >= 0.6
    assert np.median(own) > np.max(other) + 1
