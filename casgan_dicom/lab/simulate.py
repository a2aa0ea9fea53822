"""Simulated X-ray cine of coronary arteries that belong to nobody: as arrays, or as XA DICOM."""

from __future__ import annotations

import io
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from numbers import Integral, Real
from pathlib import Path
from typing import get_args

import numpy as np

from casgan_dicom.disk import write_output
from casgan_dicom.errors import ConfigError
from casgan_dicom.lab.options import LARGEST, SMALLEST, Bits
from casgan_dicom.lab.progress import Log, silent
from casgan_dicom.lab.training_data import DataSpec, simulated_data
from casgan_dicom.lab.xa import Frames, RunHeader, write_cine, write_single_frames
from casgan_dicom.model.data.run_pairs import RunPair, film_pair
from casgan_dicom.model.roadmap.table import table_top_mm
from casgan_dicom.model.simulator.cine import CineSettings, SimulatedCine, simulate_cine
from casgan_dicom.model.simulator.studio import Frame
from casgan_dicom.source.paths import OnePath, as_path

_CHECKED_FRAMES = 4
"""Frames of each run that are kept to be measured, spread over those where the artery is best filled."""
_CONSECUTIVE_FRAMES = 6
"""Frames of each run that are kept from the first on: noise and motion are measured from one to the next."""
_MASKS = (
    "vessel_mask",
    "tree_mask",
    "centreline",
    "catheter_mask",
    "clutter_mask",
    "heart_mask",
    "field_mask",
)


@dataclass(frozen=True)
class Patients:
    """Who is simulated."""

    first: int = 0
    """Seed of the first cine; the others follow by one, each another patient."""
    count: int = 1
    """How many."""
    ct: str | Path | None = None
    """Folder of a labelled CT that the bodies are taken from; None makes them up."""


@dataclass(frozen=True)
class Files:
    """What is written of each cine, and where: to ``OUT/seed-N``."""

    out: OnePath
    """The folder above."""
    pairs: bool = False
    """The same cine with contrast, and the masks, too."""
    single_frames: bool = False
    """One object for each frame."""
    reference: bool = False
    """An earlier run of the same patient and view with contrast, in the same study: the cine's reference."""

    def __post_init__(self) -> None:
        """Raise ConfigError where the folder is named by no path, or an empty text."""
        as_path(self.out)


@dataclass(frozen=True)
class Written:
    """One cine on disk."""

    seed: int
    """Its seed."""
    cine: SimulatedCine
    """The few frames of it that are worth to be measured: the first ones, and well filled ones."""
    paths: tuple[Path, ...]
    """Files or folders: the runs, then the masks."""
    seconds: float
    """Time to simulate and to write it."""


def simulate(
    seed: int = 0,
    *,
    size: int = 512,
    frames: int = 60,
    bits: Bits = 8,
    cue: float = 1.0,
    ct: str | Path | None = None,
) -> SimulatedCine:
    """Simulate one cine, without and with contrast, and the truth about it; nothing is written.

    Parameters
    ----------
    seed
        Decides everything: the same seed and options give the same arrays.
    size
        Rows and columns, 64 to 1024.
    frames
        Frames, 15 a second.
    bits
        Bits stored.
    cue
        Trace that arteries leave without contrast, times the physical value; 0 leaves none.
    ct
        Folder of a labelled CT that the patient is taken from; None makes one up.

    Returns
    -------
    SimulatedCine
        Stored values ``plain`` and ``contrast`` (frames, size, size), and masks of vessels, catheter, heart.

    Raises
    ------
    ConfigError
        A value is out of range, or the CT cannot be used.
    """
    settings = CineSettings(size=size, frames=frames, cue=cue, bits=bits)
    _check(seed, settings)
    return simulate_cine(int(seed), settings, simulated_data(int(seed), ct).backgrounds())


def write_simulated(
    patients: Patients, settings: CineSettings, files: Files, log: Log = silent
) -> Iterator[Written]:
    """Simulate and write one cine after the other, as they are asked for.

    `log` hears where a CT is from. Raises ConfigError where a value is out of range or the CT cannot be used,
    OutputError where a file cannot be written.
    """
    _check(patients.first, settings)
    data = simulated_data(patients.first, patients.ct)
    if patients.ct is not None:
        log(DataSpec(simulated=data).description)
    backgrounds = data.backgrounds()
    for seed in range(patients.first, patients.first + patients.count):
        started = time.perf_counter()
        if files.reference:
            pair = film_pair(seed, settings, backgrounds)
            cine, paths = pair.target, (*_write_reference(pair, files), *_write(pair.target, files, pair))
        else:
            cine = simulate_cine(seed, settings, backgrounds)
            paths = tuple(_write(cine, files))
        yield Written(seed, _measured_part(cine), paths, time.perf_counter() - started)


def _check(seed: int, settings: CineSettings) -> None:
    """Raise ConfigError that lists every value of another kind or, where there is none, out of range."""
    faults = _of_another_kind(seed, settings) or _out_of_range(seed, settings)
    if faults:
        raise ConfigError("; ".join(faults))


def _of_another_kind(seed: int, settings: CineSettings) -> list[str]:
    """What is no whole number, of Python or of numpy; for the cue, what is no number at all."""
    given = {"seed": seed, "size": settings.size, "frames": settings.frames, "bits": settings.bits}
    wrong = {name: value for name, value in given.items() if not isinstance(value, Integral)}
    faults = [f"{name} is {value!r}, want a whole number" for name, value in wrong.items()]
    if not isinstance(settings.cue, Real) or not math.isfinite(settings.cue):
        faults.append(f"cue is {settings.cue!r}, want a finite number")
    return faults


def _out_of_range(seed: int, settings: CineSettings) -> list[str]:
    faults = []
    if seed < 0:
        faults.append(f"seed is {seed}, want 0 or more")
    if not SMALLEST <= settings.size <= LARGEST:
        faults.append(f"size is {settings.size}, want {SMALLEST} to {LARGEST}")
    if settings.frames < 1:
        faults.append(f"frames is {settings.frames}, want 1 or more")
    if settings.bits not in get_args(Bits):
        faults.append(f"bits is {settings.bits}, want {', '.join(map(str, get_args(Bits)))}")
    if settings.cue < 0:
        faults.append(f"cue is {settings.cue:g}, want 0 or more")
    return faults


def _write(cine: SimulatedCine, files: Files, pair: RunPair | None = None) -> Iterator[Path]:
    """Write a cine, and with pairs its twin and its masks; gives the paths."""
    folder = Path(files.out) / f"seed-{cine.seed}"
    write = _write_singles if files.single_frames else _write_multi
    headers = [_header(cine, contrast=contrast) for contrast in (False, True)]
    if pair is not None:
        headers = [_paired(header, pair, 1) for header in headers]
    yield write(folder / "without-contrast", cine.plain, headers[0])
    if files.pairs:
        yield write(folder / "with-contrast", cine.contrast, headers[1])
        masks = io.BytesIO()
        np.savez_compressed(masks, **{name: getattr(cine, name) for name in _MASKS})
        write_output(folder / "masks.npz", masks.getvalue())
        yield folder / "masks.npz"


def _write_reference(pair: RunPair, files: Files) -> Iterator[Path]:
    """Write the filled run that was taken before; gives its path."""
    cine = pair.reference
    write = _write_singles if files.single_frames else _write_multi
    header = _paired(_header(cine, contrast=True), pair, 0)
    yield write(Path(files.out) / f"seed-{cine.seed}" / "reference", cine.contrast, header)


def _write_multi(stem: Path, frames: Frames, header: RunHeader) -> Path:
    return write_cine(stem.with_suffix(".dcm"), frames, header)


def _write_singles(folder: Path, frames: Frames, header: RunHeader) -> Path:
    write_single_frames(folder, frames, header)
    return folder


def _paired(header: RunHeader, pair: RunPair, run: int) -> RunHeader:
    """The header of the first (0) or second (1) run of a pair: its number, R waves and table."""
    step_s = header.frame_time_ms / 1000
    count = len((pair.reference, pair.target)[run].indices)
    frames = [round(float(wave) / step_s) + 1 for wave in pair.r_waves_s[run]]
    down, right = pair.table_mm[run]
    vertical, lateral, longitudinal = table_top_mm(
        (float(down), float(right)),
        (header.primary_deg, header.secondary_deg),
        header.source_detector_mm / header.source_isocentre_mm,
    )
    return replace(
        header,
        run=run,
        r_wave_frames=tuple(frame for frame in frames if 1 <= frame <= count),
        table_top_mm=(vertical, longitudinal, lateral),
    )


def _header(cine: SimulatedCine, *, contrast: bool) -> RunHeader:
    """What the run's own header says, in the words of `casgan_dicom.lab.xa`."""
    view, detector = cine.view, cine.detector
    return RunHeader(
        seed=cine.seed,
        bits=detector.bits,
        photometric="MONOCHROME1" if detector.inverted else "MONOCHROME2",
        relationship=detector.stored_relationship,
        frame_time_ms=1000 / cine.settings.frame_rate,
        primary_deg=view.primary_deg,
        secondary_deg=view.secondary_deg,
        pixel_mm=view.pixel_mm,
        source_isocentre_mm=view.source_isocentre_mm,
        source_detector_mm=view.source_detector_mm,
        shutter=cine.calibration.shutter,
        contrast=contrast,
    )


def _measured_part(cine: SimulatedCine) -> SimulatedCine:
    """The frames that are measured: a whole run is too much to keep for each cine."""
    chosen = cine.run.measured(_CHECKED_FRAMES, _CONSECUTIVE_FRAMES)
    arrays = {field.name: getattr(cine, field.name)[list(chosen)] for field in fields(Frame)}
    return replace(cine, **arrays, phase=cine.phase[list(chosen)], indices=chosen)
