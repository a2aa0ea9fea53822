"""``casgan-dicom echo``: is a DICOM node there, and does it talk to us?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from casgan_dicom.cli.output import json_option, show_error, show_json, tell
from casgan_dicom.cli.peer import peer_arguments
from casgan_dicom.errors import PeerError

if TYPE_CHECKING:
    from casgan_dicom.node.client.peer import Peer

EXIT_CODES = """\b
Exit codes:
  0  it answered
  2  wrong usage
  5  a certificate or key is no good
  6  it did not, or refused
"""


@click.command("echo", epilog=EXIT_CODES)
@peer_arguments
@json_option("ECHO", "the answer")
@click.pass_context
def echo(ctx: click.Context, *, peer: Peer, as_json: bool) -> None:
    """Ask the DICOM node at HOST and PORT whether it is there (C-ECHO).

    If it is not, the message names what is wrong: the host, the port, its AE title or ours, its
    certificate or ours.
    """
    from casgan_dicom.node.client.scu import echo as ask

    seconds: float | None = None
    failure: PeerError | None = None
    try:
        seconds = ask(peer)
    except PeerError as error:
        failure = error
    if as_json:
        show_json(
            {
                "host": peer.host,
                "port": peer.port,
                "called": peer.ae_title,
                "calling": peer.calling_ae_title,
                "seconds": seconds,
                "error": failure and failure.message,
            }
        )
    elif seconds is not None:
        tell(f"{peer}: answered in {seconds * 1e3:.0f} ms")
    if failure is not None:
        show_error(failure)
        ctx.exit(failure.exit_code)
