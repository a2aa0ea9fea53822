"""``casgan-dicom node audit``: was anything lost?"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, replace
from datetime import datetime
from typing import TYPE_CHECKING

import click

from casgan_dicom.cli.node_orders import ledger_of
from casgan_dicom.cli.option import option
from casgan_dicom.cli.output import json_option, say, show_json, tell
from casgan_dicom.errors import ConfigError

if TYPE_CHECKING:
    from casgan_dicom.node.proof.deviation import Deviation
    from casgan_dicom.node.proof.proof import Proof, Scope
    from casgan_dicom.node.settings import NodeSettings

EXIT_CODES = """\b
Exit codes:
  0  everything is as the ledger says
  1  nothing is lost as far as could be told; something could not, or is there and nobody knows why
  2  something is missing or damaged (or wrong usage)
  5  configuration or ledger
"""


@click.command(epilog=EXIT_CODES)
@option(
    "--destination", multiple=True, help="Only what was delivered to this one; may be given several times."
)
@option("--archive", help="Ask this one of [[archives]] what was delivered, instead of the destinations.")
@option("--local", is_flag=True, help="Ask nobody: only the disk.")
@option("--hash/--no-hash", default=True, help="Read every file and compare its SHA-256.")
@option(
    "--since",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
    help="Only what came in, changed or was stored since then, by the clock of this machine.",
)
@option(
    "--limit", type=click.IntRange(0), default=1000, help="Name at most so many deviations; all are counted."
)
@json_option("NODE_AUDIT", "what was found")
@click.pass_context
def audit(  # noqa: PLR0913  # a parameter for each option
    ctx: click.Context,
    *,
    destination: tuple[str, ...],
    archive: str | None,
    local: bool,
    hash: bool,
    since: datetime | None,
    limit: int,
    as_json: bool,
) -> None:
    """Compare the ledger with the disk and with the archives: was anything lost?

    Every instance that was acknowledged, and every object that was made, has to lie in the data folder in
    every byte, unless it was removed; nothing else may lie there. Every object that was delivered has to be
    where it went: destinations are asked by C-FIND or QIDO-RS, folders are looked at. One that cannot be
    asked is told as unknown. Nothing is changed; the node may run meanwhile.
    """
    from casgan_dicom.node.proof.proof import prove

    settings: NodeSettings = ctx.obj
    scope = _scope(settings, destination, archive, asks=not local)
    scope = replace(scope, since=since.timestamp() if since else 0.0, hashes=hash)
    named: list[Deviation] = []
    counted = 0

    def on_deviation(deviation: Deviation) -> None:
        nonlocal counted
        counted += 1
        if counted <= limit:
            named.append(deviation)
            if not as_json:
                tell(f"{deviation.kind:<14}  {deviation.where}: {deviation.what}")

    with ledger_of(settings) as ledger:
        proof = prove(settings, ledger, scope, on_deviation)
    if as_json:
        show_json(_as_json(proof) | {"named": [asdict(each) for each in named]})
    else:
        _show(proof)
        if counted > limit:
            say(f"casgan-dicom: {counted - limit} more are not named, see --limit")
    ctx.exit(2 if proof.is_lost else 1 if proof.is_open else 0)


def _scope(
    settings: NodeSettings, destinations: tuple[str, ...], archive: str | None, *, asks: bool
) -> Scope:
    """Who is asked for which deliveries. Raises ConfigError for a name that nobody has."""
    from casgan_dicom.node.proof.proof import Scope

    known = {each.name: each for each in settings.destinations}
    archives = {each.name: each for each in settings.archives}
    for name in destinations:
        _check(name, known, "destination")
    if archive:
        _check(archive, archives, "archive")
    if not asks:
        return Scope()
    chosen = destinations or tuple(known)
    asked = tuple(archives[archive] if archive else known[name] for name in chosen)
    return Scope(ask=asked, delivered=chosen)


def _check(name: str, names: Collection[str], what: str) -> None:
    if name not in names:
        there = ", ".join(names) or "there are none"
        raise ConfigError(f"no {what} is called '{name}'", hint=f"in the configuration: {there}")


def _show(proof: Proof) -> None:
    for room in ("spool", "outbox", "quarantine"):
        tell(f"{room:<14}  {proof.files[room]} files should be there")
    for each in proof.archives:
        of = "" if each.archive == each.destination else f" of what went to {each.destination}"
        tell(f"{each.archive:<14}  {each.found} of {each.delivered} objects found{of}")
        if each.unasked:
            tell(f"{each.archive:<14}  {each.unasked} objects cannot be asked for: their study is unknown")
        if each.unknown:
            tell(f"{each.archive:<14}  unknown: {each.unknown}")
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(proof.deviations.items()))
    tell(f"deviations      {counts or 'none'}")


def _as_json(proof: Proof) -> dict[str, object]:
    return {
        "files": dict(proof.files),
        "archives": [asdict(each) for each in proof.archives],
        "deviations": dict(proof.deviations),
        "lost": proof.is_lost,
    }
