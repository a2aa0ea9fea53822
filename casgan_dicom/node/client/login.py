"""Who we say that we are to a web server. Secrets are read when they are needed, and kept nowhere."""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from casgan_dicom.errors import PeerError

_LONGEST = 16384
"""Bytes of a secret: servers take no longer lines of a header."""


@dataclass(frozen=True)
class Login:
    """Where name and secret are; neither is said if there is none."""

    user: str | None = None
    """Name, for a login with a password (RFC 7617)."""
    password_file: Path | None = None
    """File with the password of the user."""
    password_variable: str = ""
    """Variable of the environment with the password of the user."""
    token_file: Path | None = None
    """File with a bearer token (RFC 6750)."""

    def headers(self) -> Mapping[str, str]:
        """What a request has to say; PeerError where a secret cannot be read."""
        if self.token_file is not None:
            return {"Authorization": f"Bearer {secret_in(self.token_file, 'token_file')}"}
        if self.user is None:
            return {}
        pair = f"{self.user}:{self._password()}".encode()
        return {"Authorization": f"Basic {b64encode(pair).decode('ascii')}"}

    def _password(self) -> str:
        if self.password_file is not None:
            return secret_in(self.password_file, "password_file", ascii_only=False)
        if not (password := os.environ.get(self.password_variable, "")):
            raise PeerError(
                f"the variable {self.password_variable} is not set, need the password in it",
                hint="set it for the node, or name another as password_variable",
                field="password_variable",
            )
        return password


def secret_in(path: Path, key: str, *, ascii_only: bool = True) -> str:
    """The first line of a file that holds a secret; PeerError, which never quotes it, where there is none.

    `key` is what messages call the setting that names the file.
    """
    hint = f"{key} names a file whose first line is the secret; the user of the node must be able to read it"
    try:
        with path.open("rb") as file:
            content = file.read(_LONGEST + 1)
        line = content.split(b"\n", 1)[0].rstrip(b"\r").decode()
    except OSError as error:
        said = error.strerror or type(error).__name__
        raise PeerError(f"{key} {path} cannot be read ({said})", hint=hint, field=key) from error
    except UnicodeDecodeError:
        raise PeerError(f"{key} {path}: the first line is not UTF-8", hint=hint, field=key) from None
    wrong = not line or len(line) > _LONGEST or not line.isprintable() or (ascii_only and not line.isascii())
    if wrong:
        said = "the first line is empty, or no text that can be sent"
        raise PeerError(f"{key} {path}: {said}", hint=hint, field=key)
    return line
