"""``casgan-dicom node certificates``: a set of certificates to try TLS with."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from casgan_dicom.cli.option import PATH, option
from casgan_dicom.cli.output import json_option, say, show_json, tell


@click.command()
@click.argument("folder", type=PATH)
@option("--name", multiple=True, default=("localhost", "127.0.0.1"), help="DNS name or address of the node.")
@option("--peer", default="peer", help="Common name and DNS name of the peer, such as peer.example.")
@json_option("NODE_CERTIFICATES", "the files")
def certificates(*, folder: Path, name: tuple[str, ...], peer: str, as_json: bool) -> None:
    """Make certificates for tests in FOLDER: an authority, a pair for the node, and one for a peer.

    They are good for a year, and say that they are for tests: the key of the authority lies beside them, and
    whoever has it can be anybody. For patients' images, take certificates of your own authority. Nothing that
    is there is overwritten.
    """
    from casgan_dicom.node.trial_certificates import Holder, write_trial_certificates

    holders = Holder(name[0], name), Holder(peer, (peer, "localhost", "127.0.0.1"))
    paths = write_trial_certificates(folder, *holders, datetime.now(UTC))
    if as_json:
        show_json({name: str(path) for name, path in paths.items()})
    else:
        for path in paths.values():
            tell(str(path))
    say("casgan-dicom: these certificates are for tests only, not for patient data")
