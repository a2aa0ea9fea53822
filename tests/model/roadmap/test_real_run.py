"""The roadmap of a real right coronary, laid over an earlier beat of the same run.

The truth is what the shipped segmentor finds in the target itself, less what lies astray; its vessels are
hidden from the match.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from scipy import ndimage

from casgan_dicom.model.generator import Generator
from casgan_dicom.model.metrics.overlay import OverlayScores, score_overlay
from casgan_dicom.model.roadmap.extraction import vessel_mask
from casgan_dicom.model.roadmap.gaps import without_stray
from casgan_dicom.model.roadmap.placed import PlacedRun
from casgan_dicom.model.roadmap.roadmap import Roadmap
from casgan_dicom.model.roadmap.run import Mask, ReferenceRun, TargetRun

_NAME = "XA_RCA_96f_jpegbaseline.dcm"


def test_one_beat_of_a_real_run_lies_on_another(real_data: Path) -> None:
    """Frames 27 to 49 from 50 to 96, by the R waves of the file; median distance and recall asked for."""
    path = real_data / "xa" / _NAME
    if not path.is_file():
        pytest.skip(f"no {_NAME}")
    ds = dcmread(path)
    frames = ds.pixel_array.astype(np.float32) / 255
    r_waves = [(int(k) - 1) * float(ds.FrameTime) / 1000 for k in ds.RWavePointer]
    times = (np.arange(len(frames)) * float(ds.FrameTime) / 1000).tolist()
    vessels = Generator.load("casgan-desk", device="cpu").vessels(frames[26:])

    roadmap = Roadmap.of(ReferenceRun(frames[49:], vessels[23:], [True] * 47, times[49:], r_waves))
    own = np.stack([ndimage.binary_dilation(vessel_mask(found), iterations=8) for found in vessels[:23]])
    run = roadmap.target(TargetRun(times[26:49], r_waves, visible=~own)).run(frames[26:49])

    scores = _scores(roadmap, run, [without_stray(vessel_mask(found)) for found in vessels[:23]])
    still = [
        score_overlay(roadmap.layer(roadmap.frames[k]).mask_at((0.0, 0.0)), vessel_mask(vessels[0]))
        for k in (0, len(roadmap.frames) // 2)
    ]
    assert run.verdict.accepted >= 0.8 * len(run)
    assert np.median([score.distance_px for score in scores]) <= 1.4
    assert np.mean([score.recall for score in scores]) >= 0.8
    assert max(score.recall for score in still) < np.mean([score.recall for score in scores])


def _scores(roadmap: Roadmap, run: PlacedRun, true: list[Mask]) -> list[OverlayScores]:
    masks = [roadmap.layer(placed.reference_frame).mask_at(placed.shift_px) for placed in run]
    return [score_overlay(drawn, mask) for drawn, mask in zip(masks, true, strict=True)]
