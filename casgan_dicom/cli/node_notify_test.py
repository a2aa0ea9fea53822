"""``casgan-dicom node notify-test``: send a test message to those who are told when something is wrong."""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING

import click

from casgan_dicom.cli.output import json_option, say, show_error, show_json, tell
from casgan_dicom.errors import ConfigError, PeerError

if TYPE_CHECKING:
    from casgan_dicom.node.settings import NodeSettings

_EPILOG = """\b
Exit codes:
  0  every server has taken it
  2  wrong usage
  5  configuration: nobody is told, or nobody of that name
  6  a server has not taken it, and why
"""


@click.command("notify-test", epilog=_EPILOG)
@click.argument("name", nargs=-1)
@json_option("NODE_NOTIFY_TEST")
@click.pass_context
def notify_test(ctx: click.Context, *, name: tuple[str, ...], as_json: bool) -> None:
    """Send a test message to NAMEs of `[[notifications]]`, or to all of them, and say what came back.

    The node may run or not; what it remembers to have told stays as it is.
    """
    from casgan_dicom.node.work.notice import Notice
    from casgan_dicom.node.work.notifier import host_name, send_notice

    settings: NodeSettings = ctx.obj
    targets = {each.name: each for each in settings.notifications}
    if unknown := [each for each in name if each not in targets]:
        raise ConfigError(
            f"no notification is called {', '.join(unknown)}; there are {', '.join(targets) or 'none'}",
            hint="[[notifications]] of the configuration names them",
        )
    if not targets:
        raise ConfigError("nobody is told: there are no [[notifications]]", hint="deploy/node.toml shows one")
    results = []
    for target in [targets[each] for each in name or targets]:
        try:
            came = send_notice(target, Notice(settings.listener.ae_title, host_name(), time(), ()))
        except PeerError as error:
            results.append({"name": target.name, "taken": False, "answer": error.message})
            show_error(error)
        else:
            results.append({"name": target.name, "taken": True, "answer": came})
            if not as_json:
                tell(f"{target.name}  {came}")
    if as_json:
        show_json(results)
    if failed := [each for each in results if not each["taken"]]:
        say(f"casgan-dicom: {len(failed)} of {len(results)} have not taken the message")
        ctx.exit(PeerError.exit_code)
