"""The files in deploy/orthanc/, in a real Orthanc: what goes to the node, and what never goes back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread

from casgan_dicom.node.client.peer import Peer
from casgan_dicom.node.client.results import StoreResult
from casgan_dicom.node.client.scu import store
from tests.faults.modality import cine
from tests.node.nodes import destination, node_settings, running_node, wait_for
from tests.support.fake_pacs import FakePacs
from tests.support.orthanc import Orthanc, read_config

pytestmark = pytest.mark.orthanc

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "orthanc"


@pytest.fixture
def routing(tmp_path: Path) -> Iterator[Orthanc]:
    """An Orthanc with the snippets, impatient as tests are."""
    extra = read_config(FOLDER / "synthetic.json")
    extra |= {"StableAge": 1, "LuaScripts": [str(FOLDER / "route.lua")], "DicomAlwaysAllowStore": True}
    with Orthanc.stock(tmp_path / "pacs", extra=extra) as running:
        yield running


def know(orthanc: Orthanc, port: int) -> None:
    """Tell it where the node is, as its configuration would."""
    node = {"AET": "CASGAN", "Host": "127.0.0.1", "Port": port}
    orthanc.request("PUT", "/modalities/casgan", json.dumps(node).encode())


def send(orthanc: Orthanc, path: Path, ae_title: str = "CATHLAB") -> str:
    """Store a file; its SOP Instance UID."""
    results: list[StoreResult] = []
    store(Peer("127.0.0.1", orthanc.dicom_port, orthanc.aet, ae_title), [path], results.append)
    assert [each.status for each in results] == [0]
    return str(dcmread(path, stop_before_pixels=True).SOPInstanceUID)


def stable_series(orthanc: Orthanc) -> int:
    """How many series Orthanc has called stable, and its script has seen."""
    changes = json.loads(orthanc.request("GET", "/changes?limit=1000"))["Changes"]
    return sum(change["ChangeType"] == "StableSeries" for change in changes)


def test_sources_go_to_the_node_and_nothing_else_does(routing: Orthanc, tmp_path: Path) -> None:
    with FakePacs(ae_title="CASGAN") as node:
        know(routing, node.port)
        first = send(routing, cine(tmp_path, "first"))
        synthetic = send(routing, cine(tmp_path, "synthetic", SyntheticData="YES"))
        ours = send(routing, cine(tmp_path, "stripped on the way"), "CASGAN")
        send(routing, cine(tmp_path, "another kind", Modality="OT"))
        last = send(routing, cine(tmp_path, "last", SyntheticData="NO", Modality="RF"))

        wait_for(lambda: {first, last} <= set(node.stored), "both sources")
        wait_for(lambda: stable_series(routing) == 5, "all series to be stable")
        wait_for(lambda: json.loads(routing.request("GET", "/jobs?expand")) != [], "the jobs")
        wait_for(
            lambda: all(
                job["State"] == "Success" for job in json.loads(routing.request("GET", "/jobs?expand"))
            ),
            "what Orthanc sends",
        )

    assert set(node.stored) == {first, last}
    assert ours not in node.requests
    assert synthetic not in node.requests


def test_orthanc_finds_what_is_synthetic(routing: Orthanc, tmp_path: Path) -> None:
    synthetic = send(routing, cine(tmp_path, "synthetic", SyntheticData="YES"))
    send(routing, cine(tmp_path, "source"))
    question = {"Level": "Instance", "Query": {"SyntheticData": "YES"}, "Expand": True}

    found = json.loads(routing.request("POST", "/tools/find", json.dumps(question).encode()))

    assert [each["MainDicomTags"]["SOPInstanceUID"] for each in found] == [synthetic]


def test_an_angiogram_comes_back_from_the_node_and_is_not_sent_there_again(
    routing: Orthanc, tmp_path: Path
) -> None:
    with running_node(node_settings(tmp_path, destination("orthanc", routing))) as node:
        know(routing, node.port)
        send(routing, cine(tmp_path / "sent", "run"))

        (job,) = node.wait_until_settled(1)
        wait_for(lambda: stable_series(routing) == 2, "the angiogram to be stable")
        wait_for(
            lambda: all(
                job["State"] == "Success" for job in json.loads(routing.request("GET", "/jobs?expand"))
            ),
            "what Orthanc sends",
        )
        jobs, status = node.jobs(), node.status()

    assert job.state == "done"
    assert jobs == [job]
    assert status.instances == 1
    assert routing.statistics().series == 2
