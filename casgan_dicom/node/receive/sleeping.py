"""How the two threads of pynetdicom's association sleep until there is something to do.

As they come (3.0.4) they look for work a thousand times a second.
"""

from __future__ import annotations

import queue
import threading
from typing import Any

from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider

SLEEP_SECONDS = 0.25
"""Between two looks at timers."""


class RingingQueue(queue.Queue[Any]):
    """A queue that also tells by an event that something was put in."""

    def __init__(self, bell: threading.Event) -> None:
        super().__init__()
        self._bell = bell

    def put(self, item: object, block: bool = True, timeout: float | None = None) -> None:
        """Put something in, and ring."""
        super().put(item, block, timeout)
        self._bell.set()


class NoMessages(DIMSEServiceProvider):
    """What the association's thread asks for messages: there are none, but it may sleep here."""

    def __init__(self, assoc: Association, bell: threading.Event) -> None:
        super().__init__(assoc)
        self._bell = bell

    def get_msg(self, block: bool = False) -> tuple[None, None]:  # noqa: ARG002  # as the base
        """Sleep until something else is there to do."""
        self._bell.clear()
        if self.dul.to_user_queue.empty():
            self._bell.wait(SLEEP_SECONDS)
        return None, None
