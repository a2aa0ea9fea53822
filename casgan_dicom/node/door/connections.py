"""Who is connected, and who may still come in.

There is a place for so many connections in all, and for so many from one address. Where none is left, the
oldest connection that has no association yet is closed: a peer that only connects cannot lock others out. If
all have an association, the new one is refused.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass

_SPARE = 50
"""How many closed connections, whose threads have not ended yet, are borne with."""


@dataclass
class _Entry:
    """One connection."""

    address: str
    hang_up: Callable[[], None]
    peer: Hashable = None
    """Whose association it holds; None for none."""
    closed: bool = False


class Connections:
    """The connections of one listener; threads may share it.

    Parameters
    ----------
    total
        Most connections.
    per_address
        Most connections from one address.
    """

    def __init__(self, total: int, per_address: int) -> None:
        self._total = total
        self._per_address = per_address
        self._entries: dict[Hashable, _Entry] = {}  # oldest first
        self._changed = threading.Condition()

    def admit(self, address: str) -> bool:
        """Whether one more may come in from this address; closes another if that makes room."""
        with self._changed:
            if len(self._entries) >= self._total + _SPARE:
                return False
            alive = [entry for entry in self._entries.values() if not entry.closed]
            here = [entry for entry in alive if entry.address == address]
            crowd = here if len(here) >= self._per_address else alive if len(alive) >= self._total else []
            waiting = [entry for entry in crowd if entry.peer is None]
            if crowd and not waiting:
                return False
            if waiting:
                waiting[0].closed = True
                waiting[0].hang_up()
            return True

    def add(self, key: Hashable, address: str, hang_up: Callable[[], None]) -> None:
        """Note a connection; `hang_up` closes it from any thread, and must neither wait nor raise."""
        with self._changed:
            self._entries[key] = _Entry(address, hang_up)

    def associated(self, key: Hashable, peer: Hashable, most: int = 0) -> bool:
        """Note that a connection is given an association, so it keeps its place; False, and nothing is noted,
        where its peer has `most` of them, which is 0 for no limit."""
        with self._changed:
            there = sum(entry.peer == peer for entry in self._entries.values() if not entry.closed)
            if most and there >= most:
                return False
            if entry := self._entries.get(key):
                entry.peer = peer
            return True

    def remove(self, key: Hashable) -> None:
        """Note that nothing is left of a connection; it need not be there."""
        with self._changed:
            self._entries.pop(key, None)
            self._changed.notify_all()

    def all(self) -> list[Hashable]:
        """Every connection of which anything is left, oldest first."""
        with self._changed:
            return list(self._entries)

    def hang_up(self) -> None:
        """Close all."""
        with self._changed:
            for entry in self._entries.values():
                entry.closed = True
                entry.hang_up()

    def wait_until_none(self, seconds: float) -> bool:
        """Wait until nothing is left of any connection, but not longer; whether that came true."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._entries, seconds)
