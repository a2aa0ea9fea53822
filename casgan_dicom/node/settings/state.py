"""Where the node keeps its books: what came in, what became of it, and what is to be done."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StateSettings:
    """The databases of a node. As it is, two files of SQLite in `data`: nothing has to be installed."""

    database: str = ""
    """URL of a PostgreSQL database, as postgresql://user@host/name, without a password; empty for SQLite."""
    password_file: str = ""
    """File whose first line is the password; empty for what libpq finds, such as ~/.pgpass."""
    schema: str = "casgan_dicom"
    """Schema of the ledger's tables in that database; that of the workflows has _dbos behind it."""
