"""Tells somebody what is wrong: looks, decides (``notice.py``), and sends, each in a thread of its own.

What was told stands in the ledger, so that a node that starts again repeats nothing; what could not be told
stays due. Who is killed between a message and its mark sends that message again. Where the ledger cannot be
written, on a full disk, it is told all the same.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping
from random import random
from time import time

from casgan_dicom.errors import PeerError
from casgan_dicom.log import get_logger
from casgan_dicom.node.client.mail import Letter, send_mail
from casgan_dicom.node.client.webhook import post_message
from casgan_dicom.node.credentials import expiries
from casgan_dicom.node.settings import TOLD, NodeSettings, NotificationSettings, RetrySettings
from casgan_dicom.node.state.books import open_ledger
from casgan_dicom.node.state.health import Finding
from casgan_dicom.node.state.ledger import Ledger, LedgerError
from casgan_dicom.node.state.notices import Key, Known, Notices
from casgan_dicom.node.work.cleaner import Cleaner
from casgan_dicom.node.work.condition import status_of, wrong_with
from casgan_dicom.node.work.notice import Notice, due, followed, told
from casgan_dicom.node.work.retry import retry_wait

_AGAIN = RetrySettings(first_seconds=10.0, longest_seconds=1800.0)
"""Waits between attempts while a server does not take a message."""

log = get_logger("notifications")


class Notifier:
    """Who tells one target.

    Parameters
    ----------
    settings
        Of the target.
    memory
        What it knows.
    look
        Finds everything that is wrong.
    send
        Sends what is due, and says what came back; raises PeerError where that was not taken.
    node
        What the node calls itself.
    """

    def __init__(
        self,
        settings: NotificationSettings,
        memory: Notices,
        look: Callable[[float], tuple[Finding, ...]],
        send: Callable[[Notice], str],
        node: str,
    ) -> None:
        self._settings, self._memory = settings, memory
        self._look, self._send = look, send
        self._known = memory.known(settings.name)
        self._node = node

    def round(self, now: float) -> bool:
        """Look, and tell what is due; whether there was anything. Raises PeerError."""
        wanted = self._settings.events or TOLD
        found = [each for each in self._look(now) if each.event in wanted]
        self._keep(followed(self._known, found, now))
        changes = due(self._known, self._settings, now)
        silent = () if self._settings.all_clear else tuple(each for each in changes if each.kind == "over")
        loud = tuple(each for each in changes if each not in silent)
        if loud:
            came = self._send(Notice(self._node, host_name(), now, loud))
            log.info("notification sent", notification=self._settings.name, changes=len(loud), answer=came)
        self._keep(told(self._known, changes, now))
        return bool(loud)

    def _keep(self, known: Mapping[Key, Known]) -> None:
        if known == self._known:
            return
        self._known = dict(known)
        try:
            self._memory.keep(self._settings.name, known)
        except LedgerError as error:  # a full disk is one of the things to be told
            log.exception("what was told cannot be written down", error=error)


def send_notice(settings: NotificationSettings, notice: Notice) -> str:
    """Send a message, and say what came back. Raises PeerError where it was not taken."""
    if settings.kind == "webhook":
        return post_message(settings, notice.as_json())
    refused = send_mail(settings, Letter(notice.subject, notice.text, notice.at))
    if refused:
        log.warning("mail server takes nothing to some", notification=settings.name, addresses=len(refused))
    count = len(settings.to) - len(refused)
    return f"taken for {count} of {len(settings.to)} addresses"


def host_name() -> str:
    """Name of this machine."""
    return socket.gethostname()


def wrong_now(settings: NodeSettings, ledger: Ledger, now: float) -> tuple[Finding, ...]:
    """Everything that is wrong with a node. Raises LedgerError."""
    found = status_of(settings, ledger, Cleaner(settings, ledger).plan(now))
    return wrong_with(settings, ledger, found, expiries(settings, now), now)


def tell(settings: NodeSettings, target: NotificationSettings, stop: threading.Event) -> None:
    """Tell a target what is wrong, until `stop` is set."""
    ledger = open_ledger(settings)
    try:
        notifier = Notifier(
            target,
            Notices(ledger),
            lambda now: wrong_now(settings, ledger, now),
            lambda notice: send_notice(target, notice),
            settings.listener.ae_title,
        )
        attempts = 0
        while not stop.is_set():
            wait: float | None = target.look_seconds
            try:
                notifier.round(time())
                attempts = 0
            except PeerError as error:
                attempts += 1
                wait = retry_wait(attempts, 0.0, _AGAIN, random())
                log.error(
                    "notification cannot be sent now",
                    notification=target.name,
                    reason=error.message,
                    hint=error.hint,
                    attempts=attempts,
                )
            stop.wait(wait)
    finally:
        ledger.close()
