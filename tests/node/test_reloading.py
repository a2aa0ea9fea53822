"""Which settings are taken while a node runs, and which processes begin anew for them."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest

from casgan_dicom.errors import ConfigError
from casgan_dicom.node.reloading import RELOADED, processes_to_restart, refuse_restart
from casgan_dicom.node.settings import (
    ArchiveSettings,
    AuditSettings,
    CompletionSettings,
    DestinationSettings,
    HostSettings,
    InboxSettings,
    ListenerSettings,
    NodeSettings,
    NotificationSettings,
    PageSettings,
    PeerSettings,
    PullSettings,
    RestartSettings,
    RetentionSettings,
    RetrySettings,
    ReviewSettings,
    RuleSettings,
    StateSettings,
    WebSettings,
    WorkerSettings,
)

NOW = NodeSettings()
TAKEN = {
    "rules": (RuleSettings("all"),),
    "peers": (PeerSettings("CATHLAB"),),
    "completion": CompletionSettings(quiet_seconds=5),
    "retry": RetrySettings(first_seconds=1),
    "retention": RetentionSettings(delivered_seconds=1),
    "review": ReviewSettings(record="sr"),
    "destinations": (DestinationSettings("pacs", "pacs.example", 104, "PACS"),),
}
REFUSED = {
    "data": (Path("/elsewhere"), "data"),
    "listener": (ListenerSettings(port=104, ae_title="OTHER"), "listener.port, listener.ae_title"),
    "worker": (WorkerSettings(bundle="casgan"), "worker.bundle"),
    "restart": (RestartSettings(first_seconds=1), "restart.first_seconds"),
    "audit": (AuditSettings(files=1), "audit.files"),
    "host": (HostSettings("a"), "host.name"),
    "state": (StateSettings("postgresql://casgan@h/casgan"), "state.database"),
    "web": (WebSettings(port=8042), "web.port"),
    "page": (PageSettings(port=8044), "page.port"),
    "archives": ((ArchiveSettings("pacs", "pacs.example", 104, "PACS"),), "archives#1.name, .*"),
    "pulls": ((PullSettings("pacs"),), "pulls#1.archive, .*"),
    "notifications": ((NotificationSettings("chat"),), "notifications#1.name, .*"),
    "inboxes": ((InboxSettings("/srv/xa"),), "inboxes#1.path, .*"),
}


def test_every_table_of_the_settings_is_one_or_the_other() -> None:
    assert TAKEN.keys() == set(RELOADED)
    assert {field.name for field in fields(NodeSettings)} == TAKEN.keys() | REFUSED.keys()


@pytest.mark.parametrize("name", TAKEN)
def test_what_is_taken_is_not_refused(name: str) -> None:
    wanted = replace(NOW, **{name: TAKEN[name]})  # type: ignore[arg-type]  # of its own type

    refuse_restart(NOW, wanted)
    refuse_restart(wanted, NOW)


@pytest.mark.parametrize("name", REFUSED)
def test_what_takes_a_restart_is_named_key_by_key(name: str) -> None:
    value, keys = REFUSED[name]
    wanted = replace(NOW, **{name: value}, rules=(RuleSettings("all"),))  # type: ignore[arg-type]

    with pytest.raises(ConfigError, match=f"a restart is needed for {keys}: nothing was taken"):
        refuse_restart(NOW, wanted)


@pytest.mark.parametrize(
    ("name", "anew"),
    [
        ("rules", {"coordinator", "keeper", "inbox", "puller"}),
        ("peers", {"coordinator", "courier"}),
        ("completion", {"coordinator"}),
        ("retry", {"sender"}),
        ("retention", {"coordinator", "keeper", "courier"}),
        ("review", {"coordinator", "keeper"}),
        ("destinations", {"coordinator", "sender", "courier"}),
    ],
)
def test_only_who_has_to_begins_anew(name: str, anew: set[str]) -> None:
    wanted = replace(NOW, **{name: TAKEN[name]})  # type: ignore[arg-type]  # of its own type

    assert processes_to_restart(NOW, wanted) == anew
    assert processes_to_restart(NOW, NOW) == set()
