"""``casgan-dicom node test-rules``: which rule decides about series, why, and what would become of them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from casgan_dicom.cli.option import PATH, option
from casgan_dicom.cli.output import json_option, say, show_json, tell
from casgan_dicom.node.settings import NodeSettings

if TYPE_CHECKING:
    from casgan_dicom.node.work.trial import Trial


@click.command("test-rules")
@click.argument("files", nargs=-1, required=True, type=PATH)
@option("--calling-ae", metavar="TITLE", help="Calling AE title of the sender; unknown unless it is said.")
@option("--called-ae", metavar="TITLE", help="Called AE title.  [default: that of the listener]")
@option("--address", metavar="IP", help="Address of the sender; unknown unless it is said.")
@option("--headers-only", is_flag=True, help="Look at no pixels; says where a rule needs them.")
@json_option("NODE_TEST_RULES")
@click.pass_obj
def test_rules(  # noqa: PLR0913  # one parameter per option is how click calls
    settings: NodeSettings,
    *,
    files: tuple[Path, ...],
    calling_ae: str | None,
    called_ae: str | None,
    address: str | None,
    headers_only: bool,
    as_json: bool,
) -> None:
    """Say which rule would decide about each series in FILES (files or folders), and what would become of it.

    The node that runs decides by the same function. Nothing is converted, sent or written down, and no node
    needs to run. The output holds no patient data and no file names.
    """
    from casgan_dicom.node.work.facts import Source
    from casgan_dicom.node.work.recipe import recipe_of_node
    from casgan_dicom.node.work.trial import try_rules

    recipe_of_node(settings)  # is every bundle there?
    source = Source(calling_ae, called_ae or settings.listener.ae_title, address)
    with tempfile.TemporaryDirectory() as folder:
        tried = try_rules(settings, files, source, None if headers_only else Path(folder))
    if as_json:
        show_json([trial.as_json() for trial in tried.trials])
    else:
        for trial in tried.trials:
            tell(f"series {trial.series_uid}")
            for name, text in _lines(trial):
                tell(f"  {name:<12}{text}")
    for reason, count in tried.passed_over.items():
        say(f"casgan-dicom: passed over: {count} files: {reason}")


def _lines(trial: Trial) -> Iterator[tuple[str, str]]:
    """What there is to say about one series, a line each."""
    facts: dict[str, Any] = trial.as_json()
    yield "rule", f"{facts['rule'] or 'none'}{' (would need the pixels)' if facts['open'] else ''}"
    yield from (("because", text) for text in facts["because"])
    yield from (("if", f"{text}; else the rules behind it are asked") for text in facts["open"])
    yield from (("passed over", text) for text in facts["passed_over"])
    if not facts["convert"]:
        yield "becomes", "kept, not converted"
        return
    mode = "" if facts["mode"] == "invent" else f", {facts['mode']}"
    yield "becomes", f"{_words(facts['form'])}; by {facts['bundle']}{mode}"
    yield "priority", facts["priority"] or "by sender and number of frames"
    yield "goes to", ", ".join(["outbox", *facts["destinations"]])
    yield from (("note", text) for text in facts["notes"])


def _words(form: str) -> str:
    """A form such as ``mf-gray8 rle seg`` for people."""
    first, _, more = form.partition(" ")
    frames, _, bits = first.partition("-gray")
    objects = "one object for each run" if frames == "mf" else "one object for each frame"
    return ", ".join(filter(None, (objects, f"{bits} bits", more)))
