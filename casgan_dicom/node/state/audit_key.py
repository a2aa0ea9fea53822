"""The key of the chain of an audit trail: a file that is read for each line, so that it may be replaced."""

from __future__ import annotations

from pathlib import Path

from casgan_dicom.errors import ConfigError
from casgan_dicom.node.settings import AuditSettings

_SHORTEST, _LONGEST = 16, 4096
"""Bytes of a key."""


def chain_key(settings: AuditSettings) -> bytes | None:
    """The key; None where the chain has none. Raises ConfigError, which never quotes it, for a wrong file."""
    return None if settings.key_file is None else read_key(settings.key_file)


def read_key(path: Path) -> bytes:
    """All of a file, without white space at its end. Raises ConfigError as `chain_key`."""
    try:
        with path.open("rb") as file:
            key = file.read(_LONGEST + 1).rstrip()
    except OSError as error:
        raise ConfigError(
            f"audit.key_file {path} cannot be read ({error.strerror})",
            hint="the user of the node must be able to read it: `openssl rand -hex 32` makes what it holds",
        ) from error
    if not _SHORTEST <= len(key) <= _LONGEST:
        raise ConfigError(
            f"audit.key_file {path} holds {len(key)} bytes, want {_SHORTEST} to {_LONGEST}",
            hint="`openssl rand -hex 32` makes a good one",
        )
    return key
