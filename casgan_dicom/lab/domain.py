"""What a bundle knows of the kind of its training frames: made when training ends, or for one that stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from casgan_dicom.errors import ConfigError
from casgan_dicom.lab.ct import read_ct
from casgan_dicom.lab.progress import Log, silent
from casgan_dicom.lab.training_data import Data, DataSpec, chests, load_domains, parse_data
from casgan_dicom.model.bundle.bundle import load_bundle
from casgan_dicom.model.bundle.shelf import SEGMENTOR_NAME, bundle_folder, read_config
from casgan_dicom.model.bundle.writing import add_domain
from casgan_dicom.model.data.frames import FULL
from casgan_dicom.model.data.guided_sampler import GuidedSampler
from casgan_dicom.model.data.pose_sampler import PoseSampler
from casgan_dicom.model.data.posed import PosedRuns, PoseSettings, join, path_mm, posed_runs
from casgan_dicom.model.data.sampler import CropSampler
from casgan_dicom.model.domain.lesson import MOST_FRAMES, learn_domain
from casgan_dicom.model.domain.statistics import FEWEST, DomainStatistics
from casgan_dicom.model.domain.volumes import Volume
from casgan_dicom.model.simulator.contrast import IODINE_PER_MM

BACKGROUNDS = 138
"""Chests that are rendered for a bundle that stands."""
EACH = PoseSettings(patients=2, frames=2)
"""Patients before each, and frames of each patient."""
_FILLED = 0.85
"""Concentration of the agent in frames that are shown with contrast."""

Frames = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Learnt:
    """What was learnt."""

    frames: int
    """Training frames that it was learnt from."""
    statistics: DomainStatistics
    """What is in the bundle now."""


def learn_from(bundle: Path, frames: Frames, *, ct: Path | None = None, log: Log = silent) -> Learnt | None:
    """Give a bundle the statistics of frames (N, H, W); None, and a sentence, where they are too few.

    `ct` names a labelled CT for more pictures of other kinds.
    """
    if len(frames) < FEWEST:
        log(f"{len(frames)} frames are too few to tell foreign pictures from them, {FEWEST} are needed")
        return None
    folder = bundle_folder(bundle)
    log(f"learning what kind of picture {len(frames)} training frames are")
    segmentor, sha256 = load_bundle(folder).segmentor, read_config(folder)["sha256"][SEGMENTOR_NAME]
    statistics = learn_domain(segmentor, sha256, frames, volume=None if ct is None else ct_volume(ct))
    add_domain(folder, statistics)
    return Learnt(len(frames), statistics)


def learn_domain_of(bundle: Path, data: Data, *, log: Log = silent) -> Learnt:
    """Give a bundle that stands the statistics of training frames.

    Parameters
    ----------
    bundle
        Its folder, which is written to.
    data
        What it was trained on, as for `train`; of the simulator, some runs of its training are rendered.
    log
        Receives a sentence at a time.

    Raises
    ------
    ConfigError
        The data cannot be read, or holds too few frames.
    WeightsError
        There is no such bundle, or it is damaged.
    """
    spec, loaded = parse_data(data), load_bundle(bundle)
    if spec.simulated is not None:
        frames = shown_frames(simulated_frames(spec, BACKGROUNDS, log))
    else:
        domains = load_domains(spec, loaded.settings, log)
        frames = _thinned([one.frames for one in (domains.x, domains.y)], FULL)
    learnt = learn_from(bundle, frames, ct=spec.ct, log=log)
    if learnt is None:
        raise ConfigError(f"{len(frames)} frames are too few, want {FEWEST} and more")
    return learnt


def training_frames(sampler: CropSampler) -> Frames:
    """Some of the frames that a training has seen, with and without contrast, as display values."""
    if isinstance(sampler, PoseSampler):
        return shown_frames(sampler.runs)
    if isinstance(sampler, GuidedSampler):
        pairs = (sampler.runs.plain, sampler.runs.contrast)
        return _thinned([pair.reshape(-1, *pair.shape[3:]) for pair in pairs], 255)
    return _thinned([sampler.x.frames, sampler.y.frames], FULL)


def simulated_frames(spec: DataSpec, backgrounds: int, log: Log = silent) -> PosedRuns:
    """Runs of the simulator, rendered or from the cache."""
    if spec.simulated is None:
        raise ConfigError("these frames are not the simulator's", hint="--data sim:1")
    parts = chests(replace(spec.simulated, log=log), backgrounds)
    return join([posed_runs(data, replace(EACH, backgrounds=count)) for data, count in parts])


def shown_frames(runs: PosedRuns) -> Frames:
    """Frames of posed runs, every other one with its tree filled."""
    chosen = np.linspace(0, len(runs.plain) - 1, min(MOST_FRAMES, len(runs.plain))).astype(int)
    frames: Frames = runs.plain[chosen].astype(np.float32) / np.float32(255)
    for place in range(1, len(chosen), 2):
        path = ndimage.zoom(path_mm(runs.path[chosen[place]]), 2, order=1)
        frames[place] *= np.exp(-np.float32(_FILLED * IODINE_PER_MM) * path)
    return frames


def _thinned(domains: Sequence[npt.NDArray[np.unsignedinteger]], full: int) -> Frames:
    """Some frames of each domain, spread over it, as display values; all domains have frames of one size.

    Where they have not, those of another size than the first are left out.
    """
    shape = domains[0].shape[1:]
    alike = [frames for frames in domains if frames.shape[1:] == shape]
    most = MOST_FRAMES // len(alike)
    chosen = [frames[np.linspace(0, len(frames) - 1, min(most, len(frames))).astype(int)] for frames in alike]
    shown = np.concatenate(chosen).astype(np.float32)
    shown /= np.float32(full)
    return shown


def ct_volume(folder: Path) -> Volume:
    """The CT for pictures of other kinds, front to back and from the patient's right."""
    ct = read_ct(folder)
    axes = ct.voxel_to_patient[:3, :3]
    column, row, slice_mm = (float(np.linalg.norm(axes[:, k])) for k in range(3))
    flips = tuple(slice(None, None, 1 if axes[axis, k] > 0 else -1) for axis, k in ((2, 2), (1, 1), (0, 0)))
    return Volume.of(ct.hu[flips], (slice_mm, row, column))
