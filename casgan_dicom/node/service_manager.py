"""How the node tells the service manager of the system how it is (systemd, sd_notify(3), ``Type=notify``).

A datagram of lines to the socket that NOTIFY_SOCKET names. Where nothing names one, nothing is told.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress

from casgan_dicom.log import get_logger

TELL_SECONDS = 1.0
"""How long a manager may take to hear: one that hangs must not hold up the node."""

log = get_logger("service")


class ServiceManager:
    """Whoever started the node and watches it.

    Parameters
    ----------
    environ
        The environment: NOTIFY_SOCKET, a path, or a name in the abstract namespace behind an ``@``, and
        WATCHDOG_USEC, within how many microseconds the node has to say that it lives.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        self._every = _half_of(environ.get("WATCHDOG_USEC", ""))
        self._told_at = float("-inf")
        self._status = ""

    def ready(self, now: float) -> None:
        """The node runs, or has taken other settings; `now` is that of ``time.monotonic``, here and below."""
        self._tell("READY=1", *self._news("every process runs", now))

    def reloading(self, now: float) -> None:
        """The node reads its settings again, until it is ready."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={int(now * 1e6)}", *self._news("reads its settings", now))

    def looked(self, missing: Sequence[str], now: float) -> None:
        """The node has looked at its processes, all of which run but `missing`."""
        status = f"{', '.join(missing)} died and is started again" if missing else "every process runs"
        if lines := self._news(status, now):
            self._tell(*lines)

    def stopping(self) -> None:
        """The node ends."""
        self._tell("STOPPING=1", "STATUS=stops its processes")

    def _news(self, status: str, now: float) -> list[str]:
        """What has changed since the last time, and that we live if it is time to say so."""
        lines = []
        if status != self._status:
            self._status = status
            lines.append(f"STATUS={status}")
        if self._every is not None and now - self._told_at >= self._every:
            self._told_at = now
            lines.append("WATCHDOG=1")
        return lines

    def _tell(self, *lines: str) -> None:
        if not self._address:
            return
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as talking:
                talking.settimeout(TELL_SECONDS)
                talking.sendto("\n".join(lines).encode(), address)
        except OSError as error:  # its own affair: the node goes on
            log.exception("service manager cannot be told", error=error)


def _half_of(microseconds: str) -> float | None:
    """Half of the time of a watchdog, in seconds, as sd_watchdog_enabled(3) wants it; None for none."""
    with suppress(ValueError):
        if int(microseconds) > 0:
            return int(microseconds) / 2e6
    return None
