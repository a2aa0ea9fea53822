"""Which settings a node takes while it runs, and which take a restart. Pure."""

from __future__ import annotations

from dataclasses import fields

from casgan_dicom.config import leaves
from casgan_dicom.errors import ConfigError
from casgan_dicom.node.settings import NodeSettings

RELOADED = ("rules", "peers", "completion", "retry", "retention", "review", "destinations")
"""Tables of the settings that a node takes while it runs."""


def refuse_restart(now: NodeSettings, wanted: NodeSettings) -> None:
    """Raise ConfigError that names every key for which a node would have to be restarted."""
    known = dict(leaves(now))
    changed = [
        key
        for key, value in leaves(wanted)
        if key.partition(".")[0].partition("#")[0] not in RELOADED and known.get(key) != value
    ]
    if changed:
        raise ConfigError(
            f"a restart is needed for {', '.join(changed)}: nothing was taken",
            hint=f"a reload takes {', '.join(RELOADED)}; restart the node for anything else",
        )


def processes_to_restart(now: NodeSettings, wanted: NodeSettings) -> set[str]:
    """Roles that begin anew to take other settings; the others are told."""
    differ = {each.name for each in fields(now) if getattr(now, each.name) != getattr(wanted, each.name)}
    asked_by = {
        "coordinator": {"rules", "peers", "completion", "retention", "review", "destinations"},
        "sender": {"retry", "destinations"},
        "keeper": {"rules", "retention", "review"},
        "inbox": {"rules"},
        "puller": {"rules"},
        "courier": {"peers", "retention", "destinations"},
    }
    return {role for role, tables in asked_by.items() if differ & tables}
