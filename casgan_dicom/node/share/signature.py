"""How one host proves to another that it belongs to them: by a secret that all of them share.

A request says when it was made, by the clock of the database, and a digest of that and of what it asks for,
made with the secret (HMAC, RFC 2104). So the secret never goes over the wire, and what somebody overhears is
good for the same file only, and for a minute.
"""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

from casgan_dicom.errors import ConfigError
from casgan_dicom.node.state.private import read_secret

SHORTEST_SECRET = 32
"""Characters."""
MOST_APART_SECONDS = 60.0
"""Between the making of a request and its coming."""
_KEY = "host.secret_file"
_SCHEME = "CASGAN-HMAC-SHA256"
_LONGEST_FILE = 4096
_HINT = "make it with: openssl rand -hex 32; it is the same on all hosts"


class Secret:
    """A secret that hosts share.

    Parameters
    ----------
    path
        The file whose first line it is.

    Raises
    ------
    ConfigError
        There is none, or everybody may read it.
    """

    def __init__(self, path: Path) -> None:
        self._key = _read(path.expanduser())

    def sign(self, path: str, begin: int, now: float) -> str:
        """Authorization header of a request for what is at a path, from a byte on."""
        stamp = f"{now:.3f}"
        return f"{_SCHEME} {stamp} {self._digest(path, begin, stamp)}"

    def proves(self, header: str, path: str, begin: int, now: float) -> bool:
        """Whether an Authorization header is by who knows the secret, and for this request."""
        scheme, _, rest = header.partition(" ")
        stamp, _, digest = rest.partition(" ")
        is_right = hmac.compare_digest(
            self._digest(path, begin, stamp).encode(), digest.encode("utf-8", "replace")
        )
        return is_right and scheme == _SCHEME and abs(float(stamp) - now) <= MOST_APART_SECONDS

    def _digest(self, path: str, begin: int, stamp: str) -> str:
        said = f"{path}\n{begin}\n{stamp}".encode("utf-8", "replace")
        return hmac.new(self._key, said, hashlib.sha256).hexdigest()


def _read(path: Path) -> bytes:
    """The secret. Raises ConfigError, which never quotes it."""
    secret = read_secret(path, _KEY, _LONGEST_FILE, _HINT).split(b"\n", 1)[0].strip()
    if len(secret) < SHORTEST_SECRET:
        raise ConfigError(
            f"{_KEY} {path} has a first line of {len(secret)} characters, want at least {SHORTEST_SECRET}",
            hint=_HINT,
        )
    return secret
