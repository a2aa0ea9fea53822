"""Teaching a bundle in which artery a catheter lies, from simulated patients with either engaged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from casgan_dicom.errors import ConfigError
from casgan_dicom.lab.options import CHESTS, STEPS
from casgan_dicom.lab.progress import Log, silent
from casgan_dicom.lab.training_data import Data, chests, parse_data
from casgan_dicom.model.bundle.bundle import load_bundle
from casgan_dicom.model.bundle.shelf import bundle_folder
from casgan_dicom.model.bundle.writing import add_engagement
from casgan_dicom.model.data.engaged import EngagedSettings, engaged_runs
from casgan_dicom.model.data.posed import join
from casgan_dicom.model.engagement.judge import EngagementJudge
from casgan_dicom.model.engagement.lesson import Learnt, Lesson, learn_engagement
from casgan_dicom.model.networks.engagement import EngagementNet

START = "atlas"
"""The bundle whose network finds the catheter."""


def learn_engagement_of(
    bundle: Path, data: Data, *, steps: int = STEPS, backgrounds: int = CHESTS, log: Log = silent
) -> Learnt:
    """Give a bundle that stands what tells in which artery a catheter lies.

    Parameters
    ----------
    bundle
        Its folder, which is written to.
    data
        Simulated data, as for `train`.
    steps, backgrounds
        How long is trained, and on how many chests.
    log
        Receives a sentence at a time.

    Raises
    ------
    ConfigError
        The data are not the simulator's.
    WeightsError
        There is no such bundle, or it is damaged.
    """
    spec, folder = parse_data(data), bundle_folder(bundle)
    if spec.simulated is None:
        raise ConfigError("only simulated data tells where a catheter lies", hint="--data sim:1")
    load_bundle(folder)
    settings, parts = EngagedSettings(), chests(replace(spec.simulated, log=log), backgrounds)
    each = [engaged_runs(one, replace(settings, backgrounds=count)) for one, count in parts]
    net = EngagementNet()
    net.tip.load_state_dict(load_bundle(START).generators["tip"].state_dict())
    learnt = learn_engagement(net, join(each), Lesson(steps, settings.frames, settings.patients), log)
    add_engagement(folder, EngagementJudge(net, learnt.limit))
    return learnt
