"""Reports and subjects made by hand, for tests of what is written of them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from casgan_dicom.model.evaluation.evaluate import Report
from casgan_dicom.model.evaluation.paper import Bits
from casgan_dicom.model.evaluation.protocol import Protocol
from casgan_dicom.model.evaluation.scores import Margin, Row
from casgan_dicom.model.evaluation.subjects import Subject
from casgan_dicom.model.metrics.flicker import FlickerScores
from casgan_dicom.model.metrics.sets import SetScores
from casgan_dicom.model.metrics.vessels import VesselScores


def subject(
    name: str, method: str, *, seed: int = 1, label: str = "", bits: Bits | None = None, ours: bool = False
) -> Subject:
    """A bundle that exists on paper only."""
    return Subject(
        label=label or name,
        name=name,
        folder=Path(name),
        method=method,
        bits=bits,
        beyond_paper=ours,
        parameters=1234,
        steps=2000,
        images=4000,
        cue=0.5,
        seed=seed,
        held_out=0.0,
        split_by="patient",
        split_seed=1,
        data="Simulated coronary X-ray cine.",
        recipe=name,
        weights_sha256=f"{seed:064x}",
    )


def vessel_scores(dice: float = 0.0, recall: float = 0.0, **others: float) -> VesselScores:
    """Scores that are 0 but for some."""
    names = [
        *("cldice", "precision", "recall_thin", "recall_middle", "recall_thick", "hallucination"),
        *("contrast_ratio", "vessel_psnr", "vessel_ssim", "background_psnr", "background_ssim", "cover"),
    ]
    return VesselScores(
        **{"dice": dice, "recall": recall, "on_heart": 0.0, **dict.fromkeys(names, 0.0), **others}
    )


def set_scores(fd: float) -> SetScores:
    """Distances with a floor of 40."""
    return SetScores("FD-EffLite0", fd, 0.5, 0.6, 120, 120, 40.0, 0.01, 0.02, (120, 119), fd)


def row(
    name: str, *, dice: float = 0.1, fd: float | None = 90.0, error: float = 0.01, engine: str = ""
) -> Row:
    """A row with some figures; without distances for fd None."""
    return Row(
        name,
        vessel_scores(dice, recall=0.3, background_psnr=math.inf if name == "identity" else 30.0, cover=0.02),
        Margin(0.05, error),
        FlickerScores(0.01, 1.5, 0.7, 0.6),
        None if fd is None else set_scores(fd),
        engine=engine,
    )


def report(*subjects: Subject, rows: tuple[Row, ...] | None = None) -> Report:
    """A report on these; `rows` in place of theirs."""
    own = rows or tuple(
        row(s.label, dice=0.1 * s.seed, fd=50.0 + s.seed, engine="torch-fp32 on cpu") for s in subjects
    )
    fixed = [row("identity"), row("chance"), row("oracle", fd=None), row("truth", fd=45.0)]
    return Report(
        rows=(*fixed[:2], *own, *fixed[2:]),
        subjects=subjects,
        data="procedural",
        source="Simulated coronary X-ray cine.",
        split=None,
        frames=120,
        protocol=Protocol(),
        seed=7,
        extractor="efflite0",
        judges={"segmentor-1.safetensors": "ab", "oracle-2.safetensors": "cd"},
        source_revision="0123abc",
        pictures={"input": [np.zeros((32, 32), np.float32)], "truth": [np.ones((32, 32), np.float32)]},
    )
