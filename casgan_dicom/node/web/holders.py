"""Who may look at the node, and who may act: tokens in a file, each with a name and a role.

    # name, role and token
    anna    act   hV0rZ2M1sRkq8pYt6bLw3nXe
    wallboard look 1d0f…

A name stands in the audit trail beside what was done. Where the settings name no file, one is made with a
single token, in the data folder, for its owner alone.
"""

from __future__ import annotations

import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from casgan_dicom.disk import whole_file
from casgan_dicom.node.door.tokens import Tokens
from casgan_dicom.node.settings import NodeSettings
from casgan_dicom.node.state.layout import Layout

Role = Literal["look", "act"]
"""look: see everything; act: also change what becomes of jobs and deliveries."""

_LINE = re.compile(r"([!-~]{1,64})[ \t]+(\w+)")
_FIRST_NAME = "page"
_TOKEN_BYTES = 32


@dataclass(frozen=True)
class Holder:
    """Somebody who has a token."""

    name: str
    """What the audit trail calls them."""
    role: Role
    """What they may do."""

    def may(self, role: Role) -> bool:
        """Whether they may do what takes a role."""
        return role == "look" or self.role == "act"


class Holders:
    """Everybody who has a token; threads may share it.

    Parameters
    ----------
    path
        The file of tokens.

    Raises
    ------
    ConfigError
        It is no good.
    """

    def __init__(self, path: Path) -> None:
        self._tokens = Tokens(path, "page.tokens_file", _wrong)

    def holder_of(self, token: str) -> Holder | None:
        """Who has a token; None if nobody has, or not any more."""
        found = _LINE.fullmatch(self._tokens.owner_of(token)) if token else None
        return None if found is None else Holder(found[1], cast(Role, found[2]))


def tokens_path(settings: NodeSettings) -> Path:
    """Where the tokens of a node's page stand."""
    named = settings.page.tokens_file
    return Path(named).expanduser() if named else Layout(settings.data).page_tokens


def make_first_token(settings: NodeSettings) -> None:
    """Make the file of the data folder with a token that may act, unless it is there. Raises OSError."""
    path = tokens_path(settings)
    if settings.page.tokens_file or path.exists():
        return
    about = "# A name, look or act, and a token: docs/operations.md, The page\n"
    with whole_file(path) as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(f"{about}{_FIRST_NAME} act {secrets.token_urlsafe(_TOKEN_BYTES)}\n".encode("ascii"))


def _wrong(text: str) -> str:
    """What is wrong with the name and role of a line; empty where they are right."""
    found = _LINE.fullmatch(text)
    if found is None:
        return "has no name and role, want a name of at most 64 characters without spaces, and look or act"
    return "" if found[2] in get_args(Role) else "has another role than look or act"
