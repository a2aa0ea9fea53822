"""Which database of PostgreSQL a node keeps its books in, where it is no file of SQLite. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit


@dataclass(frozen=True)
class PostgresPlace:
    """A database, and what of it is the node's; without the password, so that it can be shown."""

    url: str
    """postgresql://user@host/name, as libpq takes it."""
    schema: str = "casgan_dicom"
    """Of the ledger's tables."""
    password_file: str = ""
    """File whose first line is the password; empty for what libpq finds."""

    @property
    def workflow_schema(self) -> str:
        """Of the tables of the durable workflows."""
        return f"{self.schema}_dbos"

    def __str__(self) -> str:
        parts = urlsplit(self.url)
        _, _, host = parts.netloc.rpartition("@")
        return f"{parts.scheme}://{host}{parts.path}"


Place = Path | PostgresPlace
"""Where a book lies: a file of SQLite, or a database of PostgreSQL."""
