"""What is not as the ledger says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["missing", "length", "damaged", "unknown-file", "not-in-archive", "not-ours"]
LOSSES: tuple[Kind, ...] = ("missing", "length", "damaged", "not-in-archive")
"""Kinds by which something that the ledger says is there is not, or not as it was."""


@dataclass(frozen=True)
class Deviation:
    """One thing that is not as the ledger says."""

    kind: Kind
    """``missing``, ``length`` and ``damaged``: a file is not there, of another length, or of other content.
    ``unknown-file``: one that nobody knows. ``not-in-archive``: an object that was delivered is not there.
    ``not-ours``: one is there, in a series of ours, that this node has not made."""
    where: str
    """A room of the data folder, or the archive that was asked."""
    what: str
    """The path of a file, or a SOP Instance UID (0008,0018)."""
