"""``casgan-dicom node reload``: have a node that runs read its settings again."""

from __future__ import annotations

import os
import signal
from time import monotonic, sleep

import click

from casgan_dicom.cli.output import json_option, show_json, tell
from casgan_dicom.errors import ConfigError
from casgan_dicom.node.settings import NodeSettings

ANSWER_SECONDS = 120.0
"""How long a node may take: two of its processes begin anew."""
_LOOK_SECONDS = 0.05


@click.command(epilog="\b\nExit codes:\n  0  taken\n  2  wrong usage\n  5  not taken; the old ones hold\n")
@json_option("NODE_RELOAD")
@click.pass_obj
def reload(settings: NodeSettings, *, as_json: bool) -> None:
    """Have the node take its configuration again, without a restart.

    Rules, peers, completion, retry, retention, review and destinations are taken, all together or nothing.
    What else has changed needs a restart, and is named. Associations, conversions and deliveries go on. The
    node reads its own file, with the environment that it was started with. SIGHUP does the same.
    """
    from casgan_dicom.node.state.layout import Layout
    from casgan_dicom.node.state.supervisor import last_answer, supervisor_of

    layout = Layout(settings.data)
    process, before = supervisor_of(layout), last_answer(layout).number
    if process is None:
        raise ConfigError(
            f"{settings.data}: no node runs on this data folder",
            hint="pass the --config of the node, before the sub-command; another `data` needs a restart",
        )
    try:
        os.kill(process, signal.SIGHUP)
    except OSError as error:
        raise ConfigError(f"process {process} of the node cannot be told ({error.strerror})") from error
    until = monotonic() + ANSWER_SECONDS
    while (answer := last_answer(layout)).number == before:
        if supervisor_of(layout) is None or monotonic() > until:
            raise ConfigError("the node gave no answer", hint="its log says what it did")
        sleep(_LOOK_SECONDS)
    if answer.reason:
        raise ConfigError(answer.reason, hint="the node goes on with the settings that it had")
    if as_json:
        show_json({"taken": True})
    else:
        tell("the node has taken its settings")
