"""``casgan-dicom simulate``: X-ray cine of coronary arteries that belong to nobody, as XA DICOM."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Literal

import click
import numpy as np

from casgan_dicom.cli.option import PATH, option
from casgan_dicom.cli.output import json_option, show_json
from casgan_dicom.disk import write_atomically
from casgan_dicom.lab.training_data import DataSpec, simulated_data
from casgan_dicom.model.simulator.acceptance import ACCEPTANCE, failures, measure
from casgan_dicom.model.simulator.cine import CineSettings, SimulatedCine, simulate_cine
from casgan_dicom.model.simulator.studio import Frame
from casgan_dicom.simulated import Frames, RunHeader, write_cine, write_single_frames

_CHECKED_FRAMES = 4
"""Frames of each run that --check measures, spread over those where the artery is best filled."""
_MASKS = ("vessel_mask", "tree_mask", "centreline", "catheter_mask", "heart_mask", "field_mask")


@dataclass(frozen=True)
class _Written:
    """One run on disk."""

    seed: int
    """Its seed."""
    cine: SimulatedCine
    """The few frames of it that --check measures."""
    paths: tuple[Path, ...]
    """Files or folders: the runs, then the masks."""
    seconds: float
    """Time to simulate and to write it."""


@dataclass(frozen=True)
class _Wanted:
    """What to write of each run."""

    out: Path
    pairs: bool
    single_frame: bool


@click.command(
    "simulate",
    epilog="\b\nExit codes:\n  0  all written\n  2  wrong usage\n"
    "  3  a file cannot be written, or --check found a figure out of range\n  5  the CT cannot be used\n",
)
@click.argument("out", type=PATH)
@option(
    "--seed", type=click.IntRange(min=0), default=0, help="Seed of the first cine; the others follow by one."
)
@option("--cines", type=click.IntRange(min=1), default=1, help="How many, each of another patient.")
@option("--size", type=click.IntRange(64, 1024), default=512, help="Rows and columns.")
@option("--frames", type=click.IntRange(min=1), default=60, help="Frames of a cine, 15 a second.")
@option("--bits", type=click.Choice(["8", "10", "12"]), default="8", help="Bits stored.")
@option("--ct", type=PATH, help="Take the patients from the labelled CT in this folder.")
@option(
    "--cue",
    type=click.FloatRange(min=0),
    default=1.0,
    help="Trace that arteries leave without contrast, times the physical value; 0 leaves none.",
)
@option("--pairs", is_flag=True, help="Write the same cine with contrast, and the masks, too.")
@option("--single-frame", is_flag=True, help="Write one object for each frame.")
@option("--check", is_flag=True, help="Measure the cines beside real ones; best with a dozen.")
@json_option("SIMULATE", "the report")
@click.pass_context
def simulate(  # noqa: PLR0913  # one parameter per option is how click calls
    ctx: click.Context,
    *,
    out: Path,
    seed: int,
    cines: int,
    size: int,
    frames: int,
    bits: str,
    ct: Path | None,
    cue: float,
    pairs: bool,
    single_frame: bool,
    check: bool,
    as_json: bool,
) -> None:
    """Simulate X-ray cine of the coronary arteries and write it as XA DICOM to OUT.

    The cine of seed N goes to OUT/seed-N: without-contrast.dcm and, with --pairs, with-contrast.dcm and
    masks.npz; with --single-frame, folders of the first two names. masks.npz holds bool arrays of (frames,
    rows, columns): vessel_mask (filled enough to be seen), tree_mask (filled or not), centreline,
    catheter_mask, heart_mask; field_mask is (rows, columns). Files of the same names are replaced.

    The same options give the same bytes on one machine and one set of package versions.
    """
    settings = CineSettings(size=size, frames=frames, cue=cue, bits=_bits(bits))
    written = []
    for run in _simulate(settings, (seed, cines, ct), _Wanted(out, pairs, single_frame)):
        written.append(run)
        if not as_json:
            _show_run(run)
    table = _measure([run.cine for run in written]) if check else None
    wrong = failures(table) if table is not None else ()
    if as_json:
        show_json(_report(written, table, wrong))
    elif table is not None:
        _show_table(table, wrong)
    ctx.exit(3 if wrong else 0)


def _bits(text: str) -> Literal[8, 10, 12]:
    choices: dict[str, Literal[8, 10, 12]] = {"8": 8, "10": 10, "12": 12}
    return choices[text]


def _simulate(
    settings: CineSettings, patients: tuple[int, int, Path | None], wanted: _Wanted
) -> Iterator[_Written]:
    """Simulate and write one cine after the other; `patients` is first seed, count and CT."""
    first, count, ct = patients
    data = simulated_data(first, ct)
    if ct is not None:
        click.echo(f"casgan-dicom: {DataSpec(simulated=data).description}", err=True)
    backgrounds = data.backgrounds()
    for seed in range(first, first + count):
        started = time.perf_counter()
        cine = simulate_cine(seed, settings, backgrounds)
        paths = tuple(_write(cine, wanted))
        yield _Written(seed, _filled_part(cine), paths, time.perf_counter() - started)


def _write(cine: SimulatedCine, wanted: _Wanted) -> Iterator[Path]:
    """Write a cine, and with pairs its twin and its masks; gives the paths."""
    folder = wanted.out / f"seed-{cine.seed}"
    write = _write_singles if wanted.single_frame else _write_multi
    yield write(folder / "without-contrast", cine.plain, _header(cine, contrast=False))
    if wanted.pairs:
        yield write(folder / "with-contrast", cine.contrast, _header(cine, contrast=True))
        masks = io.BytesIO()
        np.savez_compressed(masks, **{name: getattr(cine, name) for name in _MASKS})
        write_atomically(folder / "masks.npz", masks.getvalue())
        yield folder / "masks.npz"


def _write_multi(stem: Path, frames: Frames, header: RunHeader) -> Path:
    return write_cine(stem.with_suffix(".dcm"), frames, header)


def _write_singles(folder: Path, frames: Frames, header: RunHeader) -> Path:
    write_single_frames(folder, frames, header)
    return folder


def _header(cine: SimulatedCine, *, contrast: bool) -> RunHeader:
    """What the run's own header says, in the words of `casgan_dicom.simulated`."""
    view, detector = cine.view, cine.detector
    return RunHeader(
        seed=cine.seed,
        bits=detector.bits,
        photometric="MONOCHROME1" if detector.inverted else "MONOCHROME2",
        relationship=detector.relationship,
        frame_time_ms=1000 / cine.settings.frame_rate,
        primary_deg=view.primary_deg,
        secondary_deg=view.secondary_deg,
        pixel_mm=view.pixel_mm,
        source_isocentre_mm=view.source_isocentre_mm,
        source_detector_mm=view.source_detector_mm,
        contrast=contrast,
    )


def _filled_part(cine: SimulatedCine) -> SimulatedCine:
    """The frames that --check measures: a whole run is too much to keep for each cine."""
    chosen = cine.run.well_filled(_CHECKED_FRAMES)
    arrays = {field.name: getattr(cine, field.name)[list(chosen)] for field in fields(Frame)}
    return replace(cine, **arrays, phase=cine.phase[list(chosen)], indices=chosen)


def _measure(cines: Sequence[SimulatedCine]) -> dict[str, float]:
    """The acceptance table; no figure at all is a usage error, since the runs were too short for one."""
    try:
        return measure(cines)
    except ValueError as error:
        raise click.UsageError(f"--check: {error}; --frames 60 is long enough") from error


def _show_run(run: _Written) -> None:
    view, frames = run.cine.view, run.cine.settings.frames
    angles = f"{view.primary_deg:+.0f}°/{view.secondary_deg:+.0f}°"
    said = f"seed {run.seed}: {run.cine.injected}, {angles}, {frames} frames in {run.seconds:.1f} s"
    click.echo(f"casgan-dicom: {said}", err=True)
    for path in run.paths:
        click.echo(str(path))


def _show_table(table: Mapping[str, float], wrong: Sequence[str]) -> None:
    """Each figure beside the real one and the accepted range."""
    click.echo(f"{'':<50}{'real':>8}{'accepted':>16}{'here':>10}")
    for key, limit in ACCEPTANCE.items():
        real = "" if limit.real is None else f"{limit.real:g}"
        accepted = f"≥ {limit.low:g}" if np.isinf(limit.high) else f"{limit.low:g} - {limit.high:g}"
        mark = "  out of range" if key in wrong else ""
        click.echo(f"{limit.quantity:<50}{real:>8}{accepted:>16}{table[key]:>10.3f}{mark}")


def _report(
    written: Sequence[_Written], table: Mapping[str, float] | None, wrong: Sequence[str]
) -> dict[str, object]:
    """What was written and measured, as JSON types."""
    runs = [
        {
            "seed": run.seed,
            "paths": [str(path) for path in run.paths],
            "injected": run.cine.injected,
            "primary_deg": round(run.cine.view.primary_deg, 2),
            "secondary_deg": round(run.cine.view.secondary_deg, 2),
            "frames": run.cine.settings.frames,
            "lead_in_frames": run.cine.run.lead_in_frames(),
            "seconds": round(run.seconds, 2),
        }
        for run in written
    ]
    return {
        "cines": runs,
        "check": None if table is None else {"measured": dict(table), "wrong": list(wrong)},
    }
