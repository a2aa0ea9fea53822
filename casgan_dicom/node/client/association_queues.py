"""The queues of an association in which we ask, in place of pynetdicom's own; `connection` tells why."""

from __future__ import annotations

import queue
from typing import Any

from pynetdicom.pdu_primitives import P_DATA


class HungUpError(RuntimeError):
    """Nobody is left who would send what is queued."""


class ShortQueue(queue.Queue[Any]):
    """What pynetdicom's thread is to send: few pieces of a data set, and nothing once it is done."""

    def __init__(self) -> None:
        super().__init__()
        self.room = 1
        self._over = False

    def put(self, item: object, block: bool = True, timeout: float | None = None) -> None:
        """Append, a piece of a data set once there is room; `HungUpError` where nobody would send it."""
        with self.not_full:
            if isinstance(item, P_DATA):
                self.not_full.wait_for(lambda: self._over or self._qsize() < self.room)
                if self._over:
                    raise HungUpError
        if not self._over:
            super().put(item, block, timeout)

    def end(self) -> None:
        """Drop what is queued and let nobody wait: in its last states, pynetdicom would fail on it."""
        with self.not_full:
            self._over = True
            self.queue.clear()
            self.not_full.notify_all()


class AnswerQueue(queue.Queue[Any]):
    """What the peer answered, for whoever waits for it; nothing for pynetdicom's thread, which only looks."""

    def get(self, block: bool = True, timeout: float | None = None) -> Any:  # noqa: ANN401  # as the base
        """Wait for the next message."""
        if not block:
            raise queue.Empty
        return super().get(timeout=timeout)
