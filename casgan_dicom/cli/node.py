"""``casgan-dicom node``: run the node; ``status``, ``jobs`` and ``quarantine`` look into its ledger."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, get_args

import click

from casgan_dicom.cli.node_audit import audit
from casgan_dicom.cli.node_audit_trail import audit_trail
from casgan_dicom.cli.node_backup import backup, restore
from casgan_dicom.cli.node_certificates import certificates
from casgan_dicom.cli.node_clean import clean, retention_of, size
from casgan_dicom.cli.node_hosts import forget, show_hosts
from casgan_dicom.cli.node_init import init
from casgan_dicom.cli.node_notify_test import notify_test
from casgan_dicom.cli.node_orders import cancel, convert, ledger_of, priority, retry
from casgan_dicom.cli.node_pauses import pause, resume
from casgan_dicom.cli.node_reload import reload
from casgan_dicom.cli.node_reviews import accept, reject, verdict_of
from casgan_dicom.cli.node_rules import test_rules
from casgan_dicom.cli.option import option
from casgan_dicom.cli.output import json_option, say, show_json, tell
from casgan_dicom.errors import ConfigError
from casgan_dicom.node.state.jobs import JobState
from casgan_dicom.quoting import printable, quoted

if TYPE_CHECKING:
    from casgan_dicom.node.certificates import Expiry
    from casgan_dicom.node.settings import NodeSettings
    from casgan_dicom.node.state.overview import JobRow, Status

_EPILOG = """\b
Exit codes:
  0  stopped as told
  2  wrong usage
  5  configuration or bundle
"""
_COLUMNS = (
    "job",
    "state",
    "rule",
    "priority",
    "received",
    "from",
    "rev",
    "files",
    "frames",
    "made",
    "deliveries",
)
_NUMBERS = ("rev", "files", "frames", "made")
_TABLE_WIDTH = 180
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
    from casgan_dicom.node.checks import load_node_settings
    from casgan_dicom.node.state.private import UMASK

    if ctx.invoked_subcommand in ("certificates", "init"):  # the settings may name what it is to make
        return
    environ = dict(os.environ)

    def read() -> NodeSettings:
        settings = load_node_settings(config, environ)
        return replace(settings, data=settings.data.absolute())  # the ledger holds paths

    ctx.obj = read()
    os.umask(UMASK)
    if ctx.invoked_subcommand is None:
        _run(ctx.obj, read)


def _run(settings: NodeSettings, read: Callable[[], NodeSettings]) -> None:
    """Run the node in this process and its children."""
    from casgan_dicom.log import configure
    from casgan_dicom.node.roles import event_on
    from casgan_dicom.node.service import Ready, Reload, run
    from casgan_dicom.node.settings import place_of
    from casgan_dicom.node.state.layout import Layout
    from casgan_dicom.node.web.holders import tokens_path

    def on_ready(ready: Ready) -> None:
        listener = settings.listener
        if ready.port:
            say(f"casgan-dicom node: {listener.ae_title} listens on {listener.host}:{ready.port}")
        if settings.host.name:
            say(f"  host:    {settings.host.name}, {', '.join(settings.host.roles)}")
        if settings.web.port:
            scheme = "https" if settings.web.tls_certificate else "http"
            say(f"  web:     {scheme}://{settings.web.host}:{settings.web.port}/studies takes STOW-RS")
        if settings.page.port:
            scheme = "https" if settings.page.tls_certificate else "http"
            tokens = tokens_path(settings)
            say(f"  page:    {scheme}://{settings.page.host}:{settings.page.port}/, its tokens: {tokens}")
        say(f"  results: {Layout(settings.data).outbox}")
        if settings.rules:
            say(f"  rules:   {len(settings.rules)}, see casgan-dicom node test-rules")
        for each in settings.destinations:
            say(f"  and to:  {each.name} ({place_of(each)})")
        say("  stop:    Ctrl-C, or SIGTERM; state: casgan-dicom node status")

    stop, again = event_on(signal.SIGTERM, signal.SIGINT), event_on(signal.SIGHUP)
    configure()
    run(settings, on_ready, stop, Reload(again, read))
    say("casgan-dicom node: stopped")


@node.command()
@option("--check", is_flag=True, help="One line and an exit code, as monitoring programs want them.")
@json_option("NODE_STATUS")
@click.pass_context
def status(ctx: click.Context, *, check: bool, as_json: bool) -> None:
    """Say what runs, what waits, and what went wrong.

    With --check, the exit code is 0 if all is well, 1 for what waits for a person (dead letters, series that
    failed, quarantine, little space, a certificate that expires within 30 days, a host that is gone, a node
    that starts), 2 if the node is stopped, has no space to receive or a certificate has expired, 3 if that
    cannot be told.
    """
    from casgan_dicom.node.credentials import expiries
    from casgan_dicom.node.state.health import Level, worst
    from casgan_dicom.node.work.cleaner import Cleaner
    from casgan_dicom.node.work.condition import status_of, wrong_with

    settings: NodeSettings = ctx.obj
    try:
        with ledger_of(settings) as ledger:
            cleaner = Cleaner(settings, ledger)
            plan = cleaner.plan(time())
            found = status_of(settings, ledger, plan)
            certificates = expiries(settings, time())
            wrong = wrong_with(settings, ledger, found, certificates, time())
    except ConfigError as error:
        if not check:
            raise
        tell(f"CASGAN {Level.UNKNOWN.name} - {error.message}")
        ctx.exit(Level.UNKNOWN)
    if as_json:
        about: dict[str, object] = {
            "certificates": [asdict(each) | {"path": str(each.path)} for each in certificates],
            "check": worst(wrong).name,
            "findings": [finding.text for finding in wrong],
        }
        removing = {"removals": len(plan.removals), "bytes": sum(each.bytes for each in plan.removals)}
        about["retention"] = removing | {"next_at": plan.next_at}
        show_json(asdict(found) | {"data": str(found.data)} | about)
    elif check:
        tell(f"CASGAN {worst(wrong).name} - {'; '.join(finding.text for finding in wrong) or 'all is well'}")
    else:
        _show_status(found, certificates)
        tell(f"retention    {'nothing is removed' if cleaner.is_idle else retention_of(plan)}")
    if check:
        ctx.exit(worst(wrong))


@node.command()
@option(
    "--state",
    multiple=True,
    type=click.Choice(get_args(JobState)),
    help="Only jobs in this state; may be given several times.",
)
@option("--limit", type=click.IntRange(1, 2**31 - 1), default=50, help="At most so many, the latest.")
@json_option("NODE_JOBS")
@click.pass_obj
def jobs(settings: NodeSettings, *, state: tuple[str, ...], limit: int, as_json: bool) -> None:
    """List jobs, the latest first: one for each revision of a series."""
    from casgan_dicom.node.state.layout import Layout
    from casgan_dicom.node.state.overview import list_jobs

    with ledger_of(settings) as ledger:
        rows = list_jobs(ledger, states=state, limit=limit, work=Layout(settings.data).work)
    if as_json:
        show_json([asdict(row) for row in rows])
    else:
        _show_jobs(rows)


@node.command()
@option("--limit", type=click.IntRange(1, 2**31 - 1), default=50, help="At most so many, the latest.")
@json_option("NODE_QUARANTINE")
@click.pass_obj
def quarantine(settings: NodeSettings, *, limit: int, as_json: bool) -> None:
    """List what nothing could be made of, the latest first: where it lies, and why.

    These bytes belong to no job. Series that killed the worker are jobs: `jobs --state quarantined` lists
    them, `retry` tries them again.
    """
    from casgan_dicom.node.state.overview import list_quarantine

    with ledger_of(settings) as ledger:
        rows = list_quarantine(ledger, limit=limit)
    if as_json:
        show_json([asdict(row) | {"path": str(row.path)} for row in rows])
        return
    for row in rows:
        came = f"{datetime.fromtimestamp(row.at):%Y-%m-%d %H:%M:%S}"
        tell(f"{row.path}  {came}  from {quoted(row.peer, 'AE')} at {row.address}: {row.reason}")
    if not rows:
        say("casgan-dicom: nothing lies in quarantine")


for _order in (
    accept,
    audit,
    audit_trail,
    backup,
    cancel,
    certificates,
    clean,
    convert,
    forget,
    init,
    notify_test,
    pause,
    priority,
    reject,
    reload,
    restore,
    resume,
    retry,
    test_rules,
):
    node.add_command(_order)


def _show_status(found: Status, certificates: Sequence[Expiry]) -> None:
    running = ", ".join(f"{role} ({pid})" for role, pid in sorted(found.processes.items()))
    tell(f"data         {found.data}, {found.free_bytes / 2**30:.1f} GiB free")
    tell(f"processes    {running or f'none: the node is {found.phase}'}")
    show_hosts(found)
    stored = (
        ("spool", found.spool_bytes),
        ("outbox", found.outbox_bytes),
        ("quarantine", found.quarantine_bytes),
    )
    tell(f"storage      {', '.join(f'{name} {size(count)}' for name, count in stored)}")
    tell(f"instances    {found.instances} received, {found.quarantined_instances} in quarantine")
    tell(f"jobs         {_counts(found.jobs)}")
    for destination, states in found.deliveries.items():
        tell(f"deliveries   {destination}: {_counts(states)}")
    if found.rejected:
        tell(f"rejected     {', '.join(f'{count} {reason}' for reason, count in found.rejected.items())}")
    for each in certificates:
        days = "unknown: it cannot be read" if each.days_left is None else f"{each.days_left} days left"
        tell(f"certificate  {each.key} {each.path}: {days}")
    for paused in found.paused:
        tell(f"paused       {paused}")
    if found.audit.link.seq or found.audit.reason:
        tell(f"audit        sent up to line {found.audit.link.seq}, {found.audit.lost} lost on the way")


def _counts(states: dict[str, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in states.items()) or "none"


def _show_jobs(rows: list[JobRow]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for name in _COLUMNS:
        table.add_column(name, no_wrap=True, justify="right" if name in _NUMBERS else "left")
    for row in rows:
        cells = (
            row.job,
            " ".join(filter(None, (row.state, row.progress, "removed" if row.removed_at else ""))),
            row.rule,
            row.priority,
            f"{datetime.fromtimestamp(row.first_at):%Y-%m-%d %H:%M:%S}",
            row.peer,
            str(row.revision),
            str(row.instances),
            str(row.frames),
            str(len(row.derived)),
            ", ".join(f"{each.destination}: {each.state}" for each in row.deliveries),
        )
        table.add_row(*(Text(printable(cell)) for cell in cells))  # never read as markup
    console = Console()
    console.width = max(console.width, _TABLE_WIDTH)
    console.print(table)
    for row in rows:
        again = f", {row.repeats} once more with {row.bundle}" if row.repeats else ""
        tell(f"{row.job}  series {row.series_uid}{again}{verdict_of(row)}")
    for row in rows:
        for reason in _reasons(row):
            say(f"casgan-dicom: {row.job}: {reason}")


def _reasons(row: JobRow) -> Iterator[str]:
    """Why a job, a delivery of it or the object of a verdict is not what one hopes."""
    yield from row.reasons
    yield from (f"{each.destination}: {each.reason}" for each in row.deliveries if each.reason)
    yield from (f"object of verdict {each.number}: {each.why}" for each in row.reviews if each.why)
