"""``casgan-dicom node retry``, ``cancel``, ``priority`` and ``convert``: what a person decides about jobs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import time
from typing import TYPE_CHECKING

import click

from casgan_dicom.cli.option import option
from casgan_dicom.cli.output import json_option, say, show_json, tell
from casgan_dicom.errors import ConfigError
from casgan_dicom.node.settings import PRIORITIES, NodeSettings, Priority

if TYPE_CHECKING:
    from casgan_dicom.node.state.ledger import Ledger

_NO_JOB_HINT = "`casgan-dicom node jobs` lists the ids"


@contextmanager
def ledger_of(settings: NodeSettings) -> Iterator[Ledger]:
    """The ledger of a node that has run at least once; the node looks at what was done to it."""
    from casgan_dicom.node.state.bells import COORDINATOR, ring
    from casgan_dicom.node.state.books import ledger_place, open_ledger
    from casgan_dicom.node.state.layout import Layout

    layout, place = Layout(settings.data), ledger_place(settings)
    if not (place if isinstance(place, Path) else layout.lock).is_file():
        raise ConfigError(
            f"{settings.data}: no node has run on this data folder",
            hint="pass the --config of the node, before the sub-command: casgan-dicom node --config F status",
        )
    ledger = open_ledger(settings)
    try:
        yield ledger
    finally:
        ledger.close()
        ring(layout.bells, COORDINATOR)


@click.command()
@click.argument("job", nargs=-1)
@json_option("NODE_RETRY")
@click.pass_obj
def retry(settings: NodeSettings, *, job: tuple[str, ...], as_json: bool) -> None:
    """Try again what ended badly: dead letters, failed and quarantined series.

    JOB are ids as `jobs` shows them; without any, everything. What is done already is not done again: a dead
    letter is only sent. A series that was skipped or cancelled is tried again if it is named. So is the
    object of a verdict that could not be made. A node that is stopped does it when it starts.
    """
    from casgan_dicom.node.state.deliveries import Deliveries
    from casgan_dicom.node.state.jobs import JobList
    from casgan_dicom.node.state.reviews import Reviews

    with ledger_of(settings) as ledger:
        states_of(ledger, job)
        reviews = Reviews(ledger).retry(job)
        converting = JobList(ledger).retry(job, time())
        sending = Deliveries(ledger).retry(job, time())
    again = {
        "conversions": converting,
        "deliveries": [{"job": each.job, "destination": each.destination} for each in sending],
        "reviews": reviews,
    }
    if as_json:
        show_json(again)
    else:
        for name in converting:
            tell(f"{name}  convert")
        for each in sending:
            tell(f"{each.job}  send to {each.destination}")
        for name in reviews:
            tell(f"{name}  make the object of its verdict")
    if not converting and not sending and not reviews:
        say("casgan-dicom: nothing to try again")


@click.command()
@click.argument("job", nargs=-1, required=True)
@json_option("NODE_CANCEL")
@click.pass_obj
def cancel(settings: NodeSettings, *, job: tuple[str, ...], as_json: bool) -> None:
    """End jobs that are not done: no conversion, and nothing more is sent.

    JOB are ids as `jobs` shows them. A conversion under way ends at the next batch of frames, and what it has
    written is removed; what a destination has already, it keeps. The instances stay: `retry JOB` goes on.
    What else comes in of the series is another revision.
    """
    from casgan_dicom.node.state.orders import Orders

    with ledger_of(settings) as ledger:
        states_of(ledger, job)
        cancelled = Orders(ledger).cancel(job, time())
        left = {name: state for name, state in states_of(ledger, job).items() if name not in cancelled}
    if as_json:
        show_json({"cancelled": cancelled, "not_cancelled": left})
    else:
        for name in cancelled:
            tell(f"{name}  cancelled")
    for name, state in left.items():
        say(f"casgan-dicom: {name} is {state}: nothing to cancel")


@click.command()
@click.argument("job", nargs=-1, required=True)
@click.argument("level", type=click.Choice(PRIORITIES))
@json_option("NODE_PRIORITY")
@click.pass_obj
def priority(settings: NodeSettings, *, job: tuple[str, ...], level: Priority, as_json: bool) -> None:
    """Say how urgent jobs are: urgent before routine before batch.

    JOB are ids as `jobs` shows them. A conversion under way gives way to a more urgent one at the next batch
    of frames, and goes on behind it where it was. Earlier revisions of the series that still wait become as
    urgent: they go first.
    """
    from casgan_dicom.node.state.orders import Orders

    with ledger_of(settings) as ledger:
        states = states_of(ledger, job)
        waiting = [name for name, state in states.items() if state in ("receiving", "queued", "converting")]
        Orders(ledger).prioritise(waiting, level)
    if as_json:
        show_json({"priority": level, "jobs": waiting})
    else:
        for name in waiting:
            tell(f"{name}  {level}")
    for name in states.keys() - set(waiting):
        say(f"casgan-dicom: {name} is {states[name]}: it is not converted any more")


@click.command()
@click.argument("job", nargs=-1, required=True)
@option("--bundle", required=True, help="Name of a shipped bundle, or folder of any.")
@option("--priority", type=click.Choice(PRIORITIES), default="batch", help="How urgent it is.")
@json_option("NODE_CONVERT")
@click.pass_obj
def convert(
    settings: NodeSettings, *, job: tuple[str, ...], bundle: str, priority: Priority, as_json: bool
) -> None:
    """Convert the instances of jobs once more, with another bundle.

    JOB are ids as `jobs` shows them, of series that are complete and whose files are still in the spool. Each
    gives another job and a derived series of its own, which goes to the destinations too; it stands beside
    what was made before, and supersedes nothing.
    """
    from casgan_dicom.node.state.orders import Orders
    from casgan_dicom.node.work.repeating import check_kept, repeat_with

    how = repeat_with(settings, bundle, priority)
    with ledger_of(settings) as ledger:
        for name, state in states_of(ledger, job).items():
            check_kept(ledger, name, state, how, time())
        made = {name: Orders(ledger).repeat(name, how, time()) for name in dict.fromkeys(job)}
    if as_json:
        show_json([{"job": again, "repeats": name, "bundle": how.bundle} for name, again in made.items()])
    else:
        for name, again in made.items():
            tell(f"{again}  converts {name} with {how.bundle}")


def states_of(ledger: Ledger, jobs: Sequence[str]) -> dict[str, str]:
    """State of each job, in the order of the ids. Raises ConfigError if there is no such job."""
    from casgan_dicom.node.state.orders import Orders

    states = Orders(ledger).states(jobs)
    if unknown := sorted(set(jobs) - states.keys()):
        raise ConfigError(f"no job {', '.join(unknown)}", hint=_NO_JOB_HINT)
    return states
