"""A mail server of our own for tests: enough of SMTP (RFC 5321) to take a letter, or to refuse it anywhere.

with MailServer(starttls=context, logins={"casgan": "secret"}) as server:
    server.refuses = {"RCPT": 550}
    ...
    assert server.letters[0].to == ["it@hospital.example"]
"""

from __future__ import annotations

import base64
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

from tests.support.serving import Server


@dataclass(frozen=True)
class Mail:
    """A letter that was taken."""

    sender: str
    to: list[str]
    content: bytes
    is_encrypted: bool
    user: str

    @property
    def message(self) -> EmailMessage:
        """It, as the standard library reads it."""
        found = message_from_bytes(self.content, policy=default)
        assert isinstance(found, EmailMessage)
        return found


class MailServer(Server):
    """One server on a free port of loopback, for the time of a `with`."""

    def __init__(
        self,
        *,
        starttls: ssl.SSLContext | None = None,
        tls: ssl.SSLContext | None = None,
        logins: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(socket.create_server(("127.0.0.1", 0)))
        self.letters: list[Mail] = []
        """What was taken, in order."""
        self.refuses: dict[str, int] = {}
        """Commands that are answered with a code, such as RCPT; those with an address: only for that one."""
        self.hangs_at = ""
        """The command that is never answered; `greeting` for the connection itself."""
        self.closes_at = ""
        """The command at which the connection is closed."""
        self._starttls, self._tls, self._logins = starttls, tls, logins

    def serve(self, connection: socket.socket, turn: str) -> None:
        """Take letters."""
        with suppress(OSError):
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            talk = _Talk(self, connection, is_encrypted=self._tls is not None)
            try:
                talk.run(self._starttls, self._logins)
            finally:
                talk.line.close()


@dataclass
class _Talk:
    """One connection."""

    server: MailServer
    line: socket.socket
    is_encrypted: bool
    user: str = ""
    sender: str = ""
    to: list[str] = field(default_factory=list)
    held: bytes = b""

    def run(self, starttls: ssl.SSLContext | None, logins: Mapping[str, str] | None) -> None:
        if self.server.hangs_at == "greeting":
            self.server.free.wait()
            return
        self._say("220 mail.example ready")
        while command := self._read(b"\r\n").decode():
            verb = command.split()[0].upper()
            if verb == self.server.hangs_at:
                self.server.free.wait()
                return
            if verb == self.server.closes_at:
                return
            address = command.partition("<")[2].partition(">")[0]
            code = self.server.refuses.get(verb) or self.server.refuses.get(address)
            if code:
                self._say(f"{code} the patient's name could stand here")
            elif verb == "EHLO":
                offered = ["STARTTLS"] if starttls and not self.is_encrypted else []
                offered += ["AUTH PLAIN"] if logins is not None else []
                lines = ["mail.example", *offered, "8BITMIME"]
                self._say(*(f"250{'-' if n < len(lines) else ' '}{each}" for n, each in enumerate(lines, 1)))
            elif verb == "STARTTLS" and starttls is not None:
                self._say("220 go on")
                self.line, self.is_encrypted = starttls.wrap_socket(self.line, server_side=True), True
            elif verb == "AUTH":
                self._log_in(command, logins or {})
            elif not self._take(verb, address):
                return

    def _log_in(self, command: str, logins: Mapping[str, str]) -> None:
        _, user, password = base64.b64decode(command.split()[2]).decode().split("\0")
        right = logins.get(user) == password
        self.user = user if right else ""
        self._say("235 welcome" if right else "535 not you")

    def _take(self, verb: str, address: str) -> bool:
        if verb == "MAIL":
            self.sender, self.to = address, []
        elif verb == "RCPT":
            self.to.append(address)
        elif verb == "DATA":
            self._say("354 go on")
            content = self._read(b"\r\n.\r\n").replace(b"\r\n..", b"\r\n.")
            self.server.letters.append(
                Mail(self.sender, list(self.to), content, self.is_encrypted, self.user)
            )
        elif verb == "QUIT":
            self._say("221 bye")
            return False
        self._say("250 fine")
        return True

    def _say(self, *lines: str) -> None:
        self.line.sendall("".join(f"{line}\r\n" for line in lines).encode())

    def _read(self, end: bytes) -> bytes:
        while end not in self.held:
            piece = self.line.recv(65536)
            if not piece:
                return b""
            self.held += piece
        found, _, self.held = self.held.partition(end)
        return found
