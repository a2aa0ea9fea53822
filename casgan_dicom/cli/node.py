"""``casgan-dicom node``: run the node; ``status``, ``jobs`` and ``retry`` look into its ledger."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from time import time
from typing import get_args

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from casgan_dicom.cli.option import option
from casgan_dicom.cli.output import json_option, say, show_json, tell
from casgan_dicom.errors import ConfigError
from casgan_dicom.log import configure
from casgan_dicom.node.checks import load_node_settings
from casgan_dicom.node.roles import stop_on
from casgan_dicom.node.settings import NodeSettings
from casgan_dicom.node.state.deliveries import Deliveries
from casgan_dicom.node.state.jobs import JobList, JobState
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.overview import JobRow, Status, list_jobs
from casgan_dicom.node.state.overview import status as status_of
from casgan_dicom.node.state.private import UMASK
from casgan_dicom.quoting import printable

_EPILOG = """\b
Exit codes:
  0  stopped as told
  2  wrong usage
  5  configuration or bundle
"""
_TABLE_WIDTH = 110
"""At least; a narrower terminal wraps lines rather than losing what they say."""


@click.group("node", invoke_without_command=True, epilog=_EPILOG)
@option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="CASGAN_NODE_CONFIG",
    help="TOML file; without it, the node listens on this machine only and keeps the results in its outbox.",
)
@click.pass_context
def node(ctx: click.Context, *, config: Path | None) -> None:
    """Receive series, convert them, and send the results on.

    Without a sub-command, runs the node until SIGTERM or Ctrl-C. Every setting can also be set in the
    environment: `port` of `[listener]` as CASGAN_NODE_LISTENER_PORT.
    """
    settings = load_node_settings(config, os.environ)
    settings = replace(settings, data=settings.data.absolute())  # the ledger holds paths
    ctx.obj = settings
    os.umask(UMASK)
    if ctx.invoked_subcommand is None:
        _run(settings)


def _run(settings: NodeSettings) -> None:
    """Run the node in this process and its children."""
    from casgan_dicom.node.service import Ready, run  # noqa: PLC0415 - `status` must answer at once

    def on_ready(ready: Ready) -> None:
        listener = settings.listener
        say(f"casgan-dicom node: {listener.ae_title} listens on {listener.host}:{ready.port}")
        say(f"  results: {Layout(settings.data).outbox}")
        for each in settings.destinations:
            say(f"  and to:  {each.name} ({each.ae_title} at {each.host}:{each.port})")
        say("  stop:    Ctrl-C, or SIGTERM; state: casgan-dicom node status")

    stop = stop_on(signal.SIGTERM, signal.SIGINT)
    configure()
    run(settings, on_ready, stop)
    say("casgan-dicom node: stopped")


@node.command()
@json_option("NODE_STATUS")
@click.pass_obj
def status(settings: NodeSettings, *, as_json: bool) -> None:
    """Say what runs, what waits, and what went wrong."""
    with _ledger(settings) as ledger:
        found = status_of(Layout(settings.data), ledger)
    if as_json:
        show_json(asdict(found) | {"data": str(found.data)})
    else:
        _show_status(found)


@node.command()
@option(
    "--state",
    multiple=True,
    type=click.Choice(get_args(JobState)),
    help="Only jobs in this state; may be given several times.",
)
@option("--limit", default=50, help="At most so many, the latest.")
@json_option("NODE_JOBS")
@click.pass_obj
def jobs(settings: NodeSettings, *, state: tuple[str, ...], limit: int, as_json: bool) -> None:
    """List jobs, the latest first: one for each revision of a series."""
    with _ledger(settings) as ledger:
        rows = list_jobs(ledger, states=state, limit=limit)
    if as_json:
        show_json([asdict(row) for row in rows])
    else:
        _show_jobs(rows)


@node.command()
@click.argument("job", nargs=-1)
@json_option("NODE_RETRY")
@click.pass_obj
def retry(settings: NodeSettings, *, job: tuple[str, ...], as_json: bool) -> None:
    """Try again what ended badly: dead letters, failed and quarantined series.

    JOB are ids as `jobs` shows them; without any, everything. What is done already is not done again: a dead
    letter is only sent. A series that was skipped is tried again if it is named. A node that is stopped does
    it when it starts.
    """
    with _ledger(settings) as ledger:
        if unknown := sorted(set(job) - JobList(ledger).known(job)):
            raise ConfigError(f"no job {', '.join(unknown)}", hint="`casgan-dicom node jobs` lists the ids")
        converting = JobList(ledger).retry(job, time())
        sending = Deliveries(ledger).retry(job, time())
    again = {
        "conversions": converting,
        "deliveries": [{"job": each.job, "destination": each.destination} for each in sending],
    }
    if as_json:
        show_json(again)
    else:
        for name in converting:
            tell(f"{name}  convert")
        for each in sending:
            tell(f"{each.job}  send to {each.destination}")
    if not converting and not sending:
        say("casgan-dicom: nothing to try again")


@contextmanager
def _ledger(settings: NodeSettings) -> Iterator[Ledger]:
    """The ledger of a node that has run at least once."""
    path = Layout(settings.data).ledger
    if not path.is_file():
        raise ConfigError(
            f"{settings.data}: no node has run on this data folder",
            hint="pass the --config of the node, before the sub-command: casgan-dicom node --config F status",
        )
    ledger = Ledger(path)
    try:
        yield ledger
    finally:
        ledger.close()


def _show_status(found: Status) -> None:
    running = ", ".join(f"{role} ({pid})" for role, pid in sorted(found.processes.items()))
    tell(f"data         {found.data}, {found.free_bytes / 2**30:.1f} GiB free")
    tell(f"processes    {running or 'none: the node is stopped'}")
    tell(f"instances    {found.instances} received, {found.quarantined_instances} in quarantine")
    tell(f"jobs         {_counts(found.jobs)}")
    for destination, states in found.deliveries.items():
        tell(f"deliveries   {destination}: {_counts(states)}")


def _counts(states: dict[str, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in states.items()) or "none"


def _show_jobs(rows: list[JobRow]) -> None:
    table = Table(box=None, pad_edge=False)
    for name in ("job", "state", "received", "from", "instances", "derived", "deliveries"):
        table.add_column(name, no_wrap=True, justify="right" if name == "instances" else "left")
    for row in rows:
        cells = (
            row.job,
            row.state,
            f"{datetime.fromtimestamp(row.first_at):%Y-%m-%d %H:%M:%S}",
            row.peer,
            str(row.instances),
            str(len(row.derived)),
            ", ".join(f"{each.destination}: {each.state}" for each in row.deliveries),
        )
        table.add_row(*(Text(printable(cell)) for cell in cells))  # never read as markup
    console = Console()
    console.width = max(console.width, _TABLE_WIDTH)
    console.print(table)
    for row in rows:
        for reason in (*row.reasons, *(f"{d.destination}: {d.reason}" for d in row.deliveries if d.reason)):
            say(f"casgan-dicom: {row.job}: {reason}")
