"""The whole comparison: what was looked at, and everything that is not as the ledger says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from time import time

from casgan_dicom.errors import CasganError
from casgan_dicom.node.client.places import Place
from casgan_dicom.node.proof.archive import Asking, open_archive
from casgan_dicom.node.proof.deviation import LOSSES, Deviation
from casgan_dicom.node.proof.disk import Disk
from casgan_dicom.node.settings import NodeSettings
from casgan_dicom.node.state.evidence import Evidence, Sent, Wanted
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger

YOUNG_SECONDS = 60.0
"""A file that has its name since then may be on its way into the ledger."""

Tell = Callable[[Deviation], None]


@dataclass(frozen=True)
class Scope:
    """What is looked at."""

    since: float = 0.0
    """Only what came in, changed or was stored since then, seconds since 1970; files nobody knows are told
    only without it."""
    hashes: bool = True
    """Whether every file is read."""
    ask: tuple[Place, ...] = ()
    """Who is asked, in the order of `delivered`."""
    delivered: tuple[str, ...] = ()
    """Which destinations' deliveries each of `ask` should hold."""
    young_seconds: float = YOUNG_SECONDS
    """How old a file has to be to be one that nobody knows."""


@dataclass
class Asked:
    """What came of one archive."""

    archive: str
    """Its name."""
    destination: str
    """The destination whose deliveries it should hold."""
    delivered: int = 0
    """Objects that the ledger calls delivered, and that could be asked for."""
    found: int = 0
    """Those that are there."""
    unasked: int = 0
    """Objects of which nobody knows the study, so that they cannot be asked for."""
    unknown: str = ""
    """Why nobody knows the rest; empty if everything could be asked for."""


@dataclass
class Proof:
    """What was found."""

    files: Counter[str] = field(default_factory=Counter)
    """Files that should be there, by room."""
    deviations: Counter[str] = field(default_factory=Counter)
    """By kind."""
    archives: list[Asked] = field(default_factory=list)
    """Those that were asked."""

    @property
    def is_lost(self) -> bool:
        """Whether anything that should be there is not, or not as it was."""
        return any(self.deviations[kind] for kind in LOSSES)

    @property
    def is_open(self) -> bool:
        """Whether something could not be told, or is there and nobody knows why."""
        unclear = any(each.unknown or each.unasked for each in self.archives)
        return unclear or self.deviations.total() > 0


def prove(settings: NodeSettings, ledger: Ledger, scope: Scope, tell: Tell) -> Proof:
    """Compare a ledger with the disk, and with whom `scope` says; `tell` hears of each deviation.

    Nothing is changed anywhere. Raises LedgerError.
    """
    proof, evidence = Proof(), Evidence(ledger, settings.host.name)
    disk = Disk(Layout(settings.data), evidence, scope.hashes)

    def note(deviation: Deviation) -> None:
        proof.deviations[deviation.kind] += 1
        tell(deviation)

    for wanted in (evidence.received, evidence.derived, evidence.quarantined):
        _look(disk, wanted(scope.since), proof, note)
    if not scope.since:
        for stranger in disk.strangers(time() - scope.young_seconds):
            note(stranger)
    for place, destination in zip(scope.ask, scope.delivered, strict=True):
        asked = Asked(place.name, destination)
        proof.archives.append(asked)
        try:
            with open_archive(settings, place) as ask:
                for series in evidence.sent(destination, scope.since):
                    _compare(series, ask, asked, evidence, note)
        except CasganError as error:
            asked.unknown = error.message
    return proof


def _look(disk: Disk, files: Iterable[Wanted], proof: Proof, note: Tell) -> None:
    for wanted in files:
        proof.files[wanted.room] += 1
        if (deviation := disk.wrong(wanted)) is not None:
            note(deviation)


def _compare(series: Sequence[Sent], ask: Asking, asked: Asked, evidence: Evidence, note: Tell) -> None:
    """Ask for a derived series; what is missing is asked for twice, since archives may be slow to know."""
    if not series[0].studies:
        asked.unasked += len(series)
        return
    wanted = {each.sop_uid for each in series}
    held = ask(series)
    if wanted - held:
        held |= ask(series)
    asked.delivered += len(wanted)
    asked.found += len(wanted & held)
    for uid in sorted(wanted - held):
        note(Deviation("not-in-archive", asked.archive, uid))
    for uid in sorted(held - wanted):
        if not evidence.is_ours(uid):
            note(Deviation("not-ours", asked.archive, uid))
