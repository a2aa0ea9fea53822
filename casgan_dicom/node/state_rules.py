"""Which settings of the databases make sense. Pure; single values: ``values.py``.

What is wrong is told without the URL: it may hold a password by mistake, and messages go into logs.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

from casgan_dicom.node.settings import StateSettings

StateFault = tuple[str, tuple[str, ...]]
"""What is wrong, and every key that the rule looked at."""

_DATABASE = "state.database"
_PASSWORD_FILE = "state.password_file"
_SCHEMES = ("postgresql", "postgres")
_WANTED = "'' (SQLite in `data`), or postgresql://user@host/name"


def state_faults(state: StateSettings) -> Iterator[StateFault]:
    """Everything that makes no sense."""
    if state.database:
        if fault := _of_url(state.database):
            yield f"{_DATABASE} {fault}", (_DATABASE,)
    elif state.password_file:
        keys = _PASSWORD_FILE, _DATABASE
        yield f"{_PASSWORD_FILE} is set, want '': {_DATABASE} is '', and SQLite has no password", keys


def _of_url(url: str) -> str:
    """What is wrong with the URL of a database; empty if nothing is."""
    try:
        parts = urlsplit(url)
        query = parse_qs(parts.query, keep_blank_values=True)
    except ValueError:
        return f"is no URL, want {_WANTED}"
    if parts.scheme not in _SCHEMES or not url.startswith(f"{parts.scheme}://"):
        return f"is no URL of PostgreSQL, want {_WANTED}"
    user, _, _ = parts.netloc.rpartition("@")
    if ":" in user or "password" in query:
        return f"holds a password, want it in the file that {_PASSWORD_FILE} names, or in ~/.pgpass"
    if parts.path in ("", "/") and "dbname" not in query:
        return f"names no database, want {_WANTED}"
    return ""
