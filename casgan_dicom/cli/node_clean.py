"""``casgan-dicom node clean``: remove what is not needed any more, or say what that would be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from time import time
from typing import TYPE_CHECKING

import click

from casgan_dicom.cli.node_orders import ledger_of
from casgan_dicom.cli.option import option
from casgan_dicom.cli.output import json_option, say, show_json, tell
from casgan_dicom.errors import OutputError

if TYPE_CHECKING:
    from casgan_dicom.node.settings import NodeSettings
    from casgan_dicom.node.work.retention import Plan, Removal


@click.command()
@option("--dry-run", is_flag=True, help="Remove nothing, only say what would go.")
@json_option("NODE_CLEAN")
@click.pass_context
def clean(ctx: click.Context, *, dry_run: bool, as_json: bool) -> None:
    """Remove what is not needed any more, by the rules of `[retention]`.

    A node that runs does so by itself, a few things at a time; this does it at once, whether the node runs or
    not. What waits for a person (dead letters, series that failed or are in quarantine) never goes. The exit
    code is 3 if a file could not be removed; it is tried again.
    """
    from casgan_dicom.node.work.cleaner import Cleaner

    settings: NodeSettings = ctx.obj
    with ledger_of(settings) as ledger:
        cleaner, now = Cleaner(settings, ledger), time()
        gone = list(cleaner.plan(now).removals) if dry_run else cleaner.clean(now)
        plan = cleaner.plan(now)
        is_idle, unfinished = cleaner.is_idle, cleaner.unfinished()
    if as_json:
        removed = sum(each.bytes for each in gone)
        rows = [_as_json(each) for each in gone]
        show_json({"dry_run": dry_run, "bytes": removed, "next_at": plan.next_at, "removals": rows})
    else:
        _show(gone, plan, is_idle=is_idle)
    if unfinished and not dry_run:
        say(f"casgan-dicom: files of {unfinished} jobs could not be removed: it is tried again")
        ctx.exit(OutputError.exit_code)


def _show(gone: Sequence[Removal], plan: Plan, *, is_idle: bool) -> None:
    for each in gone:
        what = Path(each.name).name if each.kind == "quarantine" else each.name
        tell(f"{what}  {size(each.bytes)}  {each.reason}")
    if is_idle:
        say("casgan-dicom: no key of [retention] is set: nothing is ever removed")
    elif not gone:
        say("casgan-dicom: nothing to remove")
    if plan.next_at is not None:
        say(f"  next: {_when(plan.next_at)}")


def retention_of(plan: Plan) -> str:
    """What retention does next, in one line."""
    count, room = len(plan.removals), sum(each.bytes for each in plan.removals)
    now = f"{count} to remove ({size(room)})" if count else "nothing to remove"
    return f"{now}, the next at {_when(plan.next_at)}" if plan.next_at is not None else now


def size(count: int) -> str:
    """A length, for people."""
    for unit, length in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= length:
            return f"{count / length:.1f} {unit}"
    return f"{count} bytes"


def _as_json(removal: Removal) -> dict[str, object]:
    fields = asdict(removal)
    return {"since" if key == "at" else key: value for key, value in fields.items()}


def _when(at: float) -> str:
    return f"{datetime.fromtimestamp(at):%Y-%m-%d %H:%M:%S}"
