"""A node that has lived: a cine and a run of stills converted and delivered, something in quarantine."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from casgan_dicom.node.proof.deviation import Deviation
from casgan_dicom.node.proof.proof import Proof, Scope, prove
from casgan_dicom.node.settings import NodeSettings
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger


@dataclass(frozen=True)
class Life:
    """The data folder of a node that has stopped, and what was configured."""

    settings: NodeSettings

    @property
    def layout(self) -> Layout:
        """What lies where."""
        return Layout(self.settings.data)

    def files(self, room: str) -> list[Path]:
        """The DICOM files of a room, those that are being received not counted."""
        return sorted((self.settings.data / room).rglob("*.dcm"))

    def copied(self, to: Path) -> Life:
        """The same elsewhere, for somebody who damages it."""
        shutil.copytree(self.settings.data, to / "node", ignore=lambda *_: ["bells"])
        return Life(replace(self.settings, data=to / "node"))

    def prove(self, scope: Scope = Scope(young_seconds=-60)) -> tuple[Proof, list[Deviation]]:  # noqa: B008  # frozen
        """What the comparison finds; files count as old at once."""
        found: list[Deviation] = []
        ledger = Ledger(self.layout.ledger)
        try:
            return prove(self.settings, ledger, scope, found.append), found
        finally:
            ledger.close()
