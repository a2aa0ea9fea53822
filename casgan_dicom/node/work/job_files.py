"""The files that a job converts, wherever they are: here, on a file system of all, or fetched for a while."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from casgan_dicom.log import get_logger
from casgan_dicom.node.settings import NodeSettings
from casgan_dicom.node.share.absence import GoneError, Patience
from casgan_dicom.node.share.elsewhere import fetcher_of
from casgan_dicom.node.state.holdings import HeldFile
from casgan_dicom.node.state.job_inputs import Corrected, Inputs
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger

if TYPE_CHECKING:
    from casgan_dicom.node.share.fetching import Fetcher

_PATIENT = Patience()

log = get_logger("worker")


@dataclass(frozen=True)
class Fetched:
    """What a job converts, with files that can be read here."""

    inputs: Inputs
    """The same, by other paths where files were fetched."""
    faults: tuple[str, ...] = ()
    """Which files cannot be had at all, and why; they have the paths that they had."""


class JobFiles:
    """The files of jobs.

    Parameters
    ----------
    fetcher
        Gets those of other hosts.
    folder
        Where these lie, in a folder for each job.
    """

    def __init__(self, fetcher: Fetcher, folder: Path) -> None:
        self._fetcher = fetcher
        self._folder = folder

    def fetched(self, job: str, inputs: Inputs) -> Fetched:
        """Fetch what a job needs and another host has. Raises AwayError, OSError."""
        places, faults = self._places(job, inputs.held)
        return Fetched(_moved(inputs, places), faults)

    def lenders(self, job: str, held: Sequence[HeldFile]) -> tuple[Path, ...]:
        """Files of other jobs that one may look at; those that cannot be had are left out.

        Raises AwayError, OSError.
        """
        places, _ = self._places(job, held)
        return tuple(path for each in held if (path := places.get(each.path, each.path)).is_file())

    def objects(self, job: str, held: Sequence[HeldFile]) -> dict[str, Path]:
        """Where the objects of a job are, by SOP Instance UID. Raises AwayError, GoneError, OSError."""
        return {
            each.sop_uid: each.path
            if self._fetcher.is_here(each)
            else self._fetcher.get(each, self._folder / job)
            for each in held
        }

    def drop(self, job: str) -> None:
        """Delete what was fetched for a job: it may be fetched again."""
        shutil.rmtree(self._folder / job, ignore_errors=True)

    def _places(self, job: str, held: Sequence[HeldFile]) -> tuple[dict[Path, Path], tuple[str, ...]]:
        """Where files lie that another host has, by their paths there."""
        places: dict[Path, Path] = {}
        faults = []
        for each in held:
            if self._fetcher.is_here(each):
                continue
            try:
                places[each.path] = self._fetcher.get(each, self._folder / job)
            except GoneError as error:
                log.error("file of another host cannot be had", job=job, reason=error.message)
                faults.append(error.message)
        return places, tuple(faults)


def files_of(settings: NodeSettings, ledger: Ledger, patience: Patience = _PATIENT) -> JobFiles | None:
    """The files of jobs for a process of a host; None for a node by itself. Raises ConfigError."""
    fetcher = fetcher_of(settings, ledger, patience)
    return None if fetcher is None else JobFiles(fetcher, Layout(settings.data).fetched)


def _moved(inputs: Inputs, places: dict[Path, Path]) -> Inputs:
    """The same inputs, by other paths."""

    def at(path: Path) -> Path:
        return places.get(path, path)

    return replace(
        inputs,
        paths=tuple(map(at, inputs.paths)),
        own=tuple(map(at, inputs.own)),
        stills=frozenset(map(at, inputs.stills)),
        corrected=tuple(Corrected(each.sop_uid, at(each.before), at(each.now)) for each in inputs.corrected),
    )
