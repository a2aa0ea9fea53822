"""What the page knows: settings of the moment, ledger, folders, and for a while what takes time to find."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic, time

from casgan_dicom.node.settings import NodeSettings
from casgan_dicom.node.state.audit import Audit
from casgan_dicom.node.state.bells import COORDINATOR, ring
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.overview import Status
from casgan_dicom.node.web.kept import Kept
from casgan_dicom.node.web.metrics import Metrics
from casgan_dicom.node.work.cleaner import Cleaner
from casgan_dicom.node.work.condition import status_of
from casgan_dicom.node.work.retention import Plan
from casgan_dicom.player.open_exhibits import OpenExhibits

_STATUS_SECONDS = 1.5
"""How long a status is good for: a page asks every two seconds, and there may be many."""
_PLAN_SECONDS = 20.0
"""How long a plan of retention is: it looks at every file of the node."""


class Site:
    """What the page knows; threads may share it.

    Parameters
    ----------
    settings
        Of the node.
    ledger
        Of the node.
    processes
        Those that the node should have, by role.
    clock
        Seconds since 1970.
    """

    def __init__(
        self,
        settings: NodeSettings,
        ledger: Ledger,
        processes: Sequence[str],
        clock: Callable[[], float] = time,
    ) -> None:
        self.settings, self.processes = settings, tuple(processes)
        self.ledger, self.now = ledger, clock
        self.layout = Layout(settings.data)
        self.metrics = Metrics(settings, ledger)
        self.exhibits = OpenExhibits()
        self.audit = Audit(self.layout, settings.audit, settings.listener.ae_title)
        self._plan = Kept(self._make_plan, _PLAN_SECONDS, monotonic)
        self._status = Kept(self._make_status, _STATUS_SECONDS, monotonic)

    def take(self, settings: NodeSettings) -> None:
        """Put other settings into force."""
        self.settings = self.metrics.settings = settings

    def status(self) -> Status:
        """Counts and lengths, some seconds old; older where the disk is slow to tell."""
        return self._status.get()

    def plan(self) -> Plan:
        """What retention removes next, as it was half a minute ago or, on a slow disk, before."""
        return self._plan.get()

    @property
    def keeps_everything(self) -> bool:
        """Whether nothing is ever removed."""
        return Cleaner(self.settings, self.ledger).is_idle

    def close(self) -> None:
        """Let go of the cines that are looked at."""
        self.exhibits.close()

    def wake(self) -> None:
        """Have the node look at what was changed."""
        ring(self.layout.bells, COORDINATOR)

    def _make_plan(self) -> Plan:
        return Cleaner(self.settings, self.ledger).plan(self.now())

    def _make_status(self) -> Status:
        return status_of(self.settings, self.ledger, self.plan())
