"""Storage commitment with a real Orthanc, which reports on associations of its own: both ways."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from casgan_dicom.node.settings import NodeSettings, PeerSettings
from tests.faults.modality import cine, send_until_stored
from tests.node.nodes import destination, node_settings, running_node, wait_for
from tests.support.orthanc import Orthanc, free_ports

pytestmark = [pytest.mark.orthanc, pytest.mark.e2e]

Pair = tuple[Orthanc, NodeSettings]


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    """An Orthanc that knows the node, and settings of a node that knows Orthanc."""
    (port,) = free_ports(1)
    ours = {"AET": "CASGAN", "Host": "127.0.0.1", "Port": port}
    with Orthanc.stock(tmp_path / "orthanc", extra={"DicomModalities": {"casgan": ours}}) as pacs:
        committing = replace(destination("orthanc", pacs), commitment=True)
        settings = node_settings(tmp_path, committing)
        reached = PeerSettings(pacs.aet, report_host="127.0.0.1", report_port=pacs.dicom_port)
        yield (
            pacs,
            replace(
                settings,
                listener=replace(settings.listener, port=port),
                peers=(PeerSettings("CATHLAB"), reached),
            ),
        )


def test_orthanc_commits_what_it_has_and_the_job_is_done(tmp_path: Path, pair: Pair) -> None:
    pacs, settings = pair

    with running_node(settings) as node:
        send_until_stored(node.port, [cine(tmp_path / "sent", "run")])
        (row,) = node.wait_until_settled(1)

    assert (row.state, row.deliveries[0].state, row.deliveries[0].reason) == ("done", "sent", "")
    assert pacs.statistics().instances == 1


def test_what_orthanc_has_lost_is_sent_again_before_the_job_is_done(tmp_path: Path, pair: Pair) -> None:
    """Between storing and being asked, everything is deleted there: a job that was done would have lied."""
    pacs, settings = pair
    silent = replace(settings.destinations[0], commitment=True, commitment_seconds=3600)
    settings = replace(settings, destinations=(silent,))
    path = cine(tmp_path / "sent", "run")
    with running_node(settings) as node:
        send_until_stored(node.port, [path])
        node.wait_until_settled(1)
        with node.ledger.transaction() as db:  # as if it had been asked for nothing yet
            db.execute("UPDATE stores SET committed_at = NULL")
            db.execute("UPDATE deliveries SET state = 'committing', next_at = NULL")
            db.execute("UPDATE jobs SET state = 'delivering'")
            pacs.delete_all()
        (row,) = node.wait_until_settled(1)

    assert (row.state, row.deliveries[0].state) == ("done", "sent")
    assert pacs.statistics().instances == 1


def test_orthanc_is_told_what_we_keep_and_what_we_do_not(tmp_path: Path, pair: Pair) -> None:
    pacs, settings = pair
    path = cine(tmp_path / "sent", "run")
    ds = dcmread(path)
    objects = [
        {"SOPClassUID": str(ds.SOPClassUID), "SOPInstanceUID": str(sop_uid)}
        for sop_uid in (ds.SOPInstanceUID, "1.2.9")
    ]

    with running_node(replace(settings, destinations=())) as node:
        send_until_stored(node.port, [path])
        body = json.dumps({"DicomInstances": objects}).encode()
        asked = json.loads(pacs.request("POST", "/modalities/casgan/storage-commitment", body))

        def told() -> Any:  # noqa: ANN401  # JSON has no narrower type
            return json.loads(pacs.request("GET", asked["Path"]))

        wait_for(lambda: told()["Status"] != "Pending", lambda: f"the report, in place of {told()}")
        found = told()

    assert found["Status"] == "Failure"
    assert [each["SOPInstanceUID"] for each in found["Success"]] == [str(ds.SOPInstanceUID)]
    assert [(each["SOPInstanceUID"], each["FailureReason"]) for each in found["Failures"]] == [
        ("1.2.9", 0x0112)
    ]
