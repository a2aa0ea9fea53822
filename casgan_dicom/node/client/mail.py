"""Messages by e-mail (SMTP, RFC 5321), and in plain words why a server does not take one.

What a server says in words is not repeated: only its codes are.
"""

from __future__ import annotations

import smtplib
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

from casgan_dicom.errors import PeerError
from casgan_dicom.node.certificates import TlsFiles
from casgan_dicom.node.client.login import secret_in
from casgan_dicom.node.client.peer_tls import PeerTls, insecure
from casgan_dicom.node.credentials import files_of_notification
from casgan_dicom.node.settings import NotificationSettings
from casgan_dicom.node.tls import client_context
from casgan_dicom.quoting import printable


@dataclass(frozen=True)
class Letter:
    """What is sent."""

    subject: str
    """In one line."""
    text: str
    """All of it."""
    at: float
    """When it was made, seconds since 1970."""


def send_mail(settings: NotificationSettings, letter: Letter) -> tuple[str, ...]:
    """Send a letter; the addresses that the server did not take, while it took others.

    Raises PeerError where it took none, or not the letter.
    """
    password = None if settings.password_file is None else secret_in(settings.password_file, "password_file")
    tls = _tls(settings)
    try:
        server = _connected(settings, tls)
        try:
            if settings.encryption == "starttls":
                server.starttls(context=tls.context())
            if settings.user is not None and password is not None:
                server.login(settings.user, password)
            return tuple(server.send_message(_message(settings, letter)))
        finally:
            with suppress(OSError):  # SMTPException is one; what there was to say was said
                server.quit()
    except OSError as error:
        raise _failed(settings, tls, error) from error


def _connected(settings: NotificationSettings, tls: PeerTls) -> smtplib.SMTP:
    name = socket.gethostname()  # not the full name: asking for it may take long
    if settings.encryption == "tls":
        return smtplib.SMTP_SSL(
            settings.host, settings.port, name, timeout=settings.response_seconds, context=tls.context()
        )
    return smtplib.SMTP(settings.host, settings.port, name, timeout=settings.response_seconds)


def _tls(settings: NotificationSettings) -> PeerTls:
    files = files_of_notification("notifications", settings) or TlsFiles()
    return PeerTls(lambda: client_context(files), files, settings.host)


def _message(settings: NotificationSettings, letter: Letter) -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = printable(letter.subject)
    message["From"] = settings.sender
    message["To"] = ", ".join(settings.to)
    message["Date"] = formatdate(letter.at)
    message["Message-ID"] = make_msgid(domain=settings.sender.rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office note for it
    message.set_content(letter.text)
    return message


def _failed(settings: NotificationSettings, tls: PeerTls, error: OSError) -> PeerError:
    place = f"{settings.name} ({settings.host}:{settings.port})"
    if isinstance(error, smtplib.SMTPServerDisconnected) and isinstance(error.__context__, OSError):
        error = error.__context__  # what the client met while it read
    if isinstance(error, ssl.SSLError):
        return insecure(place, tls, error)
    said, hint = f"no connection ({error.strerror or type(error).__name__})", "check host and port"
    for kind, words in _FAILURES.items():
        if isinstance(error, kind):
            said, hint = words
            break
    codes = _codes(error)
    return PeerError(f"{place}: {said}{f' ({codes})' if codes else ''}", hint=hint)


def _codes(error: OSError) -> str:
    """What a server answered, in numbers."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return ", ".join(sorted({str(code) for code, _ in error.recipients.values()}))
    return str(error.smtp_code) if isinstance(error, smtplib.SMTPResponseException) else ""


_ENCRYPTION = "check port and encryption: port 465 wants encryption = 'tls', 587 'starttls'"
_FAILURES: Mapping[type[OSError], tuple[str, str]] = {
    smtplib.SMTPRecipientsRefused: (
        "it takes mail to none of the addresses", "check to, and whether it wants a login",
    ),
    smtplib.SMTPSenderRefused: (
        "it takes no mail from sender", "check sender, and whether it wants a login",
    ),
    smtplib.SMTPAuthenticationError: ("it does not take our login", "check user and password_file"),
    smtplib.SMTPNotSupportedError: ("it offers no STARTTLS, or no login", _ENCRYPTION),
    smtplib.SMTPServerDisconnected: ("it hung up", _ENCRYPTION),
    smtplib.SMTPResponseException: ("it does not take the message", "its log may say why"),
    smtplib.SMTPException: ("it does not speak SMTP as we do", "check host and port"),
    socket.gaierror: ("the host is unknown", "check the spelling of host"),
    ConnectionRefusedError: ("the port is closed (connection refused)", "check host and port"),
    TimeoutError: ("it said nothing for too long", f"{_ENCRYPTION}; a firewall may lie between"),
    ConnectionError: ("it broke off the connection", _ENCRYPTION),
}  # fmt: skip
"""What the client raises, in words, and which key to look at; the first that fits."""
