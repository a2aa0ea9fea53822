"""The harness of a real Orthanc: what it starts, finds and leaves behind."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread

from tests.support.factories import moving_frames, uid, write_xa, write_xa_single_frames
from tests.support.namespace import VARIABLE
from tests.support.orthanc import Orthanc, Statistics, dicomweb, free_ports
from tests.support.programs import find_program

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with Orthanc.stock(tmp_path_factory.mktemp("orthanc")) as pacs:
        yield pacs


@pytest.fixture
def pacs(running: Orthanc) -> Orthanc:
    """The one of this module, empty."""
    running.delete_all()
    return running


def store(pacs: Orthanc, *paths: Path) -> None:
    """Send with DCMTK."""
    command = [find_program("storescu", "dcmtk"), "-aec", pacs.aet, "127.0.0.1", str(pacs.dicom_port)]
    subprocess.run([*command, *map(str, paths)], check=True, capture_output=True)


@pytest.mark.orthanc
def test_a_series_is_found_with_its_instances_and_others_are_not(pacs: Orthanc, tmp_path: Path) -> None:
    paths = write_xa_single_frames(tmp_path / "one", moving_frames(3))
    other = write_xa(tmp_path / "two", SeriesInstanceUID=uid("other series"), SOPInstanceUID=uid("other"))

    store(pacs, *paths, other)

    assert set(pacs.instances(uid("series"))) == {uid(f"single {k}") for k in range(3)}
    assert set(pacs.instances(uid("other series"))) == {uid("other")}
    assert pacs.instances(uid("no such series")) == {}
    assert pacs.find("Series", uid("other")) is None
    assert pacs.find("Instance", uid("other")) == pacs.instances(uid("other series"))[uid("other")]


@pytest.mark.orthanc
def test_a_stored_file_comes_back_with_every_element(pacs: Orthanc, tmp_path: Path) -> None:
    path = write_xa(tmp_path / "a")

    store(pacs, path)

    assert dcmread(io.BytesIO(pacs.file(uid("instance")))) == dcmread(path)
    with pytest.raises(KeyError, match=uid("absent")):
        pacs.file(uid("absent"))


@pytest.mark.orthanc
def test_a_preview_is_the_frame_that_was_asked_for(pacs: Orthanc, tmp_path: Path) -> None:
    run = moving_frames(3)
    store(pacs, write_xa(tmp_path / "a", run))

    shown = [np.asarray(Image.open(io.BytesIO(pacs.preview(uid("instance"), k)))) for k in range(3)]

    # Orthanc stretches the range; the order of values stays.
    likeness = [[np.corrcoef(one.ravel(), frame.ravel())[0, 1] for frame in run] for one in shown]
    assert np.argmax(likeness, axis=1).tolist() == [0, 1, 2]
    assert np.diag(likeness).min() > 0.99


@pytest.mark.orthanc
def test_statistics_count_until_everything_is_deleted(pacs: Orthanc, tmp_path: Path) -> None:
    assert pacs.statistics() == Statistics(series=0, instances=0, disk_bytes=0)
    store(pacs, *write_xa_single_frames(tmp_path, moving_frames(3)))

    held = pacs.statistics()

    assert (held.series, held.instances) == (1, 3)
    assert held.disk_bytes > 3 * 64 * 80
    pacs.delete_all()
    assert pacs.statistics() == Statistics(series=0, instances=0, disk_bytes=0)


@pytest.mark.orthanc
def test_it_keeps_ports_and_instances_when_it_is_killed_or_stopped_and_started_again(
    orthanc: Orthanc, tmp_path: Path
) -> None:
    store(orthanc, write_xa(tmp_path / "a"))
    first = orthanc.pid

    orthanc.kill()
    with pytest.raises(urllib.error.URLError, match="refused"):
        orthanc.statistics()
    orthanc.start()

    assert orthanc.pid != first
    assert orthanc.statistics().instances == 1
    assert orthanc.stop() == 0
    orthanc.start()
    assert orthanc.statistics().instances == 1


@pytest.mark.orthanc
def test_one_that_does_not_stop_is_killed(orthanc: Orthanc) -> None:
    pid = orthanc.pid
    os.kill(pid, signal.SIGSTOP)

    assert orthanc.stop(seconds=0.5) == -signal.SIGKILL

    assert not Path(f"/proc/{pid}").exists()


@pytest.mark.orthanc
def test_one_that_cannot_start_says_why(orthanc: Orthanc, tmp_path: Path) -> None:
    twin = Orthanc.stock(tmp_path / "twin", extra={"DicomPort": orthanc.dicom_port})

    with pytest.raises(RuntimeError, match=r"(?s)did not start.*port"):
        twin.start()

    with pytest.raises(RuntimeError, match="does not run"):
        _ = twin.pid


@pytest.mark.orthanc
def test_none_outlives_a_test_run_that_is_killed(tmp_path: Path) -> None:
    code = (
        "import signal, sys; from pathlib import Path; from tests.support.orthanc import Orthanc\n"
        "pacs = Orthanc.stock(Path(sys.argv[1])); pacs.start(); print(pacs.pid, flush=True); signal.pause()"
    )
    starter = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE)
    assert starter.stdout is not None
    with starter, starter.stdout:
        pid = int(starter.stdout.readline())
        assert Path(f"/proc/{pid}/comm").read_text() == "Orthanc\n"

        starter.kill()

    deadline = time.monotonic() + 30
    while runs(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not runs(pid)


def runs(pid: int) -> bool:
    """Whether the process runs; one that waits for a parent to notice its end does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


@pytest.mark.orthanc
@pytest.mark.parametrize("sync", [True, False])
def test_a_received_file_is_synced_to_disk_if_and_only_if_wished(tmp_path: Path, sync: bool) -> None:
    """The oracle is the kernel: fsync on a file of the storage that is not the index."""
    strace = find_program("strace", "strace")
    calls = tmp_path / "calls"
    with Orthanc.stock(tmp_path / "orthanc", sync=sync) as pacs:
        watch = [
            strace,
            "-f",
            "-y",
            "-e",
            "trace=fsync,fdatasync,close",
            "-o",
            str(calls),
            "-p",
            str(pacs.pid),
        ]
        with subprocess.Popen(watch, stderr=subprocess.PIPE) as tracer:
            assert tracer.stderr is not None
            assert b"attached" in tracer.stderr.readline()
            store(pacs, write_xa(tmp_path / "a"))
            tracer.terminate()
    lines = [x for x in calls.read_text().splitlines() if "/storage/" in x and "/storage/index" not in x]

    assert any("close(" in line for line in lines)
    assert any("sync(" in line for line in lines) is sync


@pytest.mark.orthanc
def test_none_is_left_when_its_block_ends(tmp_path: Path) -> None:
    with Orthanc.stock(tmp_path) as pacs:
        pid = pacs.pid
        assert runs(pid)

    assert not runs(pid)


@pytest.mark.orthanc
def test_other_settings_win(tmp_path: Path) -> None:
    with Orthanc.stock(tmp_path, extra={"DicomAet": "OTHER"}) as pacs:
        assert pacs.aet == "OTHER"
        assert b'"DicomAet" : "OTHER"' in pacs.request("GET", "/system")


@pytest.mark.orthanc
def test_it_still_listens_on_every_address_which_is_why_all_this_exists(pacs: Orthanc) -> None:
    rows = [line.split() for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]]
    listening = {row[1] for row in rows if row[3] == "0A"}

    assert {f"00000000:{pacs.dicom_port:04X}", f"00000000:{pacs.http_port:04X}"} <= listening


@pytest.mark.orthanc
def test_with_its_plug_in_it_answers_dicomweb(tmp_path: Path) -> None:
    with Orthanc.stock(tmp_path / "orthanc", extra=dicomweb()) as pacs:
        pacs.add(write_xa(tmp_path / "a"))
        found = json.loads(pacs.request("GET", f"/dicom-web/studies/{uid('study')}/series"))

    (series,) = found
    assert series["0020000E"]["Value"] == [uid("series")]


def test_outside_a_namespace_none_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)

    with pytest.raises(RuntimeError, match="make test"):
        Orthanc.stock(tmp_path).start()

    assert not (tmp_path / "orthanc.log").exists()


def test_free_ports_are_different_and_below_those_of_outgoing_connections() -> None:
    ports = free_ports(50)

    assert len(set(ports)) == 50
    assert max(ports) < 32768
