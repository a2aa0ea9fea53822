"""How a node is, for everybody who asks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from time import time

import pytest

from casgan_dicom.node.service import _alone_in
from casgan_dicom.node.settings import HostSettings, NodeSettings, PeerSettings
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.processes import Processes
from casgan_dicom.node.state.receipts import Receipts
from casgan_dicom.node.web.asked import Asked
from casgan_dicom.node.web.holders import Holder
from casgan_dicom.node.web.looks import status as shown
from casgan_dicom.node.web.site import Site
from casgan_dicom.node.work.cleaner import Cleaner
from casgan_dicom.node.work.condition import status_of
from casgan_dicom.node.work.notifier import wrong_now
from tests.node.ledgers import received

LOOKS = Asked(Holder("a", "look"), "", {}, {})


@pytest.fixture
def settings(tmp_path: Path) -> NodeSettings:
    return NodeSettings(data=tmp_path, host=HostSettings("b"))


@pytest.fixture
def ledger(settings: NodeSettings) -> Iterator[Ledger]:
    opened = Ledger(Layout(settings.data).ledger)
    yield opened
    opened.close()


def test_processes_are_those_of_this_host(settings: NodeSettings, ledger: Ledger) -> None:
    Processes(ledger, "a").note({"listener": 1}, time())
    Processes(ledger, "b").note({"worker.cpu": 2}, time())

    with _alone_in(settings):
        found = status_of(settings, ledger, Cleaner(settings, ledger).plan(time()))
        page = shown(Site(settings, ledger, ["worker.cpu"]), LOOKS)
        told = wrong_now(settings, ledger, time())

    assert (found.phase, found.processes) == ("running", {"worker.cpu": 2})
    assert (page.phase, page.processes[0].pid) == ("running", 2)
    assert "node" not in [each.event for each in told]


def test_the_page_misses_the_peers_that_others_are_told_of(settings: NodeSettings, ledger: Ledger) -> None:
    Receipts(ledger, "r").enter(received("a"), time() - 100)
    peers = (PeerSettings("CATHLAB", expected_every_seconds=10),)
    expecting = NodeSettings(data=settings.data, host=settings.host, peers=peers)

    told = {each.text for each in wrong_now(expecting, ledger, time()) if each.event == "peer_away"}

    assert len(told) == 1
    assert told <= {each.text for each in shown(Site(expecting, ledger, []), LOOKS).findings}
