"""``casgan-dicom node audit-trail``: the last messages of the audit trail, and whether its chain is whole."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from casgan_dicom.cli.option import PATH, option
from casgan_dicom.cli.output import json_option, say, show_json, tell
from casgan_dicom.errors import ConfigError, OutputError

if TYPE_CHECKING:
    from casgan_dicom.node.settings import NodeSettings
    from casgan_dicom.node.state.audit_chain import Link
    from casgan_dicom.node.state.audit_check import Checked
    from casgan_dicom.node.state.audit_entry import Entry

_EPILOG = """\b
Exit codes:
  0  the chain is whole, or nobody asked
  2  wrong usage
  3  with --check: the chain is broken, or there is none
  5  configuration, or a file that cannot be read
"""


def _noted(_ctx: click.Context, _param: click.Parameter, value: tuple[str, ...]) -> tuple[Link, ...]:
    """Lines that somebody has noted."""
    from casgan_dicom.node.state.audit_chain import Link

    found = []
    for each in value:
        if not (parts := re.fullmatch(r"([1-9]\d{0,17}):([0-9a-f]{64})", each)):
            raise click.BadParameter(
                f"'{each}' is no line; wanted: NUMBER:DIGEST, as --check prints the last"
            )
        found.append(Link(int(parts[1]), parts[2]))
    return tuple(found)


@click.command("audit-trail", epilog=_EPILOG)
@click.argument("files", nargs=-1, type=PATH)
@option("--check", is_flag=True, help="Say whether the chain is whole, or from where it is broken.")
@option(
    "--noted",
    multiple=True,
    callback=_noted,
    metavar="NUMBER:DIGEST",
    help="With --check: a line that the trail has to hold, as it was noted elsewhere. Repeatable.",
)
@option("--event", multiple=True, help="Only messages of this kind, as Security Alert. Repeatable.")
@option("--since", type=click.DateTime(), help="Only messages since then, in local time.")
@option("--limit", type=click.IntRange(1, 2**31 - 1), default=50, help="At most so many, the latest.")
@json_option("NODE_AUDIT_TRAIL")
@click.pass_context
def audit_trail(  # noqa: PLR0913  # as many as there are options
    ctx: click.Context,
    *,
    files: tuple[Path, ...],
    check: bool,
    noted: tuple[Link, ...],
    event: tuple[str, ...],
    since: datetime | None,
    limit: int,
    as_json: bool,
) -> None:
    """Show the audit trail, the latest messages last, or check its chain.

    The node may run or not. FILES are those of a copy of a trail, the oldest first; without any, they are
    those of the data folder. --check prints the number and digest of the last line: note it elsewhere now
    and then, and --noted tells later whether the trail still holds it.
    """
    from casgan_dicom.node.state.audit_check import check as checked_of
    from casgan_dicom.node.state.audit_check import lines_of
    from casgan_dicom.node.state.audit_entry import entry_of
    from casgan_dicom.node.state.audit_key import chain_key

    settings: NodeSettings = ctx.obj
    lines = (line for name, content in _contents(settings, files) for line in lines_of(name, content))
    if check:
        _report(ctx, checked_of(lines, chain_key(settings.audit), noted), as_json=as_json)
        return
    entries = (entry for _, line, _ in lines if (entry := entry_of(line)) is not None)
    _show(deque(filter(_filter(event, since), entries), limit), as_json=as_json)


def _filter(events: tuple[str, ...], since: datetime | None) -> Callable[[Entry], bool]:
    """Whether a message is one of those that are wanted."""
    names, start = {name.lower() for name in events}, None if since is None else since.astimezone()

    def is_wanted(entry: Entry) -> bool:
        if names and entry.event.lower() not in names:
            return False
        return start is None or datetime.fromisoformat(entry.at) >= start

    return is_wanted


def _contents(settings: NodeSettings, files: tuple[Path, ...]) -> Iterator[tuple[str, bytes]]:
    from casgan_dicom.node.state.audit_file import contents
    from casgan_dicom.node.state.layout import Layout

    path = Layout(settings.data).audit
    try:
        if files:
            yield from ((path.name, path.read_bytes()) for path in files)
        else:
            yield from contents(path)
    except OSError as error:
        place = error.filename or path
        raise ConfigError(
            f"{place}: cannot be read ({error.strerror})", hint="name the files of it"
        ) from error


def _report(ctx: click.Context, found: Checked, *, as_json: bool) -> None:
    if as_json:
        show_json(asdict(found) | {"whole": _is_whole(found)})
    else:
        _tell_report(found)
    ctx.exit(0 if _is_whole(found) else OutputError.exit_code)


def _is_whole(found: Checked) -> bool:
    return bool(found.lines) and not found.breaks


def _tell_report(found: Checked) -> None:
    for each in found.breaks:
        tell(f"{each.place.file}:{each.place.line}: {each.reason}")
    for place in found.torn:
        say(
            f"casgan-dicom: {place.file}:{place.line}: before it, a writer was killed in the middle of a line"
        )
    if found.unfinished:
        say("casgan-dicom: the last writer was killed in the middle of its line; who writes next ends it")
    if found.unchained:
        say(f"casgan-dicom: {found.unchained} lines before the chain began, by an older version")
    if not found.lines:
        tell("no line of a chain")
        return
    keyed = f", {found.keyed} of them with the key" if found.keyed else ""
    state = "broken" if found.breaks else "whole"
    tell(f"{state}: {found.lines} lines, {found.first} to {found.head.seq}{keyed}")
    tell(f"last line: {found.head}")


def _show(entries: Collection[Entry], *, as_json: bool) -> None:
    if as_json:
        show_json([asdict(entry) for entry in entries])
        return
    for entry in entries:
        number = f"{entry.seq}" if entry.seq else "-"
        words = "  ".join(filter(None, (entry.event, entry.kind, entry.outcome, *entry.who, *entry.what)))
        tell(f"{number:>6}  {entry.at}  {words}")
    if not entries:
        say("casgan-dicom: no such message in the audit trail")
