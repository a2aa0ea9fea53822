"""Gets files from the hosts that have them, and believes nothing but their digests.

A file comes into a temporary file, piece by piece; what a broken connection left of it is kept, and the rest
asked for. When it is whole it is compared with the digest that the ledger has, flushed and renamed. So a file
in its place is the one that was wanted, in every byte, whoever sent it.
"""

from __future__ import annotations

import fcntl
import os
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import BinaryIO

import httpx

from casgan_dicom.disk import file_sha256, sync_file, sync_folder
from casgan_dicom.log import get_logger
from casgan_dicom.node.settings import NodeSettings
from casgan_dicom.node.share.absence import AwayError, GoneError, Patience
from casgan_dicom.node.share.digests import instance_sha256
from casgan_dicom.node.share.signature import Secret
from casgan_dicom.node.state.holdings import HeldFile
from casgan_dicom.node.state.hosts import Hosts, Seen

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 30.0
"""For an answer, and for any pause in it."""
_NOT_THERE = 404

_PATIENT = Patience()

log = get_logger("share")


@dataclass(frozen=True)
class _Part:
    """A file that is not whole yet."""

    path: Path
    file: BinaryIO


class Fetcher:
    """Gets files from other hosts; threads may share it.

    Parameters
    ----------
    settings
        Of the node.
    hosts
        Who there is.
    clock
        The time that all hosts share.
    patience
        How long to try.

    Raises
    ------
    ConfigError
        The secret is no good.
    """

    def __init__(
        self,
        settings: NodeSettings,
        hosts: Hosts,
        clock: Callable[[], float],
        patience: Patience = _PATIENT,
    ) -> None:
        self._own, self._hosts, self._clock, self._patience = settings.host, hosts, clock, patience
        self._secret = Secret(Path(self._own.secret_file)) if self._own.secret_file else None

    def is_here(self, held: HeldFile) -> bool:
        """Whether this host has a file itself, or reads it from a folder that all of them share."""
        return held.host == self._own.name or (self._own.shared and held.path.is_file())

    def get(self, held: HeldFile, folder: Path) -> Path:
        """Get a file into a folder, unless it lies there; where it is then.

        Raises AwayError, GoneError, and OSError where it cannot be written.
        """
        path = folder / f"{held.sop_uid}-{held.sha256[:16]}.dcm"
        while not path.is_file():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _alone(path.with_name(f".{path.name}.part")) as part:
                if part is not None and not path.is_file():
                    self._fill_wholly(held, part)
                    part.path.rename(path)
                    sync_folder(folder)
        return path

    def is_whole(self, held: HeldFile) -> bool:
        """Whether the host that should have an instance has it in every byte; False where that is unknown."""
        try:
            with self._asked(held, f"{_path(held)}/whole", 0) as response:
                return response.status_code == httpx.codes.NO_CONTENT
        except (AwayError, GoneError, httpx.HTTPError):
            return False

    def _fill_wholly(self, held: HeldFile, part: _Part) -> None:
        """Let a temporary file become the one that is wanted. Raises AwayError, GoneError, OSError."""
        for _ in range(2):  # what was there before may have been of another file
            self._fill(held, part)
            if _digest(held, part.path) == held.sha256:
                return
            part.file.truncate(0)
        part.path.unlink()
        raise GoneError(f"{held} of host {held.host} is damaged: its digest is another")

    def _fill(self, held: HeldFile, part: _Part) -> None:
        """Get all of a file. Raises AwayError, GoneError, OSError."""
        deadline, wait = monotonic() + self._patience.trying, self._patience.first_wait
        while True:
            before = part.file.seek(0, os.SEEK_END)
            try:
                return self._take(held, part, before)
            except (AwayError, httpx.HTTPError) as error:
                reason = error.message if isinstance(error, AwayError) else type(error).__name__
            if part.file.seek(0, os.SEEK_END) > before:
                deadline, wait = monotonic() + self._patience.trying, self._patience.first_wait
            if monotonic() + wait > deadline:
                raise AwayError(f"{held}: host {held.host} does not give it now ({reason})")
            sleep(wait)
            wait *= 2

    def _take(self, held: HeldFile, part: _Part, begin: int) -> None:
        """Ask once for the rest of a file. Raises AwayError, GoneError, httpx.HTTPError, OSError."""
        with self._asked(held, _path(held), begin) as response:
            if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE or (
                begin and response.status_code == httpx.codes.OK
            ):
                part.file.truncate(0)  # what is there is of another file
                raise AwayError(f"{held}: host {held.host} begins anew")
            for piece in response.iter_raw():
                part.file.write(piece)
            sync_file(part.file)

    def _asked(self, held: HeldFile, path: str, begin: int) -> _Answered:
        seen = self._seen(held)
        if self._secret is None or not seen.host.address:
            raise AwayError(f"{held}: host {held.host} shares no files")
        headers = {
            "Authorization": self._secret.sign(path, begin, self._clock()),
            "Range": f"bytes={begin}-",
            "Accept-Encoding": "identity",
        }
        return _Answered(held, f"{seen.host.address}{path}", headers, self._own.tls_authorities)

    def _seen(self, held: HeldFile) -> Seen:
        """The host that has a file. Raises GoneError if there is none."""
        for each in self._hosts.all():
            if each.host.name == held.host:
                return each
        raise GoneError(f"{held} was on host '{held.host}', which is none of ours any more")


class _Answered:
    """An answer, for the time of a block."""

    def __init__(self, held: HeldFile, url: str, headers: dict[str, str], authorities: str) -> None:
        self._held = held
        verify = ssl.create_default_context(cafile=authorities or None) if url.startswith("https") else False
        timeout = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
        self._client = httpx.Client(verify=verify, trust_env=False, timeout=timeout)
        self._request = self._client.build_request("GET", url, headers=headers)

    def __enter__(self) -> httpx.Response:
        try:
            response = self._client.send(self._request, stream=True)
            if response.status_code == _NOT_THERE:
                raise GoneError(f"{self._held}: host {self._held.host} does not have it any more")
            if response.status_code not in (*_TAKEN, httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE):
                raise AwayError(f"{self._held}: host {self._held.host} answers {response.status_code}")
        except BaseException:
            self._client.close()
            raise
        return response

    def __exit__(self, *_: object) -> None:
        self._client.close()


@contextmanager
def _alone(part: Path) -> Iterator[_Part | None]:
    """A temporary file that is ours alone; None if another has just finished, or given up, with it."""
    handle = os.open(part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "r+b") as opened:
        fcntl.flock(handle, fcntl.LOCK_EX)
        same = part.exists() and os.path.samestat(part.stat(), os.fstat(handle))
        yield _Part(part, opened) if same else None


_TAKEN: Sequence[int] = (httpx.codes.OK, httpx.codes.NO_CONTENT, httpx.codes.PARTIAL_CONTENT)


def _path(held: HeldFile) -> str:
    """Where a host gives a file, see ``service.py``."""
    if held.kind == "instance":
        return f"/instances/{held.sop_uid}/{held.sha256}"
    return f"/objects/{held.job}/{held.sop_uid}"


def _digest(held: HeldFile, path: Path) -> str:
    return instance_sha256(path, held.sop_uid) if held.kind == "instance" else file_sha256(path)
