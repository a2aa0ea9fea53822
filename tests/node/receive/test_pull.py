"""What a real archive holds comes into the spool, each instance once, whatever ends a pull."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from time import time
from typing import Any

import pytest
from click.testing import CliRunner, Result
from pydicom import dcmread
from pydicom.uid import JPEGLosslessSV1

from casgan_dicom.cli import cli
from casgan_dicom.errors import ConfigError
from casgan_dicom.node.credentials import check_files
from casgan_dicom.node.settings import ArchiveSettings, NodeSettings
from casgan_dicom.node.state.layout import Layout
from tests.node.listening import Listening, listening, rows_of
from tests.node.nodes import bundle_in, node_settings, running_node
from tests.node.secure import Authority, Pair
from tests.support.factories import moving_frames, write_xa
from tests.support.orthanc import Orthanc, free_ports
from tests.support.waiting import wait_for

pytestmark = pytest.mark.orthanc

STUDY, SERIES = "1.2.826.0.1.4711.1", "1.2.826.0.1.4711.2"
OTHER_STUDY = "1.2.826.0.1.4711.9"
KILLS = int(os.environ.get("CASGAN_PULL_KILLS", "6"))
"""Of a pull; 50 were tried by hand."""
INSTANCES = 2 * KILLS
"""So many that every kill finds something to fetch."""
ASKS = {"DicomAlwaysAllowFind": True, "DicomAlwaysAllowGet": True, "DicomAlwaysAllowMove": True}


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Orthanc]:
    """Orthanc with a series of single frames, a CT slice beside it, and another study."""
    (listener,) = free_ports(1)
    extra = {**ASKS, "DicomModalities": {"casgan": ["CASGAN", "127.0.0.1", listener]}}
    with Orthanc.stock(tmp_path / "orthanc", extra=extra) as pacs:
        for path in made(tmp_path / "made"):
            pacs.add(path)
        write_config(tmp_path, pacs, listener)
        yield pacs


def made(folder: Path) -> list[Path]:
    """Files of what the archive is to hold."""
    folder.mkdir()
    stills = [
        write_xa(
            folder / f"{k}.dcm",
            moving_frames()[:1],
            StudyInstanceUID=STUDY,
            SeriesInstanceUID=SERIES,
            SOPInstanceUID=f"{SERIES}.{k}",
            InstanceNumber=k,
            StudyDate="20261105",
            Modality="XA",
        )
        for k in range(1, INSTANCES + 1)
    ]
    slice_ = write_xa(
        folder / "ct.dcm",
        StudyInstanceUID=STUDY,
        SeriesInstanceUID=f"{STUDY}.5",
        SOPInstanceUID=f"{STUDY}.5.1",
        StudyDate="20261105",
    )
    ds = dcmread(slice_)
    ds.Modality, ds.SOPClassUID = "CT", "1.2.840.10008.5.1.4.1.1.2"
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.save_as(slice_)
    other = write_xa(
        folder / "other.dcm",
        StudyInstanceUID=OTHER_STUDY,
        SeriesInstanceUID=f"{OTHER_STUDY}.1",
        SOPInstanceUID=f"{OTHER_STUDY}.1.1",
        StudyDate="20261106",
        Modality="XA",
    )
    return [*stills, slice_, other]


def write_config(folder: Path, pacs: Orthanc, listener: int, retrieve: str = "get") -> Path:
    """The configuration of a node beside it."""
    path = folder / "node.toml"
    path.write_text(
        f'data = "{folder}/node"\n[listener]\nport = {listener}\nmin_free_bytes = 0\n'
        f'[worker]\nbundle = "{bundle_in(folder)}"\n'
        f'[[archives]]\nname = "pacs"\nhost = "127.0.0.1"\nport = {pacs.dicom_port}\n'
        f'ae_title = "{pacs.aet}"\nretrieve = "{retrieve}"\n'
    )
    return path


def pull(folder: Path, *words: str) -> Result:
    """The command, in this process."""
    return CliRunner().invoke(cli, ["pull", "pacs", "--config", str(folder / "node.toml"), *words])


def came(folder: Path) -> dict[str, int]:
    """How often each instance came into the ledger."""
    layout = Layout(folder / "node")
    rows: list[dict[str, Any]] = []
    if layout.ledger.is_file():
        with suppress(sqlite3.OperationalError):  # it is being made, and has no tables yet
            rows = rows_of(layout, "instances")
    return {row["sop_uid"]: row["copies"] for row in rows}


def test_a_study_comes_into_the_spool_as_the_archive_holds_it(archive: Orthanc, tmp_path: Path) -> None:
    result = pull(tmp_path, "--study", STUDY, "--json")

    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert (told["held"], told["known"], told["missing"], told["fetched"]) == (
        INSTANCES,
        0,
        INSTANCES,
        INSTANCES,
    )
    assert came(tmp_path) == {f"{SERIES}.{k}": 1 for k in range(1, INSTANCES + 1)}
    for row in rows_of(Layout(tmp_path / "node"), "instances"):
        assert (
            dcmread(row["path"]).PixelData
            == dcmread(tmp_path / "made" / f"{row['sop_uid'].rpartition('.')[2]}.dcm").PixelData
        )
        assert (row["peer"], row["address"]) == (archive.aet, "127.0.0.1")
    assert list((tmp_path / "node" / "spool" / "incoming").iterdir()) == []


def test_what_is_here_is_not_fetched_again(archive: Orthanc, tmp_path: Path) -> None:
    pull(tmp_path, "--study", STUDY)

    again = pull(tmp_path, "--study", STUDY, "--json")

    assert again.exit_code == 0
    told = json.loads(again.stdout)
    assert (told["known"], told["missing"], told["fetched"]) == (INSTANCES, 0, 0)
    assert set(came(tmp_path).values()) == {1}


def test_a_range_of_dates_names_studies_and_a_modality_their_series(archive: Orthanc, tmp_path: Path) -> None:
    one = json.loads(pull(tmp_path, "--date", "20261105", "--dry-run", "--json").stdout)
    both = json.loads(pull(tmp_path, "--date", "20261101-20261130", "--dry-run", "--json").stdout)
    none = pull(tmp_path, "--date", "20250101-20250131")

    assert (one["series"], one["held"]) == ([SERIES], INSTANCES)
    assert both["series"] == [SERIES, f"{OTHER_STUDY}.1"]
    assert none.exit_code == 3
    assert came(tmp_path) == {}


def test_what_a_node_does_not_take_is_left_there(archive: Orthanc, tmp_path: Path) -> None:
    told = json.loads(pull(tmp_path, "--study", STUDY, "--modality", "CT", "--json").stdout)

    assert (told["held"], told["foreign"], told["missing"]) == (1, 1, 0)


def test_one_series_of_a_study_can_be_asked_for(archive: Orthanc, tmp_path: Path) -> None:
    told = json.loads(pull(tmp_path, "--study", OTHER_STUDY, "--series", SERIES, "--json").stdout)

    assert told["held"] == 0


def test_a_compressed_instance_comes_as_it_lies_there(archive: Orthanc, tmp_path: Path) -> None:
    path = write_xa(
        tmp_path / "jpeg.dcm",
        StudyInstanceUID=f"{STUDY}.7",
        SeriesInstanceUID=f"{STUDY}.7.1",
        SOPInstanceUID=f"{STUDY}.7.1.1",
        Modality="XA",
    )
    compressed = tmp_path / "compressed.dcm"
    subprocess.run(["dcmcjpeg", "+e1", str(path), str(compressed)], check=True)
    archive.add(compressed)

    result = pull(tmp_path, "--study", f"{STUDY}.7")

    assert result.exit_code == 0, result.output
    (row,) = rows_of(Layout(tmp_path / "node"), "instances")
    assert dcmread(row["path"]).file_meta.TransferSyntaxUID == JPEGLosslessSV1


def test_an_archive_moves_to_the_listener(archive: Orthanc, tmp_path: Path) -> None:
    (listener,) = free_ports(1)
    settings = node_settings(tmp_path)
    with running_node(settings) as node:
        archive.request("PUT", "/modalities/casgan", json.dumps(["CASGAN", "127.0.0.1", node.port]).encode())
        write_config(tmp_path, archive, listener, retrieve="move")

        result = pull(tmp_path, "--study", STUDY, "--json")
        (row,) = node.wait_until_settled(1)

    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["fetched"] == INSTANCES
    assert (row.state, row.instances) == ("done", INSTANCES)


def test_a_node_that_runs_converts_what_is_pulled(archive: Orthanc, tmp_path: Path) -> None:
    with running_node(node_settings(tmp_path)) as node:
        result = pull(tmp_path, "--study", STUDY)
        (row,) = node.wait_until_settled(1)
        again = json.loads(pull(tmp_path, "--study", STUDY, "--json").stdout)

    assert result.exit_code == 0, result.output
    assert (row.state, row.instances) == ("done", INSTANCES)
    assert again["missing"] == 0


def test_what_was_made_here_is_not_pulled_back(archive: Orthanc, tmp_path: Path) -> None:
    with running_node(node_settings(tmp_path)) as node:
        pull(tmp_path, "--study", STUDY)
        (row,) = node.wait_until_settled(1)
    for path in row.derived:
        archive.add(Path(path))

    told = json.loads(
        pull(tmp_path, "--study", STUDY, "--modality", "XA", "--modality", "OT", "--json").stdout
    )

    assert told["held"] == INSTANCES + len(row.derived)
    assert told["missing"] == 0


def test_a_destination_that_the_archive_does_not_know_is_named(archive: Orthanc, tmp_path: Path) -> None:
    config = write_config(tmp_path, archive, 11112, retrieve="move")
    config.write_text(config.read_text().replace("[listener]", '[listener]\nae_title = "NOBODY"'))

    result = pull(tmp_path, "--study", STUDY)

    assert result.exit_code == 6
    assert "NOBODY" in result.stderr


def test_an_archive_that_is_not_there_is_named(archive: Orthanc, tmp_path: Path) -> None:
    archive.stop()

    result = pull(tmp_path, "--study", STUDY)

    assert result.exit_code == 6
    assert "connection refused" in result.stderr


def test_an_archive_is_talked_tls_to(tmp_path: Path, authority: Authority, modality: Pair) -> None:
    shown, wrong = authority.issue("archive"), Authority.make(tmp_path / "wrong", "wrong")
    tls = {
        "DicomTlsEnabled": True,
        "DicomTlsRemoteCertificateRequired": True,
        "DicomTlsCertificate": str(shown.certificate),
        "DicomTlsPrivateKey": str(shown.key),
        "DicomTlsTrustedCertificates": str(authority.certificate),
    }
    with Orthanc.stock(tmp_path / "orthanc", extra=ASKS | tls) as pacs:
        for path in made(tmp_path / "made"):
            pacs.add(path)
        config = write_config(tmp_path, pacs, 11112)
        plain = config.read_text()
        keys = f'tls_certificate = "{modality.certificate}"\ntls_key = "{modality.key}"\n'

        def secure(believed: Authority, name: str = "localhost") -> Result:
            told = f'tls = true\ntls_name = "{name}"\ntls_authorities = "{believed.certificate}"\n'
            config.write_text(plain + told + keys)
            return pull(tmp_path, "--study", STUDY)

        strange, named, right = secure(wrong), secure(authority, "other.example"), secure(authority)
        config.write_text(plain)
        unencrypted = pull(tmp_path, "--study", OTHER_STUDY)

    assert (strange.exit_code, named.exit_code, right.exit_code) == (6, 6, 0), right.output
    assert "no authority that is trusted" in strange.stderr
    assert "other.example" in named.stderr
    assert unencrypted.exit_code == 6
    assert set(came(tmp_path)) == {f"{SERIES}.{k}" for k in range(1, INSTANCES + 1)}


def test_files_of_tls_are_looked_at_before_a_node_starts(tmp_path: Path) -> None:
    archive = ArchiveSettings("pacs", "h", 104, "A", tls=True, tls_authorities=str(tmp_path / "missing"))
    with pytest.raises(ConfigError, match=r"archives#1.tls_authorities .* cannot be read"):
        check_files(NodeSettings(archives=(archive,)), time())


def kill_after(command: Sequence[str], folder: Path, instances: int) -> bool:
    """Run a pull, and kill it as soon as so many more instances are there; whether it still ran."""
    enough = len(came(folder)) + instances
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: process.poll() is not None or len(came(folder)) >= enough, "an instance", 60)
    process.kill()
    return process.wait() == -signal.SIGKILL


def test_kills_cost_nothing_and_bring_nothing_twice(archive: Orthanc, tmp_path: Path) -> None:
    chance = random.Random(1)
    command = [sys.executable, "-c", "from casgan_dicom.cli import main; main()", "pull", "pacs"]
    command += ["--config", str(tmp_path / "node.toml"), "--study", STUDY]
    killed = sum(kill_after(command, tmp_path, chance.randrange(1, 3)) for _ in range(KILLS))
    before = len(came(tmp_path))

    result = pull(tmp_path, "--study", STUDY)

    assert result.exit_code == 0, result.output
    assert killed > 0
    assert came(tmp_path) == {f"{SERIES}.{k}": 1 for k in range(1, INSTANCES + 1)}
    sys.stdout.write(
        f"\n{killed} kills of a pull; {before} of {INSTANCES} instances had come before the last\n"
    )


def test_a_listener_may_start_while_one_pulls(archive: Orthanc, tmp_path: Path) -> None:
    """It sweeps what no process holds, and what has no row; what a pull has brought has one."""
    pull(tmp_path, "--study", STUDY)

    with listening(tmp_path / "node") as running:
        assert isinstance(running, Listening)

    told = json.loads(pull(tmp_path, "--study", STUDY, "--json").stdout)
    assert (told["known"], told["missing"]) == (INSTANCES, 0)
    assert all(Path(row["path"]).is_file() for row in rows_of(Layout(tmp_path / "node"), "instances"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "--study or --date"),
        (("--study", "not a UID"), "no UID"),
        (("--date", "yesterday"), "no day"),
    ],
)
def test_wrong_words_are_named(archive: Orthanc, tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    result = pull(tmp_path, *words)

    assert result.exit_code == 2
    assert said in result.stderr
