"""What lies where in the data folder of a node."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path


@dataclass(frozen=True)
class Layout:
    """What lies where in the data folder of a node."""

    data: Path
    """The folder."""

    @cached_property
    def ledger(self) -> Path:
        """The node's own book."""
        return self.data / "node.sqlite"

    @cached_property
    def lock(self) -> Path:
        """Held by the supervisor while a node runs; holds its process id."""
        return self.data / "node.lock"

    @cached_property
    def audit(self) -> Path:
        """The audit trail; older parts of it lie beside it, numbered."""
        return self.data / "audit.log"

    @cached_property
    def audit_sent(self) -> Path:
        """How much of the audit trail was sent elsewhere."""
        return self.data / "audit-sent.json"

    @cached_property
    def page_tokens(self) -> Path:
        """Who may look at the page, where the settings name no other file."""
        return self.data / "page_tokens"

    @cached_property
    def trials(self) -> Path:
        """Files that rules are tried on, for as long as that takes."""
        return self.data / "trials"

    @cached_property
    def reload(self) -> Path:
        """What the supervisor answered when it was last told to read its settings again."""
        return self.data / "reload.json"

    @cached_property
    def restoring(self) -> Path:
        """Is there while a backup is restored, and after a restore that did not come to its end."""
        return self.data / "restore.unfinished"

    @cached_property
    def dbos(self) -> Path:
        """The durable workflows."""
        return self.data / "dbos.sqlite"

    @cached_property
    def books(self) -> Path:
        """Says which databases the files here belong to."""
        return self.data / "books"

    @cached_property
    def bells(self) -> Path:
        """Pipes by which processes wake each other."""
        return self.data / "bells"

    @cached_property
    def spool(self) -> Path:
        """Instances received, a folder for each series."""
        return self.data / "spool"

    @cached_property
    def incoming(self) -> Path:
        """Instances that are being received; in the spool, because a rename must not cross file systems."""
        return self.spool / "incoming"

    @cached_property
    def quarantine(self) -> Path:
        """Bytes that nothing can be made of."""
        return self.data / "quarantine"

    @cached_property
    def outbox(self) -> Path:
        """Derived objects."""
        return self.data / "outbox"

    @cached_property
    def fetched(self) -> Path:
        """Files of other hosts that are needed here for a while, a folder for each job."""
        return self.data / "fetched"

    @cached_property
    def identity(self) -> Path:
        """What tells this folder from that of any other host."""
        return self.data / "host.id"

    @cached_property
    def work(self) -> Path:
        """Where workers write before their results are whole."""
        return self.data / "work"
