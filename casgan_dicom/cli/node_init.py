"""``casgan-dicom node init``: a commented configuration, of the answers to a few questions."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from casgan_dicom.cli.option import PATH, option
from casgan_dicom.cli.output import say, tell

if TYPE_CHECKING:
    from casgan_dicom.node.beginning import Answers

_TLS_PORT = 2762
"""Of DICOM over TLS, as PS3.8 9.1.1 has it registered."""
_PAGE_PORT = 8043
"""Of the page: no service that DICOM, Orthanc or a web server is known for."""


@click.command()
@click.argument("file", type=PATH, default="node.toml")
@option("--data", type=PATH, help="Folder of the node, on a local disk.")
@option("--ae-title", help="Our AE title; CASGAN without.")
@option("--port", type=int, help="TCP port to listen on; without, 11112, or 2762 with TLS.")
@option("--host", help="Address to listen on; without, all of them if a sender has an address.")
@option("--sender", multiple=True, help="Who may send, as CATHLAB1@10.1.2.3 or CATHLAB1@10.1.2.0/24.")
@option("--to", multiple=True, help="Where to: PACS@10.1.2.4:104, the URL of a STOW-RS service, or a folder.")
@option("--keep-days", type=click.FloatRange(0, 365), help="Days to keep what was delivered; 0 for ever.")
@option("--page-port", type=int, default=_PAGE_PORT, help="Port of the page, for this machine; 0 for none.")
@option("--tls", type=PATH, help="Folder with node.pem, node.key and ca.pem: the listener talks TLS.")
@option("--force", is_flag=True, help="Overwrite FILE.")
def init(  # noqa: PLR0913  # a parameter for each option
    *,
    file: Path,
    data: Path | None,
    ae_title: str | None,
    port: int | None,
    host: str | None,
    sender: tuple[str, ...],
    to: tuple[str, ...],
    keep_days: float | None,
    page_port: int,
    tls: Path | None,
    force: bool,
) -> None:
    """Write a configuration to FILE, with what each key means above it.

    On a terminal, what no option says is asked for. Without a terminal it has its default. The file is
    checked before it is written, and read by its user and group only.
    """
    from casgan_dicom.node.beginning import Answers, configuration, write_configuration
    from casgan_dicom.node.settings import NodeSettings

    answers = Answers(
        data=data or NodeSettings().data,
        ae_title=ae_title or Answers.ae_title,
        port=port if port is not None else _TLS_PORT if tls else Answers.port,
        host=host or "",
        senders=sender,
        destinations=to,
        keep_days=keep_days or 0.0,
        page_port=page_port,
        tls=tls,
    )
    if sys.stdin.isatty():
        given = {"data": data, "ae_title": ae_title, "port": port, "sender": sender, "to": to, "tls": tls}
        missing = {name for name, value in given.items() if value is None or value == ()}
        answers = _asked(answers, missing | (set() if keep_days is not None else {"keep_days"}))
    write_configuration(file, configuration(answers), force=force)
    _show_next(file, answers)


def _asked(answers: Answers, missing: set[str]) -> Answers:
    """The answers, with those of the person at the terminal."""
    if "data" in missing:
        answers = replace(answers, data=Path(click.prompt("Data folder", str(answers.data), err=True)))
    if "ae_title" in missing:
        answers = replace(answers, ae_title=click.prompt("Our AE title", answers.ae_title, err=True))
    if "tls" in missing and click.confirm("Shall the listener talk TLS?", default=False, err=True):
        folder = click.prompt("Folder with node.pem, node.key and ca.pem", "tls", err=True)
        answers = replace(answers, tls=Path(folder), port=_TLS_PORT)
    if "port" in missing:
        answers = replace(answers, port=click.prompt("Port", answers.port, type=int, err=True))
    if "sender" in missing:
        said = _list("Who may send, as CATHLAB1@10.1.2.3; empty: only this machine")
        answers = replace(answers, senders=said)
    if "to" in missing:
        said = _list("Where to, as PACS@10.1.2.4:104, https://… or a folder; empty: the outbox only")
        answers = replace(answers, destinations=said)
    if "keep_days" in missing:
        days = click.prompt("Days to keep what was delivered; 0 for ever", 0.0, type=float, err=True)
        answers = replace(answers, keep_days=days)
    return answers


def _list(question: str) -> tuple[str, ...]:
    """Several answers to one question, up to an empty one."""
    found: list[str] = []
    while text := click.prompt(question, default="", show_default=False, err=True).strip():
        found.append(text)
    return tuple(found)


def _show_next(file: Path, answers: Answers) -> None:
    tell(str(file))
    say("next:")
    steps: Sequence[str] = (
        f"casgan-dicom node certificates {answers.tls}   # for a trial; for patients, your own",
        f"casgan-dicom doctor --config {file}",
        f"casgan-dicom node --config {file}",
    )
    for step in steps if answers.tls else steps[1:]:
        say(f"  {step}")
