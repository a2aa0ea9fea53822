"""``casgan-dicom view``: source and derived cine of files, side by side in a browser."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from threading import Thread

import click

from casgan_dicom.cli.option import PATH, option
from casgan_dicom.cli.output import say, tell


@click.command(
    "view",
    epilog="\b\nExit codes:\n  0  ended with Ctrl-C\n  2  wrong usage\n  3  nothing to show\n"
    "  5  the port cannot be had\n",
)
@click.argument("files", nargs=-1, required=True, type=PATH)
@option("--port", type=click.IntRange(0, 65535), default=0, help="Port on 127.0.0.1; 0 for a free one.")
@option("--no-browser", is_flag=True, help="Print the address only.")
def view(*, files: tuple[Path, ...], port: int, no_browser: bool) -> None:
    """Play the cines in FILES (files or folders) in a browser: the source beside what was made of it.

    Which derived cine belongs to which source is told by the references in it; one without the other is
    played alone. The page is served on this machine only, until Ctrl-C. Nothing is written but a temporary
    file with decoded frames.
    """
    from casgan_dicom.player.open_exhibits import OpenExhibits
    from casgan_dicom.player.shelf import Exhibit
    from casgan_dicom.player.viewing import address_of, listening_socket, new_secret, serve, view_app

    exhibits, exhibit = OpenExhibits(), Exhibit(files, ())
    count = len(exhibits.scene(exhibit).runs)
    secret = new_secret()
    with listening_socket(port) as listening:
        address = address_of(listening, secret)
        say(f"casgan-dicom: {count} runs; AI SYNTHETIC - NOT FOR DIAGNOSIS; Ctrl-C ends")
        tell(address)
        if not no_browser:  # in a thread: a browser of the terminal comes back when it is closed
            Thread(target=webbrowser.open, args=[address], daemon=True).start()
        serve(view_app(exhibit, secret, exhibits), listening)
    exhibits.close()
