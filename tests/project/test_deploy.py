"""The files in deploy/ do what its page says, with the real programs."""

from __future__ import annotations

import http.client
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread
from pynetdicom import AE
from pynetdicom.sop_class import XRayAngiographicImageStorage  # type: ignore[attr-defined]

from casgan_dicom.node.settings import ListenerSettings
from docs.build import broken_links
from tests.support.factories import write_xa
from tests.support.orthanc import Orthanc, read_config

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """An Orthanc that runs with a copy of the file, comments and fixed ports and all."""
    copy = tmp_path_factory.mktemp("pacs") / "orthanc.json"
    shutil.copy(DEPLOY / "orthanc.json", copy)
    with Orthanc(copy) as running:
        yield running


def test_the_node_that_orthanc_knows_is_a_node_with_default_settings() -> None:
    config, node = read_config(DEPLOY / "orthanc.json"), ListenerSettings()

    assert config["DicomModalities"] == {"casgan": [node.ae_title, node.host, node.port]}


def test_the_page_names_the_ports_of_the_file() -> None:
    config, page = read_config(DEPLOY / "orthanc.json"), (DEPLOY / "README.md").read_text(encoding="utf-8")

    assert f"`{config['DicomAet']}`, {config['DicomPort']}" in page
    assert f"<http://127.0.0.1:{config['HttpPort']}>" in page
    assert re.search(rf"close\s+ports {config['DicomPort']} and {config['HttpPort']}", page)


def test_no_link_of_the_page_is_broken() -> None:
    assert broken_links(DEPLOY) == []
    assert "[orthanc.json](orthanc.json)" in (DEPLOY / "README.md").read_text(encoding="utf-8")


@pytest.mark.orthanc
def test_orthanc_starts_with_the_file_and_stores_beside_it(beside: Orthanc) -> None:
    system = json.loads(beside.request("GET", "/system"))

    assert (system["DicomAet"], system["DicomPort"], system["HttpPort"]) == ("ORTHANC", 4242, 8042)
    assert (beside.config.parent / "orthanc-storage").is_dir()
    assert json.loads(beside.request("GET", "/modalities")) == ["casgan"]


@pytest.mark.orthanc
# pynetdicom forgets, unclosed, the socket of an association that the peer has cut.
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
@pytest.mark.parametrize(
    ("calling", "called", "address", "accepted"),
    [
        ("CASGAN", "ORTHANC", "127.0.0.1", True),
        ("STRANGER", "ORTHANC", "127.0.0.1", False),
        ("CASGAN", "WRONG", "127.0.0.1", False),
        ("CASGAN", "ORTHANC", "127.0.0.2", False),
    ],
)
def test_only_the_node_may_store(
    beside: Orthanc, tmp_path: Path, calling: str, called: str, address: str, accepted: bool
) -> None:
    beside.delete_all()
    ae = AE(ae_title=calling)
    ae.add_requested_context(XRayAngiographicImageStorage)

    assoc = ae.associate("127.0.0.1", beside.dicom_port, ae_title=called, bind_address=(address, 0))
    if assoc.is_established:
        assoc.send_c_store(dcmread(write_xa(tmp_path / "a")))
        assoc.release()
        assoc.join(30)

    assert beside.statistics().instances == int(accepted)


@pytest.mark.orthanc
@pytest.mark.parametrize(("address", "status"), [("127.0.0.1", 200), ("127.0.0.2", 401)])
def test_only_this_machine_may_use_page_and_rest(beside: Orthanc, address: str, status: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", beside.http_port, source_address=(address, 0))
    try:
        connection.request("GET", "/system")
        assert connection.getresponse().status == status
    finally:
        connection.close()
