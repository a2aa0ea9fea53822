"""``casgan-dicom inspect``: what would `convert` do with these files, and why?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from casgan_dicom.cli.option import PATH
from casgan_dicom.cli.output import json_option, show_json, tell

if TYPE_CHECKING:
    from casgan_dicom.conversion.inspection import Form, InspectedCine, Shown, Stored


@click.command(
    "inspect",
    epilog="\b\nExit codes:\n  0  all would be converted\n  2  wrong usage\n"
    "  3  nothing would be converted\n  4  some would be skipped\n",
)
@click.argument("files", nargs=-1, required=True, type=PATH)
@json_option("INSPECT")
@click.pass_context
def inspect(ctx: click.Context, *, files: tuple[Path, ...], as_json: bool) -> None:
    """Explain what `convert` would do with each cine in FILES (files or folders), and why.

    Only headers are read, nothing is written. The output holds no patient data and no file names: cines go by
    their UIDs.
    """
    from casgan_dicom.conversion.inspection import inspect as inspect_files

    found = inspect_files(files)
    if as_json:
        show_json(found.as_json())
        ctx.exit(found.exit_code)
    for cine in found.cines:
        tell(f"series {cine.series_uid}")
        for name, text in _facts(cine):
            tell(f"  {name:<11}{text}")
    for what, counts in (("damaged", found.damaged), ("passed over", found.passed_over)):
        for reason, count in counts.items():
            tell(f"{what}: {count} files: {reason}")
    ctx.exit(found.exit_code)


def _facts(cine: InspectedCine) -> Iterator[tuple[str, str]]:
    """What there is to say about one cine, a line each."""
    stored, shown = cine.stored, cine.shown
    yield "verdict", _verdict(cine)
    yield from (("because", reason.text) for reason in cine.reasons)
    count = len(cine.instances)
    yield "instances", f"{count}, the first {cine.instances[0]}" if count > 1 else cine.instances[0]
    yield "object", ", ".join(part for part in (stored.sop_class, stored.modality, shown.view) if part)
    for syntax, decoder in zip(stored.transfer_syntaxes, stored.decoders, strict=True):
        yield "stored as", f"{syntax}; decoded by {decoder or 'nothing here'}"
    yield "frames", _size(stored)
    yield from _reading(shown, stored)
    if cine.output is not None:
        yield "output", _output(cine.output)
    yield from (("note", text) for text in cine.warnings)


def _verdict(cine: InspectedCine) -> str:
    if cine.converted:
        return "would be converted"
    return f"would be skipped; {'--force converts it' if cine.forceable else '--force does not help'}"


def _size(stored: Stored) -> str:
    size = f"{stored.frames} of {stored.columns}×{stored.rows}"
    return (
        f"{size}, {stored.bits_stored} bits in {stored.bits_allocated}, {stored.photometric or 'not coded'}"
    )


def _reading(shown: Shown, stored: Stored) -> Iterator[tuple[str, str]]:
    """How the frames are read."""
    yield "intensity", stored.intensity or "not said"
    if shown.display:
        yield "display", shown.display
        share = f"{', '.join(shown.shutters)}; {100 * shown.visible_share:.1f} % of the first frame visible"
        yield "shutters", share if shown.shutters else "none"
        yield "loss", shown.lossy or "none known"
        if shown.unsaid:
            yield "unknown", shown.unsaid
    if stored.frames > 1:
        steps = f"{shown.frame_time_ms:g} ms per frame{' as the median' if shown.irregular else ''}"
        yield "timing", f"{steps}, from {shown.timing_source}"
    yield from (("mark", mark) for mark in shown.marks)


def _output(form: Form) -> str:
    choice = ", ".join(f"--bits {bits}" for bits in form.bits if bits > 8)
    more = f"; also {choice}" if choice else "; 8 bits are all it has"
    return f"{form.sop_class}, 8 bits, {form.pixel_bytes / 1e6:.1f} MB{more}"
