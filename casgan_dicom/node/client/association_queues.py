"""The queues of an association in which we ask, in place of pynetdicom's own; `connection` tells why."""

from __future__ import annotations

import queue
from typing import Any

from pynetdicom.pdu_primitives import P_DATA


class HungUpError(RuntimeError):
    """Nobody is left who would send what is queued."""


class RequestQueue(queue.Queue[Any]):
    """What pynetdicom's thread is to send, and nothing once it is done."""

    def __init__(self) -> None:
        super().__init__()
        self._over = False

    def put(self, item: object, block: bool = True, timeout: float | None = None) -> None:
        """Append; `HungUpError` where nobody would send a piece of a message."""
        if self._over and isinstance(item, P_DATA):
            raise HungUpError
        if not self._over:
            super().put(item, block, timeout)

    def end(self) -> None:
        """Drop what is queued: in its last states, pynetdicom would fail on it."""
        with self.mutex:
            self._over = True
            self.queue.clear()


class AnswerQueue(queue.Queue[Any]):
    """What the peer answered, for whoever waits for it; nothing for pynetdicom's thread, which only looks."""

    def get(self, block: bool = True, timeout: float | None = None) -> Any:  # noqa: ANN401  # as the base
        """Wait for the next message."""
        if not block:
            raise queue.Empty
        return super().get(timeout=timeout)
