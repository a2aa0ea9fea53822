"""``casgan-dicom node accept`` and ``reject``: what a person thinks of what a job made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import time
from typing import TYPE_CHECKING, Any, TypeVar

import click

from casgan_dicom.cli.node_orders import ledger_of, states_of
from casgan_dicom.cli.option import option
from casgan_dicom.cli.output import json_option, say, show_json, tell
from casgan_dicom.derived.review_reasons import REASONS
from casgan_dicom.node.settings import NodeSettings

if TYPE_CHECKING:
    from casgan_dicom.node.state.overview import JobRow
    from casgan_dicom.node.state.reviews import Verdict

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _words(command: _Command) -> _Command:
    """The options of both commands."""
    text = option("--text", default="", help="What else there is to say, one line. No patient data.")
    by = option("--by", default="", help="Who says so; it stands in the object that is sent.")
    return text(by(command))


@click.command()
@click.argument("job", nargs=-1, required=True)
@_words
@json_option("NODE_ACCEPT")
@click.pass_obj
def accept(settings: NodeSettings, *, job: tuple[str, ...], text: str, by: str, as_json: bool) -> None:
    """Accept what jobs made.

    JOB are ids as `jobs` shows them. The verdict stays in the ledger, beside those before it, and the latest
    counts. Where the configuration asks for it (`[review]`, or `review` of a rule), it is sent where the
    series went, as a structured report or a key object selection that names its objects.
    """
    from casgan_dicom.node.state.reviews import Verdict

    _decide(settings, job, Verdict("accepted", text=text, reviewer=by), as_json=as_json)


@click.command()
@click.argument("job", nargs=-1, required=True)
@option("--reason", type=click.Choice(list(REASONS)), required=True, help="Why; `other` needs a --text.")
@_words
@json_option("NODE_REJECT")
@click.pass_obj
def reject(
    settings: NodeSettings, *, job: tuple[str, ...], reason: str, text: str, by: str, as_json: bool
) -> None:
    """Reject what jobs made, with a reason.

    JOB are ids as `jobs` shows them. The verdict stays in the ledger, and may be sent, as that of `accept`.
    Nothing is deleted here. Sent as a key object selection, it makes an archive that knows IHE IOCM hide the
    objects, for good.
    """
    from casgan_dicom.node.state.reviews import Verdict

    _decide(settings, job, Verdict("rejected", reason, text, by), as_json=as_json)


def _decide(settings: NodeSettings, jobs: Sequence[str], verdict: Verdict, *, as_json: bool) -> None:
    """Write down a verdict about each of some jobs; about none if it cannot be about all of them."""
    from casgan_dicom.node.state.audit import Audit
    from casgan_dicom.node.state.layout import Layout
    from casgan_dicom.node.state.reviews import Reviews

    verdict.check()
    audit = Audit(Layout(settings.data), settings.audit, settings.listener.ae_title)
    with ledger_of(settings) as ledger:
        reviews, names = Reviews(ledger, audit), list(states_of(ledger, jobs))
        for name in names:
            reviews.check(name)
        said = {name: reviews.decide(name, verdict, time()) for name in names}
    done = [name for name in names if said[name]]
    left = [name for name in names if not said[name]]
    if as_json:
        show_json({"verdict": verdict.outcome, "reason": verdict.reason, "jobs": done, "unchanged": left})
    else:
        for name in done:
            tell(f"{name}  {verdict.outcome}")
    for name in left:
        say(f"casgan-dicom: {name}: the verdict is the same as before")


def verdict_of(row: JobRow) -> str:
    """The verdict that counts, behind what is said of a job; empty where there is none."""
    if not row.reviews:
        return ""
    verdict = row.reviews[-1].verdict
    return f", {verdict.outcome}{f': {verdict.reason}' if verdict.reason else ''}"
