"""What a node says and to whom: patient data only in DICOM files, connections only to its destinations."""

from __future__ import annotations

import os
import re
import subprocess
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from casgan_dicom.errors import PeerError
from casgan_dicom.model.data.rendering import FEW_RUNS
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.overview import list_jobs
from tests.faults.modality import cine, send
from tests.node.nodes import config, program, wait_for
from tests.support.factories import uid
from tests.support.fake_pacs import FakePacs, answer
from tests.support.programs import find_program

PROGRAM = Path(sysconfig.get_path("scripts")) / "casgan-dicom"
PATIENT: dict[str, Any] = {
    "PatientName": "Zyxwvut^Qwerty",
    "PatientID": "ZYX-778899",
    "PatientBirthDate": "19370711",
    "OtherPatientIDs": "OTHER-445566",
    "PatientAddress": "Nowhere Lane 17",
    "AccessionNumber": "ACC-112233",
    "ReferringPhysicianName": "Refer^Physician",
    "InstitutionName": "Hospital of Nowhere",
    "StudyDescription": "Study of Nobody",
    "PatientComments": "comment on nobody",
}
"""Header fields, each with a value that occurs nowhere else."""
THIS_MACHINE = {"127.0.0.1", "::1", "0.0.0.0", "::"}
"""The last two occur when a name is looked up: the C library asks the kernel, and sends nothing."""


def states(folder: Path) -> list[str]:
    ledger = Ledger(Layout(folder / "node").ledger)
    try:
        return sorted(row.state for row in list_jobs(ledger))
    finally:
        ledger.close()


def everything_but_dicom(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Names of all files of a node, and the content of those that are not DICOM."""
    for path in sorted((folder / "node").rglob("*")):
        yield f"name of {path}", os.fsencode(path)
        if path.is_file() and path.suffix != ".dcm":
            yield str(path), path.read_bytes()


def test_patient_data_is_in_dicom_files_and_nowhere_else(tmp_path: Path) -> None:
    """Whatever happens: converted, refused by the archive, not eligible, unreadable, sent by a stranger."""
    with FakePacs() as pacs:
        pacs.behaviour = answer(0xC000, times=1)
        with program(config(tmp_path, pacs)) as (port, output):
            send(port, [cine(tmp_path / "sent", "good", **PATIENT)])
            wait_for(lambda: states(tmp_path) == ["undelivered"], "the refusal by the archive")
            send(port, [cine(tmp_path / "sent", "with contrast", ContrastBolusAgent="Iohexol", **PATIENT)])
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # pydicom warns who writes such a UID
                bad_uid = {"SeriesInstanceUID": PATIENT["PatientName"]}
                no_series = cine(tmp_path / "sent", "no series", **PATIENT, **bad_uid)
            refused = send(port, [no_series])
            with pytest.raises(PeerError):
                send(port, [no_series], ae_title="STRANGER")
            wait_for(lambda: states(tmp_path) == ["skipped", "undelivered"], "both series to end")
        said = [("output", output.read_bytes()), *everything_but_dicom(tmp_path)]

    assert refused[0].outcome == "refused"
    assert any((tmp_path / "node" / "quarantine").iterdir())
    leaks = [
        f"{keyword} in {where}"
        for where, content in said
        for keyword, value in PATIENT.items()
        if any(part in content for part in {value.encode(), *value.encode().split(b"^")})
    ]
    assert leaks == []
    assert uid("series good").encode() in output.read_bytes()


def test_a_job_can_be_followed_from_its_first_instance_to_its_delivery(tmp_path: Path) -> None:
    with FakePacs() as pacs, program(config(tmp_path, pacs)) as (port, output):
        send(port, [cine(tmp_path / "sent", "good")])
        wait_for(lambda: states(tmp_path) == ["done"], "the delivery")
        ledger = Ledger(Layout(tmp_path / "node").ledger)
        (row,) = list_jobs(ledger)
        ledger.close()

    about = [line for line in output.read_text().splitlines() if f'"job": "{row.job}"' in line]
    loggers = [re.search(r'"logger": "(\w+)"', line)[1] for line in about]  # type: ignore[index]
    assert list(dict.fromkeys(loggers)) == ["listener", "coordinator", "worker", "sender"]


def test_a_node_connects_to_nobody_but_its_destinations(tmp_path: Path) -> None:
    """Nothing phones home: every connect(2) of every process is traced, name look-ups included."""
    trace = tmp_path / "trace.txt"
    options = ["-D", "-f", "-e", "trace=connect", "-o", str(trace)]
    tracer = [find_program("strace", "strace"), *options]
    with FakePacs() as pacs, program(config(tmp_path, pacs), *tracer) as (port, _):
        send(port, [cine(tmp_path / "sent", "good")])
        wait_for(lambda: states(tmp_path) == ["done"], "the delivery")
        to_pacs = pacs.port

    addresses = re.findall(r'inet_(?:addr\(|pton\(AF_INET6, )"([^"]+)"', trace.read_text())
    assert set(addresses) - THIS_MACHINE == set()
    assert f"htons({to_pacs}), sin_addr=inet_addr" in trace.read_text()


def test_nothing_that_a_node_writes_is_for_other_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder that stood open, under the umask of most systems."""
    data = tmp_path / "node"
    data.mkdir()
    data.chmod(0o755)
    before = os.umask(0o022)
    try:
        with FakePacs() as pacs, program(config(tmp_path, pacs)) as (port, _):
            send(port, [cine(tmp_path / "sent", "good")])
            wait_for(lambda: states(tmp_path) == ["done"], "the delivery")
            modes = {
                path.relative_to(data).as_posix(): path.stat().st_mode for path in (data, *data.rglob("*"))
            }
    finally:
        os.umask(before)

    assert {"node.sqlite", "node.sqlite-wal", "dbos.sqlite", "dbos.sqlite-wal"} <= set(modes)
    assert {name: oct(mode) for name, mode in modes.items() if mode & 0o077} == {}


PLANTED = ("pynetdicom", "numpy", "pickle", "multiprocessing", "casgan_dicom", "sqlite3", "sitecustomize")


@pytest.fixture
def traces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Modules that somebody laid into the working directory; each leaves its name in this file."""
    elsewhere = tmp_path / "cwd"
    elsewhere.mkdir()
    traces = elsewhere / "traces.txt"
    for name in PLANTED:
        (elsewhere / f"{name}.py").write_text(f"open({str(traces)!r}, 'a').write({name!r} + ' ')\n")
    monkeypatch.chdir(elsewhere)
    return traces


def test_no_process_of_a_node_takes_code_from_the_working_directory(tmp_path: Path, traces: Path) -> None:
    with FakePacs() as pacs, program(config(tmp_path, pacs)) as (port, _):
        send(port, [cine(tmp_path / "sent", "good")])
        wait_for(lambda: states(tmp_path) == ["done"], "the delivery")

    assert not traces.exists()


def test_no_process_that_renders_takes_code_from_the_working_directory(tmp_path: Path, traces: Path) -> None:
    """Training and evaluation render in processes that Python itself starts, with `-c`."""
    runs = ["--set", f"data.runs={FEW_RUNS + 1}"]
    options = ["--preset", "smoke", *runs, "--out", str(tmp_path / "run")]
    data = ["--data", "sim:1,cache=no"]

    subprocess.run([PROGRAM, "train", "--method", "cut", *data, *options], check=True, capture_output=True)

    assert not traces.exists()
