"""From a modality through the node into a real Orthanc."""

from __future__ import annotations

import io
import os
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread

from casgan_dicom.node.settings import DestinationSettings, NodeSettings, StateSettings
from casgan_dicom.node.state.overview import JobRow
from casgan_dicom.verification.verify import verify_file
from tests.node.nodes import Node, destination, node_settings, running_node, wait_for
from tests.support.orthanc import Orthanc, dicomweb
from tests.support.programs import find_program
from tests.support.validators import dciodvfy, of_our_making

pytestmark = [pytest.mark.orthanc, pytest.mark.e2e]

SAMPLES = Path(__file__).resolve().parents[2] / "sample_series"


def storescu(node: Node, files: Sequence[Path], *options: str, delay: bool = False) -> None:
    """Send as a modality does, with DCMTK."""
    program = find_program("storescu", "dcmtk")
    command = [program, *options, "-aet", "CATHLAB", "-aec", "CASGAN", "127.0.0.1", str(node.port)]
    environment = os.environ | ({"TCP_NODELAY": "0"} if delay else {})
    subprocess.run([*command, *map(str, files)], env=environment, check=True)


def sample(form: str) -> list[Path]:
    """The files of a sample series."""
    return sorted((SAMPLES / form).rglob("*.dcm"))


def shipped(settings: NodeSettings) -> NodeSettings:
    """With the weights that users get."""
    return replace(settings, worker=replace(settings.worker, bundle="casgan", engine="auto"))


def check_delivered(row: JobRow, pacs: Orthanc) -> Path:
    """Compare what Orthanc has with what is in the outbox; the file there."""
    (path,) = map(Path, row.derived)
    ours = dcmread(path)
    assert set(pacs.instances(str(ours.SeriesInstanceUID))) == {str(ours.SOPInstanceUID)}
    there = dcmread(io.BytesIO(pacs.file(str(ours.SOPInstanceUID))))
    assert there == ours  # every element, Pixel Data included; Orthanc writes its own file meta
    assert there.PixelData == ours.PixelData
    assert verify_file(path) == []
    assert of_our_making(dciodvfy(path)) == []
    return path


@pytest.mark.parametrize("delay", [False, True], ids=["TCP_NODELAY", "Nagle"])
@pytest.mark.parametrize("form", ["multi-frame", "single-frame"])
def test_a_simulated_cine_arrives_as_a_derived_series(
    orthanc: Orthanc, tmp_path: Path, form: str, delay: bool
) -> None:
    files = sample(form)
    settings = shipped(node_settings(tmp_path, destination("orthanc", orthanc)))

    with running_node(settings) as node:
        storescu(node, files, delay=delay)
        (row,) = node.wait_until_settled(1)

    assert (row.state, row.instances, row.peer) == ("done", len(files), "CATHLAB")
    path = check_delivered(row, orthanc)
    derived, source = dcmread(path), dcmread(files[0])
    assert derived.StudyInstanceUID == source.StudyInstanceUID
    assert derived.SeriesInstanceUID != source.SeriesInstanceUID
    picture = np.asarray(Image.open(io.BytesIO(orthanc.preview(str(derived.SOPInstanceUID)))))
    assert picture.shape[:2] == (derived.Rows, derived.Columns)
    assert picture.std() > 0


def test_the_real_cine_arrives_as_a_derived_series(orthanc: Orthanc, tmp_path: Path, real_xa: Path) -> None:
    settings = shipped(node_settings(tmp_path, destination("orthanc", orthanc)))

    with running_node(settings) as node:
        storescu(node, [real_xa / "XA_RCA_96f_jpegbaseline.dcm"], "-xy")
        (row,) = node.wait_until_settled(1)

    assert row.state == "done"
    assert dcmread(check_delivered(row, orthanc), stop_before_pixels=True).NumberOfFrames == 96


def test_orthanc_stopped_and_started_again_gets_everything_once(
    tmp_path: Path, state_settings: StateSettings
) -> None:
    """On both databases: the way of a series through all processes, and a delivery that is tried again."""
    pacs = Orthanc.stock(tmp_path / "orthanc")
    settings = replace(node_settings(tmp_path, destination("orthanc", pacs)), state=state_settings)

    with running_node(settings) as node:
        for form in ("multi-frame", "single-frame"):
            storescu(node, sample(form))
        waiting = node.wait_for_attempts(2)
        with pacs:
            rows = node.wait_until_settled(2)
            for row in rows:
                check_delivered(row, pacs)
            assert pacs.statistics().instances == 2

    assert all(delivery.state == "waiting" for delivery in waiting)
    assert [row.state for row in rows] == ["done", "done"]


def test_a_cine_goes_over_the_web_and_into_a_folder_though_one_of_them_is_away(tmp_path: Path) -> None:
    """Each destination has a queue of its own; what one lacks holds up nothing that goes to the other."""
    pacs = Orthanc.stock(tmp_path / "orthanc", extra=dicomweb())
    share = tmp_path / "share"
    url = f"http://127.0.0.1:{pacs.http_port}/dicom-web/studies"
    settings = node_settings(
        tmp_path,
        DestinationSettings("web", kind="stow", url=url),
        DestinationSettings("share", kind="folder", folder=share),
    )

    with running_node(settings) as node:
        storescu(node, sample("multi-frame"))
        node.wait_for_attempts(2)
        with pacs:
            wait_for(lambda: {each.state for each in node.jobs()[0].deliveries} == {"waiting", "sent"}, "one")
            assert not share.exists()
            share.mkdir()
            (row,) = node.wait_until_settled(1)
            path = check_delivered(row, pacs)
            assert pacs.statistics().instances == 1

    assert {each.destination: each.state for each in row.deliveries} == {"web": "sent", "share": "sent"}
    (there,) = share.rglob("*.dcm")
    assert there.read_bytes() == path.read_bytes()
    assert there.parent.name == dcmread(path).SeriesInstanceUID
