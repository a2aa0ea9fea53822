"""Browsers that have shown a token: each has a random number in a cookie, which says who it is for a while.

Numbers are kept in memory alone, by their SHA-256, with the token that was shown: when that is taken out of
its file, its sessions are over too. Who starts the process again has everybody log in again.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

MOST = 1000
"""Sessions at a time; for one more, the oldest is over."""
_BYTES = 32


@dataclass(frozen=True)
class _Session:
    token: str
    until: float


class Sessions:
    """The sessions of one process; for one thread.

    Parameters
    ----------
    seconds
        How long one lasts.
    clock
        Seconds of any start.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self._sessions: dict[bytes, _Session] = {}  # oldest first

    def begin(self, token: str) -> str:
        """Begin one for a token; its number, for the cookie."""
        now = self._clock()
        self._sessions = {key: each for key, each in self._sessions.items() if each.until > now}
        while len(self._sessions) >= MOST:
            del self._sessions[next(iter(self._sessions))]
        number = secrets.token_urlsafe(_BYTES)
        self._sessions[_digest(number)] = _Session(token, now + self._seconds)
        return number

    def token_of(self, number: str) -> str:
        """The token that was shown for a number; empty if there is no such session, or it is over."""
        found = self._sessions.get(_digest(number))
        return found.token if found is not None and found.until > self._clock() else ""

    def end(self, number: str) -> None:
        """End one; it need not be there."""
        self._sessions.pop(_digest(number), None)


def _digest(number: str) -> bytes:
    """How long it takes to find this tells nothing about the number."""
    return hashlib.sha256(number.encode("utf-8", "replace")).digest()
