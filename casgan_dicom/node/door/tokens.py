"""Who may ask over HTTP: bearer tokens (RFC 6750) in a file, each with whom it proves.

    # whom it proves, and token
    CATHLAB1  hV0rZ2M1sRkq8pYt6bLw3nXe

The file is looked at before each request, so a token can be added or taken back while the node runs. A file
that is no good any more lets nobody in.
"""

from __future__ import annotations

import hmac
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from casgan_dicom.errors import ConfigError
from casgan_dicom.log import get_logger
from casgan_dicom.node.state.private import read_secret
from casgan_dicom.node.values import instead_of

SHORTEST_TOKEN = 16
"""Characters; shorter ones can be guessed."""
_LONGEST_FILE = 1024 * 1024
_HINT = "a line is a name, a space and a token, as from: openssl rand -hex 32"

log = get_logger("web")

Wrong = Callable[[str], str]


def _no_sender(name: str) -> str:
    wanted = instead_of("web.ae_title", name)
    return f"has no name of a sender, want {wanted}" if wanted else ""


class Tokens:
    """The tokens of a file; threads may share it.

    Parameters
    ----------
    path
        The file.
    key
        Of the settings that names it, for messages.
    wrong
        What is wrong with whom a line names, as "has no name"; empty where it is right.

    Raises
    ------
    ConfigError
        It is no good.
    """

    def __init__(self, path: Path, key: str, wrong: Wrong = _no_sender) -> None:
        self._path, self._key, self._wrong = path, key, wrong
        self._lock = threading.Lock()
        self._stamp = _stamp(path)
        self._names = _read(path, key, wrong)

    def name_of(self, authorization: str) -> str:
        """Whom an Authorization header proves; empty where it proves nobody."""
        scheme, _, token = authorization.partition(" ")
        found = self.owner_of(token.strip())
        return found if scheme.lower() == "bearer" else ""

    def owner_of(self, token: str) -> str:
        """Whom a token proves; empty where it proves nobody.

        Every token is compared, in a time that does not tell how much of it is right.
        """
        found = ""
        for known, name in self._current().items():
            if hmac.compare_digest(known.encode(), token.encode("utf-8", "replace")):
                found = name
        return found

    def _current(self) -> Mapping[str, str]:
        with self._lock:
            stamp = _stamp(self._path)
            if stamp != self._stamp:
                self._stamp = stamp
                try:
                    self._names = _read(self._path, self._key, self._wrong)
                except ConfigError as error:
                    self._names = {}
                    log.error("tokens cannot be used, nobody is let in", reason=error.message)
                else:
                    log.info("changed tokens are used", count=len(self._names))
            return self._names


def _read(path: Path, key: str, wrong: Wrong) -> Mapping[str, str]:
    """Name by token. Raises ConfigError, which quotes no token."""
    at, content = f"{key} {path}", read_secret(path, key, _LONGEST_FILE + 1, _HINT)
    if len(content) > _LONGEST_FILE or not content.isascii():
        raise ConfigError(f"{at} is not a text of ASCII of at most {_LONGEST_FILE} bytes", hint=_HINT)
    names: dict[str, str] = {}
    for number, line in enumerate(content.decode("ascii").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, token = line.strip().rpartition(" ")
        if wanted := wrong(name.strip()) or _wrong(token, names):
            raise ConfigError(f"{at}: line {number} {wanted}", hint=_HINT)
        names[token] = name.strip()
    if not names:
        raise ConfigError(f"{at} holds no token", hint=_HINT)
    return names


def _wrong(token: str, known: Mapping[str, str]) -> str:
    """What is wrong with the token of a line; empty where it is right."""
    if len(token) < SHORTEST_TOKEN or not token.isprintable():
        return f"has a token of {len(token)} characters, want at least {SHORTEST_TOKEN}"
    return "has a token that stands there before" if token in known else ""


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """What changes when the file does; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
