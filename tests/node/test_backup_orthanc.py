"""A node that is backed up at work, killed, wiped and restored: a real Orthanc holds what it should."""

from __future__ import annotations

import os
import shutil
import signal
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import dcmread

from casgan_dicom.conversion.options import ConvertOptions
from casgan_dicom.conversion.pipeline import convert_series
from casgan_dicom.model.generator import Generator
from casgan_dicom.node.backup.restoring import restore
from casgan_dicom.node.backup.saving import back_up
from casgan_dicom.node.proof.deviation import Deviation
from casgan_dicom.node.proof.proof import Scope, prove
from casgan_dicom.node.state.layout import Layout
from tests.faults.modality import cine, send_until_stored
from tests.node.nodes import bundle_in, destination, node_settings, running_node, wait_for
from tests.support.orthanc import Orthanc, free_ports

pytestmark = pytest.mark.orthanc

SERIES, FRAMES = 5, 16


def source_uid(path: Path) -> str:
    return str(dcmread(path, stop_before_pixels=True).SOPInstanceUID)


def test_nothing_acknowledged_before_a_backup_is_lost_and_nothing_is_there_twice(tmp_path: Path) -> None:
    sources = [cine(tmp_path / "sent", f"run {k}", frames=FRAMES) for k in range(SERIES + 1)]
    generator = Generator.load(bundle_in(tmp_path), device="cpu", engine="torch")
    report = convert_series(sources, lambda: generator, ConvertOptions(), tmp_path / "expected")
    derived = {uid: each.sop_instance_uid for each in report.outputs for uid in each.source_instances}
    assert len(derived) == SERIES + 1
    known = {"us": {"AET": "CASGAN", "Host": "127.0.0.1", "Port": free_ports(1)[0]}}

    with Orthanc.stock(tmp_path / "orthanc", extra={"DicomModalities": known}) as pacs:
        settings = node_settings(tmp_path, destination("orthanc", pacs))
        layout = Layout(settings.data)
        with running_node(settings) as node:
            send_until_stored(node.port, sources[:SERIES])
            wait_for(lambda: pacs.statistics().instances > 0, "the first delivery")
            card = back_up(layout, tmp_path / "backup")
            states = {row.state for row in node.jobs()}
            send_until_stored(node.port, sources[SERIES:])  # which the backup does not know
            wait_for(lambda: len({row.job for row in node.jobs()}) == SERIES + 1, "its job")
            for pid in node.status().processes.values():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        assert states - {"done"}, "everything was done before the backup: there was nothing in the middle"
        shutil.rmtree(settings.data)

        restore(tmp_path / "backup", layout)
        with running_node(replace(settings)) as node:
            rows = node.wait_until_settled(SERIES, seconds=300)
            assert [row.state for row in rows] == ["done"] * SERIES
            acknowledged = {derived[source_uid(each)] for each in sources[:SERIES]}
            assert all(pacs.find("Instance", uid) for uid in acknowledged)
            send_until_stored(node.port, sources)  # as a modality that does not know what came
            rows = node.wait_until_settled(SERIES + 1, seconds=300)
            found: list[Deviation] = []
            proof = prove(
                settings, node.ledger, Scope(ask=settings.destinations, delivered=("orthanc",)), found.append
            )

        assert found == []
        assert proof.archives[0].found == SERIES + 1
        assert pacs.statistics().instances == SERIES + 1
        assert all(pacs.find("Instance", uid) for uid in derived.values())
    assert card.missing == 0
