"""A whole node that talks TLS both ways, with DCMTK at both ends; and the commands of docs/operations.md."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sysconfig
from dataclasses import replace
from pathlib import Path

import pytest

from casgan_dicom.errors import ConfigError, PeerError
from casgan_dicom.node.client.peer import Peer
from casgan_dicom.node.client.scu import echo
from casgan_dicom.node.settings import DestinationSettings, ListenerSettings
from tests.node.nodes import PROGRAM, node_settings, running_node, wait_for
from tests.node.secure import Authority, Pair, listener_keys
from tests.project.test_readme import blocks
from tests.support.factories import write_xa
from tests.support.orthanc import free_ports
from tests.support.programs import find_program

ROOT = Path(__file__).resolve().parents[2]


def listens(port: int) -> bool:
    """Whether something does; it need not like what it hears."""
    try:
        echo(Peer("127.0.0.1", port, "ANY", "ANY", 2, 2))
    except PeerError as error:
        return "refused" not in error.message
    return True


def test_series_comes_in_and_goes_out_by_tls(
    tmp_path: Path, authority: Authority, node: Pair, modality: Pair
) -> None:
    into = tmp_path / "into"
    into.mkdir()
    (port,) = free_ports(1)
    pacs = authority.issue("pacs", names=["pacs.example"])
    tls = ["+tls", str(pacs.key), str(pacs.certificate), "+cf", str(authority.certificate), "+px"]
    command = [find_program("storescp", "dcmtk"), *tls, "-od", str(into), str(port)]
    archive = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    there = DestinationSettings(
        "pacs",
        "127.0.0.1",
        port,
        "STORESCP",
        tls=True,
        tls_authorities=str(authority.certificate),
        tls_name="pacs.example",
    )
    keys = listener_keys(authority, node)
    settings = node_settings(tmp_path, there)
    settings = replace(settings, listener=ListenerSettings(port=0, min_free_bytes=0, **keys))
    try:
        wait_for(lambda: listens(port), "storescp")
        with running_node(settings) as running:
            tls = ["+tls", str(modality.key), str(modality.certificate), "+cf", str(authority.certificate)]
            send = [find_program("storescu", "dcmtk"), *tls, "-aec", "CASGAN", "localhost", str(running.port)]
            subprocess.run([*send, str(write_xa(tmp_path / "x.dcm"))], check=True, timeout=60)
            bare = [find_program("echoscu", "dcmtk"), "-aec", "CASGAN", "localhost", str(running.port)]
            assert subprocess.run(bare, check=False, capture_output=True, timeout=60).returncode != 0

            (job,) = running.wait_until_settled(1)

            assert [each.state for each in job.deliveries] == ["sent"], job.deliveries
            assert len(list(into.iterdir())) == 1
            wait_for(lambda: running.status().rejected == {"TLS": 1}, "the count")
    finally:
        archive.kill()
        archive.wait()


def test_destination_with_another_name_is_tried_again_and_the_reason_told(
    tmp_path: Path, authority: Authority, node: Pair, modality: Pair
) -> None:
    (port,) = free_ports(1)
    pacs = authority.issue("pacs", names=["pacs.example"])
    tls = ["+tls", str(pacs.key), str(pacs.certificate), "+cf", str(authority.certificate)]
    command = [find_program("storescp", "dcmtk"), *tls, "-od", str(tmp_path), str(port)]
    archive = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    there = DestinationSettings(
        "pacs", "127.0.0.1", port, "STORESCP", tls=True, tls_authorities=str(authority.certificate)
    )
    try:
        wait_for(lambda: listens(port), "storescp")
        with running_node(node_settings(tmp_path, there)) as running:
            send = [find_program("storescu", "dcmtk"), "-aec", "CASGAN", "localhost", str(running.port)]
            subprocess.run([*send, str(write_xa(tmp_path / "x.dcm"))], check=True, timeout=60)
            (delivery,) = running.wait_for_attempts(1)
    finally:
        archive.kill()
        archive.wait()
    assert delivery.state == "waiting"
    assert "no TLS, its certificate is for another address than '127.0.0.1'" in delivery.reason


def test_node_with_a_bad_certificate_does_not_start_and_says_which(
    tmp_path: Path, authority: Authority, node: Pair
) -> None:
    keys = listener_keys(authority, node) | {"tls_key": str(tmp_path / "gone.key")}
    settings = replace(node_settings(tmp_path), listener=ListenerSettings(port=0, **keys))

    with (
        pytest.raises(ConfigError, match=r"listener.tls_key .*gone.key cannot be read"),
        running_node(settings),
    ):
        pass


def test_status_tells_the_days_of_certificates(tmp_path: Path, authority: Authority) -> None:
    soon = authority.issue("soon", days=10.5)
    config = tmp_path / "node.toml"
    keys = "\n".join(f'{key} = "{path}"' for key, path in listener_keys(authority, soon).items())
    config.write_text(f'data = "{tmp_path / "data"}"\n[listener]\nport = 0\n{keys}\n')
    (tmp_path / "data").mkdir(mode=0o700)
    (tmp_path / "data" / "node.sqlite").touch(0o600)

    def status(*options: str) -> subprocess.CompletedProcess[str]:
        command = [str(PROGRAM), "node", "--config", str(config), "status", *options]
        return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)

    told = json.loads(status("--json").stdout)
    assert {each["key"]: each["days_left"] for each in told["certificates"]} == {
        "listener.tls_certificate": 10,
        "listener.tls_authorities": 364,
    }
    assert told["rejected"] == {}
    assert f"listener.tls_certificate {soon.certificate} expires in 10 days" in status("--check").stdout
    assert "10 days left" in status().stdout


@pytest.mark.e2e
def test_commands_of_the_page_about_tls_are_true(tmp_path: Path) -> None:
    find_program("storescu", "dcmtk")
    (text,) = [text for kind, text in blocks("docs/operations.md") if "node certificates tls" in text]
    (port,) = free_ports(1)
    text = text.replace("2762", str(port))
    setup, start, talk = re.split(r"^(casgan-dicom node --config tls.toml) &\n", text, flags=re.MULTILINE)
    shutil.copytree(ROOT / "sample_series", tmp_path / "sample_series")
    path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "CASGAN_DATA": str(tmp_path / "data")}

    subprocess.run(["bash", "-euc", setup], cwd=tmp_path, env=environment, check=True)
    node = subprocess.Popen(["bash", "-c", f"exec {start}"], cwd=tmp_path, env=environment)
    try:
        wait_for(lambda: listens(port), "the node")
        subprocess.run(["bash", "-euc", talk], cwd=tmp_path, env=environment, check=True, timeout=60)
    finally:
        node.terminate()
        assert node.wait(60) == 0
