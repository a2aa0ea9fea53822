"""``casgan-dicom node certificates``: a set of certificates to try TLS with."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import click

from casgan_dicom.cli.option import PATH, option
from casgan_dicom.cli.output import json_option, say, show_json, tell

_TAKEN = ("ca", "node")
"""Names of the files of others."""


def _peers(_ctx: click.Context, _param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """Names that files can have."""
    for each in value:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.:_-]{0,63}", each) or each in _TAKEN:
            rule = "letters, digits, dot, dash and underscore, 64 at most, and neither ca nor node"
            raise click.BadParameter(f"'{each}' can name no files; wanted: {rule}")
    return tuple(dict.fromkeys(value))


@click.command()
@click.argument("folder", type=PATH)
@option("--name", multiple=True, default=("localhost", "127.0.0.1"), help="DNS name or address of the node.")
@option(
    "--peer",
    multiple=True,
    default=("peer",),
    callback=_peers,
    help="Common name and DNS name of a peer, such as ct1.example; its files are called so.",
)
@json_option("NODE_CERTIFICATES", "the files")
def certificates(*, folder: Path, name: tuple[str, ...], peer: tuple[str, ...], as_json: bool) -> None:
    """Make certificates for tests in FOLDER: an authority, a pair for the node and for each peer.

    They are good for a year, and say that they are for tests: the key of the authority lies beside them, and
    whoever has it can be anybody. For patients' images, take certificates of your own authority. Nothing that
    is there is overwritten.
    """
    from casgan_dicom.node.trial_certificates import Holder, write_trial_certificates

    peers = [Holder(each, (each, "localhost", "127.0.0.1")) for each in peer]
    paths = write_trial_certificates(folder, Holder(name[0], name), peers, datetime.now(UTC))
    if as_json:
        show_json({name: str(path) for name, path in paths.items()})
    else:
        for path in paths.values():
            tell(str(path))
    say("casgan-dicom: these certificates are for tests only, not for patient data")
