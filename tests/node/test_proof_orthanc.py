"""Nothing was lost, as two real Orthancs tell it, by C-FIND and by QIDO-RS, while the node runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import UID

from casgan_dicom.node.proof.deviation import Deviation
from casgan_dicom.node.proof.proof import Proof, Scope, prove
from casgan_dicom.node.settings import ArchiveSettings, DestinationSettings, NodeSettings
from tests.faults.modality import cine, send_until_stored, stills
from tests.node.nodes import Node, destination, node_settings, running_node
from tests.support.factories import uid
from tests.support.orthanc import Orthanc, dicomweb, free_ports

pytestmark = pytest.mark.orthanc


def compared(node: Node, settings: NodeSettings) -> tuple[Proof, set[tuple[str, str, str]]]:
    """What the comparison finds with every destination."""
    found: list[Deviation] = []
    places = settings.destinations
    scope = Scope(ask=places, delivered=tuple(each.name for each in places))
    proof = prove(settings, node.ledger, scope, found.append)
    return proof, {(each.kind, each.where, each.what) for each in found}


def test_what_two_archives_hold_is_compared_object_by_object(tmp_path: Path) -> None:
    known = {"us": {"AET": "CASGAN", "Host": "127.0.0.1", "Port": free_ports(1)[0]}}
    by_find = Orthanc.stock(tmp_path / "find", extra={"DicomModalities": known})
    by_web = Orthanc.stock(tmp_path / "web", extra=dicomweb())
    strict = Orthanc.stock(tmp_path / "strict")
    with by_find, by_web, strict:
        url = f"http://127.0.0.1:{by_web.http_port}/dicom-web/studies"
        settings = node_settings(
            tmp_path,
            destination("pacs", by_find),
            DestinationSettings("web", kind="stow", url=url),
            destination("strict", strict),
        )
        with running_node(settings) as node:
            files = [cine(tmp_path / "sent", "run"), *stills(tmp_path / "sent", "stills", 2)]
            send_until_stored(node.port, files)
            jobs = node.wait_until_settled(2)

            proof, found = compared(node, settings)
            assert found == set()
            told = {each.archive: (each.delivered, each.found, bool(each.unknown)) for each in proof.archives}
            assert told == {"pacs": (2, 2, False), "web": (2, 2, False), "strict": (0, 0, True)}

            ours = [dcmread(path) for row in jobs for path in row.derived]
            lost = [str(each.SOPInstanceUID) for each in ours]
            for pacs, sop_uid in ((by_find, lost[0]), (by_web, lost[1])):
                pacs.request("DELETE", f"/instances/{pacs.find('Instance', sop_uid)}")
            foreign = ours[1]
            foreign.SOPInstanceUID = foreign.file_meta.MediaStorageSOPInstanceUID = UID(uid("foreign"))
            foreign.save_as(tmp_path / "foreign.dcm")
            by_find.add(tmp_path / "foreign.dcm")

            proof, found = compared(node, settings)

    assert found == {
        ("not-in-archive", "pacs", lost[0]),
        ("not-in-archive", "web", lost[1]),
        ("not-ours", "pacs", uid("foreign")),
    }
    assert proof.is_lost


def test_another_archive_is_asked_for_what_went_to_a_destination(tmp_path: Path) -> None:
    """As where a gateway takes what the archive behind it keeps."""
    with Orthanc.stock(tmp_path / "orthanc", extra=dicomweb()) as pacs:
        settings = node_settings(tmp_path, destination("pacs", pacs))
        with running_node(settings) as node:
            send_until_stored(node.port, [cine(tmp_path / "sent", "run")])
            node.wait_until_settled(1)
            web = ArchiveSettings("web", kind="dicomweb", url=f"http://127.0.0.1:{pacs.http_port}/dicom-web")
            wrong = replace(web, name="wrong", url=f"{web.url}/nowhere")
            scope = Scope(ask=(web, wrong), delivered=("pacs", "pacs"))

            proof = prove(settings, node.ledger, scope, lambda _: None)

    assert [(each.archive, each.found, bool(each.unknown)) for each in proof.archives] == [
        ("web", 1, False),
        ("wrong", 0, True),
    ]
    assert not proof.is_lost
