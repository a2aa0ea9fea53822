"""Sends the audit trail to a syslog server: from the file, in order, each line once at least.

The file comes first and waits for nobody; what was sent stands beside it, and is written down when a batch
has arrived. So a server that was away, or a node that was down, is caught up with, and a line that is sent
twice is the same line: its number tells.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import random
from time import time

from casgan_dicom.errors import PeerError
from casgan_dicom.log import get_logger
from casgan_dicom.node.client.peer_tls import PeerTls
from casgan_dicom.node.client.syslog import SyslogServer, send_lines
from casgan_dicom.node.credentials import files_of_audit
from casgan_dicom.node.settings import NodeSettings, RetrySettings
from casgan_dicom.node.state.audit_batch import before_oldest, next_batch
from casgan_dicom.node.state.audit_sent import Sent, read_sent, write_sent
from casgan_dicom.node.state.bells import AUDIT, Bell
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.tls import Renewed, client_context
from casgan_dicom.node.work.retry import retry_wait

BATCH_BYTES = 1024 * 1024
"""In one connection, about."""
LOOK_SECONDS = 5.0
"""Longest time between two looks at the file: a ring may be lost."""
FIRST_SECONDS = 1.0
"""Before the second attempt."""

log = get_logger("audit")


class AuditSender:
    """The sending of a trail.

    Parameters
    ----------
    layout
        Of the node.
    send
        Sends lines; raises PeerError where they may not have arrived.
    """

    def __init__(self, layout: Layout, send: Callable[[Sequence[bytes]], None]) -> None:
        self._layout = layout
        self._send = send
        self._sent = read_sent(layout)
        if not layout.audit_sent.exists():  # what was gone before is not lost on the way
            self._sent = replace(self._sent, link=before_oldest(layout.audit))

    def round(self, now: float) -> bool:
        """Send a batch; whether there was any. Raises PeerError, and OSError of our own files."""
        batch = next_batch(self._layout.audit, self._sent.link, BATCH_BYTES)
        if batch.is_anew:
            log.error("audit trail does not hold what was sent last", seq=self._sent.link.seq)
            self._note(replace(self._sent, link=before_oldest(self._layout.audit)))
            return True
        if not batch.lines:
            return False
        try:
            self._send(batch.lines)
        except PeerError as error:
            since = self._sent.failing_since
            self._note(
                replace(self._sent, failing_since=now if since is None else since, reason=error.message)
            )
            raise
        if batch.lost:
            log.error("audit messages were dropped before they were sent", count=batch.lost)
        lost = self._sent.lost + batch.lost
        self._note(replace(self._sent, link=batch.last, lost=lost, failing_since=None, reason=""))
        return True

    def _note(self, sent: Sent) -> None:
        if sent != self._sent:
            write_sent(self._layout, sent)
            self._sent = sent


def audit_sender(settings: NodeSettings) -> AuditSender:
    """The sender of a node that has a syslog server."""
    server = syslog_server(settings)
    return AuditSender(Layout(settings.data), lambda lines: send_lines(server, lines))


def syslog_server(settings: NodeSettings) -> SyslogServer:
    """Where the trail is sent. Raises ConfigError for files of TLS that are no good."""
    audit, tls = settings.audit, None
    if (files := files_of_audit(settings)) is not None:
        tls = PeerTls(Renewed(files, client_context).context, files, audit.tls_name or audit.host)
    return SyslogServer(audit.host, audit.port, audit.transport, tls, audit.response_seconds)


def send_trail(settings: NodeSettings, stop: threading.Event) -> None:
    """Send what there is, and what comes, until `stop` is set."""
    bell = Bell(Layout(settings.data).bells, AUDIT)
    try:
        sender = audit_sender(settings)
        rules = RetrySettings(FIRST_SECONDS, settings.audit.longest_seconds)
        attempts = 0
        while not stop.is_set():
            try:
                more = sender.round(time())
            except PeerError as error:
                attempts += 1
                log.warning("audit trail cannot be sent now", reason=error.message, attempts=attempts)
                wait = retry_wait(attempts, 0.0, rules, random())
                assert wait is not None
                stop.wait(wait)
                continue
            if attempts:
                log.info("audit trail is sent again")
            attempts = 0
            if not more:
                bell.wait(LOOK_SECONDS)
    finally:
        bell.close()
