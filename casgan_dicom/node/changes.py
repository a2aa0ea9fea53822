"""How a process of the node learns of other settings while it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable

from casgan_dicom.node.settings import NodeSettings

Take = Callable[[NodeSettings, str], None]
"""Puts settings and recipe (`receipts.job_id`) into force, all at once."""


class Changes:
    """Between the thread that hears of new settings and the part of the process that they are for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._latest: tuple[NodeSettings, str] | None = None
        self._take: Take | None = None

    def tell(self, settings: NodeSettings, recipe: str) -> None:
        """Have them taken, now or as soon as somebody is there to take them."""
        with self._lock:
            self._latest = settings, recipe
            if self._take is not None:
                self._take(settings, recipe)

    def hear(self, take: Take) -> None:
        """Take what comes, and what came before."""
        with self._lock:
            self._take = take
            if self._latest is not None:
                take(*self._latest)
