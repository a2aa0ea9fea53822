"""``casgan-dicom simulate``: X-ray cine of coronary arteries that belong to nobody, as XA DICOM."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from casgan_dicom.cli.option import PATH, option
from casgan_dicom.cli.output import json_option, say, show_json, tell
from casgan_dicom.lab.options import LARGEST, SMALLEST, Bits

if TYPE_CHECKING:
    from casgan_dicom.lab.simulate import Written
    from casgan_dicom.model.simulator.cine import SimulatedCine


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
@option("--size", type=click.IntRange(SMALLEST, LARGEST), default=512, help="Rows and columns.")
@option("--frames", type=click.IntRange(min=1), default=60, help="Frames of a cine, 15 a second.")
@option("--bits", type=click.Choice([str(bits) for bits in get_args(Bits)]), default="8", help="Bits stored.")
@option("--ct", type=PATH, help="Take the patients from the labelled CT in this folder.")
@option(
    "--cue",
    type=click.FloatRange(min=0),
    default=1.0,
    help="Trace that arteries leave without contrast, times the physical value; 0 leaves none.",
)
@option("--pairs", is_flag=True, help="Write the same cine with contrast, and the masks, too.")
@option(
    "--reference",
    is_flag=True,
    help="Write an earlier run with contrast, too: same patient and view, another beat, breath and table.",
)
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
    reference: bool,
    single_frame: bool,
    check: bool,
    as_json: bool,
) -> None:
    """Simulate X-ray cine of the coronary arteries and write it as XA DICOM to OUT.

    The cine of seed N goes to OUT/seed-N: without-contrast.dcm and, with --pairs, with-contrast.dcm and
    masks.npz; with --reference, reference.dcm, a run of the same study that was filled minutes before; with
    --single-frame, folders of these names. masks.npz holds bool arrays of (frames,
    rows, columns): vessel_mask (filled enough to be seen), tree_mask (filled or not), centreline,
    catheter_mask, clutter_mask (wires, leads, clips, electrodes), heart_mask; field_mask is (rows, columns).
    Files of the same names are replaced.

    The same options give the same bytes on one machine and one set of package versions.
    """
    from casgan_dicom.lab.simulate import Files, Patients, write_simulated
    from casgan_dicom.model.simulator.acceptance import failures
    from casgan_dicom.model.simulator.cine import CineSettings

    settings = CineSettings(size=size, frames=frames, cue=cue, bits=_bits(bits))
    patients, files = Patients(seed, cines, ct), Files(out, pairs, single_frame, reference)
    written = []
    for run in write_simulated(patients, settings, files, _say):
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


def _say(sentence: str) -> None:
    say(f"casgan-dicom: {sentence}")


def _bits(text: str) -> Bits:
    choices: dict[str, Bits] = {str(bits): bits for bits in get_args(Bits)}
    return choices[text]


def _measure(cines: Sequence[SimulatedCine]) -> dict[str, float]:
    """Both acceptance tables; no figure at all is a usage error, since the runs were too short for one."""
    from casgan_dicom.model.simulator.acceptance import measure

    try:
        return measure(cines)
    except ValueError as error:
        raise click.UsageError(f"--check: {error}; --frames 60 is long enough") from error


def _show_run(run: Written) -> None:
    view, frames = run.cine.view, run.cine.settings.frames
    angles = f"{view.primary_deg:+.0f}°/{view.secondary_deg:+.0f}°"
    said = f"seed {run.seed}: {run.cine.injected}, {angles}, {frames} frames in {run.seconds:.1f} s"
    _say(said)
    for path in run.paths:
        tell(str(path))


def _show_table(table: Mapping[str, float], wrong: Sequence[str]) -> None:
    """Each figure beside the real one and the accepted range, a table after the other."""
    from casgan_dicom.model.simulator.acceptance import TABLES

    for limits in TABLES:
        tell(f"{'':<50}{'real':>8}{'accepted':>16}{'here':>10}")
        for key, limit in limits.items():
            real = "" if limit.real is None else f"{limit.real:g}"
            accepted = f"≥ {limit.low:g}" if math.isinf(limit.high) else f"{limit.low:g} - {limit.high:g}"
            here = f"{table[key]:.3f}" if math.isfinite(table[key]) else "not seen"
            mark = "  out of range" if key in wrong else ""
            tell(f"{limit.quantity:<50}{real:>8}{accepted:>16}{here:>10}{mark}")


def _report(
    written: Sequence[Written], table: Mapping[str, float] | None, wrong: Sequence[str]
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
    if table is None:
        return {"cines": runs, "check": None}
    measured = {key: value if math.isfinite(value) else None for key, value in table.items()}
    return {"cines": runs, "check": {"measured": measured, "wrong": list(wrong)}}
