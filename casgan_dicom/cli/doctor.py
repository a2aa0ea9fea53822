"""``casgan-dicom doctor``: is everything there that a node needs, and what has to be changed?"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from casgan_dicom.cli.option import option
from casgan_dicom.cli.output import json_option, show_json, tell

if TYPE_CHECKING:
    from casgan_dicom.node.doctor.finding import Finding

EXIT_CODES = """\b
Exit codes:
  0  all is well, or wrong in no way that can be seen
  1  warnings: a node would run, and somebody should look
  2  failures: a node would not run, or not do its work (or wrong usage)
"""


@click.command("doctor", epilog=EXIT_CODES)
@option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar=["CASGAN_DOCTOR_CONFIG", "CASGAN_NODE_CONFIG"],
    help="TOML file of the node; without it, the defaults and the environment.",
)
@option(
    "--seconds",
    type=click.FloatRange(0.1, 600),
    default=5.0,
    help="Longest wait for one answer of another machine.",
)
@option("--engine/--no-engine", default=True, help="Measure how fast the bundle draws, which takes longest.")
@json_option("DOCTOR", "what was found")
@click.pass_context
def doctor(ctx: click.Context, *, config: Path | None, seconds: float, engine: bool, as_json: bool) -> None:
    """Look at everything that a node needs, and say what to change.

    A line each: the configuration, ports, certificates, clock, bundle, disk, engine and memory, then every
    destination, archive, folder and peer that can be asked. Nothing is stored anywhere, and nothing stays on
    the disk. Run it as the user of the node, before the node or beside it.
    """
    from casgan_dicom.node.doctor.finding import worst

    found = []
    for each in _findings(config, seconds, engine=engine):
        found.append(each)
        if not as_json:
            tell(str(each))
    verdict = worst(found)
    if as_json:
        show_json({"verdict": verdict.name, "findings": [_as_json(each) for each in found]})
    ctx.exit(verdict)


def _findings(config: Path | None, seconds: float, *, engine: bool) -> Iterator[Finding]:
    """What is found, as it is found; what is wrong with the configuration comes first, and alone."""
    from casgan_dicom.node.checks import examined
    from casgan_dicom.node.doctor.finding import fail, ok
    from casgan_dicom.node.doctor.plan import look

    settings, wrong = examined(config, dict(os.environ))
    for line in wrong:
        yield fail("configuration", line, "deploy/node.toml shows every key with its meaning and its default")
    if not wrong:
        yield ok("configuration", f"{config or 'the defaults'}: nothing wrong")
        yield from look(replace(settings, data=settings.data.absolute()), seconds=seconds, engine=engine)


def _as_json(finding: Finding) -> dict[str, str]:
    return asdict(finding) | {"verdict": finding.verdict.name}
