"""``casgan-dicom send``: DICOM files to an archive, as they are."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from casgan_dicom.cli.option import PATH
from casgan_dicom.cli.output import json_option, say, show_error, show_json, tell
from casgan_dicom.cli.peer import peer_arguments
from casgan_dicom.errors import CasganError, SeriesError

if TYPE_CHECKING:
    from casgan_dicom.node.client.peer import Peer
    from casgan_dicom.node.client.results import Outcome, StoreResult

EXIT_CODES = """\b
Exit codes:
  0  all stored, with a warning or without
  2  wrong usage
  3  a file cannot be read (then nothing is sent), or the peer refused one for good
  5  a certificate or key is no good
  6  the peer refused for now, aborted or stayed silent: try again later
"""

_WORDS: dict[Outcome, str] = {
    "stored": "stored",
    "warning": "stored, with a warning",
    "refused-now": "refused for now",
    "refused": "refused",
    "no-answer": "no answer",
}


@click.command("send", epilog=EXIT_CODES)
@click.argument("files", nargs=-1, required=True, type=PATH)
@peer_arguments
@json_option("SEND", "the answers")
@click.pass_context
def send(
    ctx: click.Context,
    *,
    files: tuple[Path, ...],
    peer: Peer,
    as_json: bool,
) -> None:
    """Send DICOM files to the DICOM node at HOST and PORT (C-STORE).

    FILES may be folders: then all DICOM files in them and below, whatever their names. They are sent in one
    association, each in its own transfer syntax, unchanged. One line is printed for each.
    """
    from casgan_dicom.node.client.scu import store

    results: list[StoreResult] = []
    failure: CasganError | None = None

    def on_result(result: StoreResult) -> None:
        results.append(result)
        if not as_json:
            reason = f": {result.reason}" if result.reason else ""
            tell(f"{result.path}: {_WORDS[result.outcome]}{reason}")

    paths = _expand(files)
    try:
        store(peer, paths, on_result)
    except CasganError as error:
        failure = error
    answered = {result.path for result in results}
    not_sent = [path for path in paths if path not in answered]
    if as_json:
        show_json(_as_json(peer, results, not_sent, failure))
    _tell(peer, results, not_sent, failure)
    ctx.exit(_exit_code(results, failure))


def _expand(files: Sequence[Path]) -> list[Path]:
    """Files as they are, folders as the DICOM files in them; each once."""
    paths: dict[Path, None] = {}
    passed_over = 0
    for given in files:
        if not given.is_dir():
            paths[given] = None
            continue
        for path in _inside(given):
            if _worth_a_try(path):
                paths[path] = None
            else:
                passed_over += 1
    if passed_over:
        say(f"casgan-dicom: files passed over that hold no DICOM instance: {passed_over}")
    if not paths:
        raise SeriesError("no file to send", hint="pass DICOM files, or a folder that holds some")
    return list(paths)


def _inside(folder: Path) -> list[Path]:
    """Every regular file in a folder and below, sorted; SeriesError where one cannot be searched."""

    def out_of_reach(error: OSError) -> None:
        raise SeriesError(
            f"{error.filename}: cannot be searched ({error.strerror})", hint="check the right to read it"
        ) from error

    names = [Path(top) / name for top, _, names in os.walk(folder, onerror=out_of_reach) for name in names]
    return sorted(path for path in names if path.is_file())


def _worth_a_try(path: Path) -> bool:
    """Whether a file of a folder is to be sent; one that cannot be read is, so that it is named."""
    from casgan_dicom.node.client.outgoing import is_instance

    try:
        return is_instance(path)
    except OSError:
        return True


def _tell(
    peer: Peer, results: Sequence[StoreResult], not_sent: Sequence[Path], failure: CasganError | None
) -> None:
    """What is to be said on stderr: what was not sent, the sum, what went wrong."""
    if results:
        for path in not_sent:
            say(f"casgan-dicom: not sent: {path}")
    stored = sum(result.is_stored for result in results)
    say(f"casgan-dicom: {stored} of {len(results) + len(not_sent)} files stored by {peer}")
    if failure is not None:
        show_error(failure)


def _exit_code(results: Sequence[StoreResult], failure: CasganError | None) -> int:
    """6 wherever another attempt may help, else 3 for what was refused for good."""
    outcomes = {result.outcome for result in results}
    if failure is not None:
        return failure.exit_code
    return 6 if "refused-now" in outcomes else 3 if "refused" in outcomes else 0


def _as_json(
    peer: Peer, results: Sequence[StoreResult], not_sent: Sequence[Path], failure: CasganError | None
) -> dict[str, object]:
    return {
        "host": peer.host,
        "port": peer.port,
        "called": peer.ae_title,
        "calling": peer.calling_ae_title,
        "files": [
            {
                "path": str(result.path),
                "sop_instance_uid": result.sop_instance_uid,
                "status": None if result.status is None else f"0x{result.status:04X}",
                "outcome": result.outcome,
                "reason": result.reason,
            }
            for result in results
        ],
        "not_sent": [str(path) for path in not_sent],
        "error": failure and failure.message,
    }
