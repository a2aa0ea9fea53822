"""Which settings of [host] make sense together, by key."""

from __future__ import annotations

import re
from typing import Any

import pytest

from casgan_dicom.node.checks import problems
from casgan_dicom.node.settings import HostSettings, NodeSettings, StateSettings

POSTGRES = StateSettings("postgresql://casgan@db.example/casgan")
NAMED: dict[str, Any] = {"name": "a"}
SHARING: dict[str, Any] = NAMED | {"share_port": 8044, "secret_file": "/s"}


def told(state: StateSettings = POSTGRES, **host: Any) -> tuple[str, ...]:  # noqa: ANN401  # as the settings
    return problems(NodeSettings(state=state, host=HostSettings(**host)))


@pytest.mark.parametrize(
    ("host", "wanted"),
    [
        ({"roles": ("worker",)}, "host.name is '', want a name for this host with it: host.roles is set"),
        ({"share_port": 8044}, "host.name is '', want a name .* host.share_port is set"),
        ({"shared": True}, "host.name is '', want a name .* host.shared is set"),
        ({"name": "a host"}, "host.name is 'a host', want 1 to 32 letters"),
        (NAMED | {"roles": ()}, r"host.roles is \(\), want one at least"),
        (NAMED | {"roles": ("cook",)}, "want of listener, coordinator, worker, sender"),
        (NAMED | {"lease_seconds": 1.0}, "host.lease_seconds is 1, want 2 to 3600"),
        (NAMED | {"share_port": 8044}, "host.secret_file is not set, want a file"),
        (SHARING | {"share_host": "10.1.2.3"}, "want a loopback address, or host.tls_certificate with it"),
        (SHARING | {"tls_key": "/k"}, "host.tls_certificate is '', want a file: host.tls_key is set"),
        (
            SHARING | {"share_host": "0.0.0.0", "unencrypted": True},
            "want the address at which the other hosts reach this one",
        ),
    ],
)
def test_what_makes_no_sense_is_told_by_key(host: dict[str, Any], wanted: str) -> None:
    (found,) = told(**host)
    assert re.search(wanted, found)


def test_several_hosts_share_no_file_of_sqlite() -> None:
    (found,) = told(StateSettings(), **NAMED)
    assert found == "state.database is '', want a PostgreSQL database: several hosts share no file of SQLite"


@pytest.mark.parametrize(
    "host",
    [
        {},
        NAMED,
        SHARING,
        NAMED | {"shared": True, "roles": ("worker",)},
        SHARING | {"share_host": "10.1.2.3", "unencrypted": True},
        SHARING | {"share_host": "node1.example", "tls_certificate": "/c", "tls_key": "/k"},
    ],
)
def test_the_rest_makes_sense(host: dict[str, Any]) -> None:
    assert told(**host) == ()
