"""``casgan-dicom echo``: is a DICOM node there, and does it talk to us?"""

from __future__ import annotations

import click

from casgan_dicom.cli.output import json_option, show_error, show_json, tell
from casgan_dicom.cli.peer import peer_arguments, peer_of
from casgan_dicom.errors import PeerError

EXIT_CODES = """\b
Exit codes:
  0  it answered
  2  wrong usage
  6  it did not, or refused
"""


@click.command("echo", epilog=EXIT_CODES)
@peer_arguments
@json_option("ECHO", "the answer")
@click.pass_context
def echo(ctx: click.Context, *, host: str, port: int, called: str, calling: str, as_json: bool) -> None:
    """Ask the DICOM node at HOST and PORT whether it is there (C-ECHO).

    If it is not, the message names what is wrong: the host, the port, its AE title or ours.
    """
    from casgan_dicom.node.client.scu import echo as ask

    peer = peer_of(host, port, called, calling)
    seconds: float | None = None
    failure: PeerError | None = None
    try:
        seconds = ask(peer)
    except PeerError as error:
        failure = error
    if as_json:
        show_json(
            {
                "host": host,
                "port": port,
                "called": called,
                "calling": calling,
                "seconds": seconds,
                "error": failure and failure.message,
            }
        )
    elif seconds is not None:
        tell(f"{peer}: answered in {seconds * 1e3:.0f} ms")
    if failure is not None:
        show_error(failure)
        ctx.exit(failure.exit_code)
