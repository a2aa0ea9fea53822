"""Ports that are free, held by the node itself, held by others, or not to be had."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from casgan_dicom.node.doctor.finding import Verdict
from casgan_dicom.node.doctor.ports import Door, doors, holder_of, look_at_port
from casgan_dicom.node.settings import HostSettings, NodeSettings, PageSettings, WebSettings
from tests.node.doctor.looking import one
from tests.node.nodes import node_settings, running_node
from tests.support.orthanc import free_ports

LOOPBACK = "127.0.0.1"


@pytest.fixture
def settings(tmp_path: Path) -> NodeSettings:
    """Of a node that never ran."""
    return NodeSettings(data=tmp_path)


def test_a_free_port_is_well_and_stays_free(settings: NodeSettings) -> None:
    (port,) = free_ports(1)

    assert one(look_at_port(Door("listener", LOOPBACK, port), settings)).verdict is Verdict.OK
    with socket.socket() as probe:
        probe.bind((LOOPBACK, port))


def test_a_port_that_another_program_holds_is_told_with_that_program(settings: NodeSettings) -> None:
    with socket.socket() as other:
        other.bind((LOOPBACK, 0))
        other.listen()
        port = other.getsockname()[1]

        found = one(look_at_port(Door("web", LOOPBACK, port), settings))
        holder = holder_of(port)

    assert (found.verdict, found.about) == (Verdict.FAIL, "web.port")
    assert holder is not None
    assert holder.pid == os.getpid()
    assert f"{holder.program} (process {os.getpid()})" in found.text
    assert f"port = {port + 1}" in found.advice


def test_nobody_holds_a_port_that_is_only_connected_to() -> None:
    with socket.socket() as server, socket.socket() as client:
        server.bind((LOOPBACK, 0))
        server.listen()
        client.connect(server.getsockname())

        assert holder_of(client.getsockname()[1]) is None


def test_the_port_of_the_node_that_runs_is_its_own(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    settings = node_settings(tmp_path)
    settings = replace(settings, listener=replace(settings.listener, port=port))

    with running_node(settings):
        own = one(look_at_port(Door("listener", LOOPBACK, port), settings))
        of_another = NodeSettings(data=tmp_path / "other")
        foreign = one(look_at_port(Door("listener", LOOPBACK, port), of_another))

    assert (own.verdict, foreign.verdict) == (Verdict.OK, Verdict.FAIL)


@pytest.mark.parametrize("host", ["203.0.113.77", "no-such-host.invalid"])
def test_an_address_that_is_not_of_this_machine_is_the_fault_of_host(
    settings: NodeSettings, host: str
) -> None:
    found = one(look_at_port(Door("listener", host, 11112), settings))

    assert (found.verdict, found.about) == (Verdict.FAIL, "listener.host")


def test_port_0_is_a_warning_since_no_peer_can_be_told_of_it(settings: NodeSettings) -> None:
    assert one(look_at_port(Door("listener", LOOPBACK, 0), settings)).verdict is Verdict.WARN


def test_the_port_for_http_is_looked_at_where_there_is_one() -> None:
    assert [each.at for each in doors(NodeSettings())] == ["listener"]
    every = NodeSettings(
        web=WebSettings(port=8080), page=PageSettings(port=8043), host=HostSettings("a", share_port=11180)
    )
    assert [each.key("port") for each in doors(every)] == [
        "listener.port", "web.port", "page.port", "host.share_port",
    ]  # fmt: skip
    assert doors(NodeSettings(host=HostSettings("a", roles=("worker",)))) == ()
