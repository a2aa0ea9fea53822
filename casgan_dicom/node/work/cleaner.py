"""Removes from the disk what is not needed any more, as ``retention.py`` decides.

Of each job it is written down first that its files are to go, then they are deleted and the disk is told,
then it is written down that they are gone. Whoever is killed in between is followed by somebody who takes it
up where it was; nothing is deleted of which the ledger does not say so already. A file in quarantine needs no
mark: its row stays until it is gone.

The coordinator does a few at a time; a person may do all at once, whether the node runs or not
(`casgan-dicom node clean`). One of them at a time.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import time

from casgan_dicom.disk import sync_folder
from casgan_dicom.log import get_logger
from casgan_dicom.node.settings import NodeSettings, RetentionSettings
from casgan_dicom.node.state.audit import Audit, Deleted
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.removal_lock import removals_to_myself
from casgan_dicom.node.state.removals import Content, Removals
from casgan_dicom.node.state.storage import bytes_by_name, bytes_in
from casgan_dicom.node.work.retention import Aside, Held, Plan, Removal, plan, rules_of

AT_ONCE = 20
"""Removals in one round of the coordinator: it has something else to do."""
TAKEN_UP = "begun before, and taken up again"
"""Why something goes that was being removed when the process ended."""

log = get_logger("retention")


class Cleaner:
    """The removals of a node.

    Parameters
    ----------
    settings
        Of the node.
    ledger
        Of the node.
    """

    def __init__(self, settings: NodeSettings, ledger: Ledger) -> None:
        self._rules = rules_of(settings)
        self._layout = Layout(settings.data)
        self._removals = Removals(ledger, settings.host.name)
        self._audit = Audit(self._layout, settings.audit, settings.listener.ae_title)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is ever removed."""
        return self._rules.retention == RetentionSettings()

    def plan(self, now: float) -> Plan:
        """What is to go now. Raises LedgerError."""
        if self.is_idle:
            return Plan((), None, 0)
        outbox = bytes_by_name(self._layout.outbox)
        jobs = [
            replace(held, bytes=held.bytes + outbox.get(held.job, 0)) for held in self._removals.holdings()
        ]
        aside = [Aside(path, _length(self._aside(path)), at) for path, at in self._removals.quarantined()]
        high = self._rules.retention.high_bytes
        used = bytes_in(self._layout.spool) + sum(outbox.values()) if high else 0
        free = shutil.disk_usage(self._layout.data).free
        return plan(Held(jobs, aside, used, free), self._rules, now)

    def round(self, now: float) -> bool:
        """Remove a few things, unless somebody else is at it; whether more are to go. Raises LedgerError."""
        with removals_to_myself(self._layout, wait=False) as alone:
            if not alone:
                return False
            try:
                self._take_up()
                found = self.plan(now).removals
            except OSError as error:  # the node goes on without
                log.exception("cannot be looked at for what to remove", error=error)
                return False
            done = [removal for removal in found[:AT_ONCE] if self._remove(removal, now)]
            return len(found) > AT_ONCE and bool(done)

    def clean(self, now: float) -> list[Removal]:
        """Remove everything that is to go, and say what that was. Raises LedgerError."""
        with removals_to_myself(self._layout, wait=True):
            self._take_up()
            return [removal for removal in self.plan(now).removals if self._remove(removal, now)]

    def unfinished(self) -> int:
        """Jobs of which some files could not be removed: it is tried again. Raises LedgerError."""
        return len(self._removals.begun())

    def _take_up(self) -> None:
        """Go on with what was begun by a process that was killed."""
        for job in self._removals.begun():
            self._finish(job, TAKEN_UP)

    def _remove(self, removal: Removal, now: float) -> bool:
        if removal.kind == "quarantine":
            return self._remove_aside(removal)
        if not self._removals.begin(removal.name, now):  # somebody wants it since
            return False
        return self._finish(removal.name, removal.reason)

    def _finish(self, job: str, reason: str) -> bool:
        """Delete the files of a job that were given up; False, and it is tried again later, if one stays."""
        content = self._removals.content(job)
        identifier = self._patient_of(content)
        try:
            for path in content.given_up:
                place = self._layout.spool / path.parent.name / path.name
                self._removals.while_given_up(path, partial(place.unlink, missing_ok=True))
            self._empty({path.parent.name for path in content.given_up})
            with suppress(FileNotFoundError):
                shutil.rmtree(self._layout.outbox / job)
            with suppress(FileNotFoundError):  # also what was deleted by a process that was killed
                sync_folder(self._layout.outbox)
        except OSError as error:
            log.exception("files cannot be removed", error=error, job=job)
            return False
        counts = {
            "Series": content.series_uid,
            "Received": str(content.instances),
            "Derived": str(content.derived),
        }
        instances = content.instances + content.derived
        self._audit.deleted(Deleted(job, content.studies, instances, reason, counts, identifier))
        self._removals.end(job, time())
        log.info(
            "files of a job removed",
            job=job,
            received=content.instances,
            derived=content.derived,
            reason=reason,
        )
        return True

    def _patient_of(self, content: Content) -> str:
        """Whose files go, if the audit trail is to say that: afterwards nobody can tell."""
        if not self._audit.names_patients:
            return ""
        # Imported here: who names no patients need not hold what reads headers.
        from casgan_dicom.node.work.patient_id import patient_id  # noqa: PLC0415

        return patient_id(self._layout.spool / path.parent.name / path.name for path in content.given_up)

    def _empty(self, series: set[str]) -> None:
        """Tell the disk what is gone from the folders of series, and remove those that are empty."""
        for name in series:
            folder = self._layout.spool / name
            with suppress(FileNotFoundError):
                sync_folder(folder)
            with suppress(OSError):  # not empty, or gone
                folder.rmdir()
        if series:
            sync_folder(self._layout.spool)

    def _remove_aside(self, removal: Removal) -> bool:
        """Delete a file in quarantine, unless the same bytes are coming in once more."""
        path = Path(removal.name)
        place = self._aside(path)
        try:
            with suppress(FileNotFoundError):
                if place.stat().st_mtime > removal.at:
                    return False
                place.unlink()
                sync_folder(place.parent)
        except OSError as error:
            log.exception("file cannot be removed from quarantine", error=error, path=place)
            return False
        self._audit.deleted(Deleted(place.name, (), 1, removal.reason, {}))
        self._removals.end_quarantine(path, removal.at)
        log.info("file removed from quarantine", path=place, reason=removal.reason)
        return True

    def _aside(self, path: Path) -> Path:
        """Where a file in quarantine is now: the data folder may have been moved."""
        return self._layout.quarantine / path.name


def _length(path: Path) -> int:
    with suppress(FileNotFoundError):
        return path.stat().st_size
    return 0
