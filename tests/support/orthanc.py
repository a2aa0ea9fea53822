"""A real Orthanc, for tests and benchmarks that must not believe our own code.

    with Orthanc.stock(tmp_path) as pacs:
        send(path, "127.0.0.1", pacs.dicom_port, pacs.aet)
        assert set(pacs.instances(series_uid)) == {sop_instance_uid}

It binds every address, so it starts only in a network namespace of its own: mark such tests ``orthanc``.
Instances and series are named by their UIDs; Orthanc's own identifiers stay in here.
"""

from __future__ import annotations

import json
import random
import socket
import subprocess
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.support.namespace import in_own_namespace
from tests.support.programs import absent, find_program

START_SECONDS, STOP_SECONDS = 60.0, 30.0
"""Deadlines; on an idle machine it starts in 0.2 s and stops in 4 s."""

DICOMWEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
"""Where Debian puts the plug-in."""

_PORTS = range(10_000, 32_000)
"""Below those that outgoing connections take: a retry to a stopped Orthanc must not sit down on its port."""


@dataclass(frozen=True)
class Statistics:
    """What Orthanc holds."""

    series: int
    """Number of series."""
    instances: int
    """Number of instances."""
    disk_bytes: int
    """Size of their files."""


class Orthanc:
    """One Orthanc, from `start` to `stop` or `kill`, or for the time of a `with`.

    It does not outlive the thread that started it.
    """

    def __init__(self, config: Path) -> None:
        """Take a configuration file; what Orthanc prints goes to orthanc.log beside it."""
        settings = read_config(config)
        self.config = config
        self.log = config.with_name("orthanc.log")
        self.aet: str = settings["DicomAet"]
        self.dicom_port: int = settings["DicomPort"]
        self.http_port: int = settings["HttpPort"]
        self._process: subprocess.Popen[bytes] | None = None
        self.user: tuple[str, str] | None = None
        """Who asks over HTTP, where it wants to know: name and password."""
        # No proxy: the environment may name one.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    @classmethod
    def stock(cls, folder: Path, *, sync: bool = True, extra: Mapping[str, object] | None = None) -> Orthanc:
        """Orthanc as it comes, with its files in `folder` and on free ports.

        `sync` is Orthanc's own default: every received file is on disk (fsync) before the answer. `extra`
        holds other settings by Orthanc's names; they win.
        """
        folder.mkdir(parents=True, exist_ok=True)
        dicom_port, http_port = free_ports(2)
        settings = {
            "StorageDirectory": "storage",
            "IndexDirectory": "storage",
            "DicomAet": "ORTHANC",
            "DicomPort": dicom_port,
            "HttpPort": http_port,
            "SyncStorageArea": sync,
        }
        config = folder / "orthanc.json"
        config.write_text(json.dumps(settings | dict(extra or {}), indent=2), encoding="utf-8")
        return cls(config)

    def __enter__(self) -> Orthanc:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:  # killed: nobody needs its folder any more, and to stop takes it 4 s
            self.kill()

    @property
    def pid(self) -> int:
        """Its process id; RuntimeError if it does not run."""
        return self._running().pid

    def start(self) -> None:
        """Start the program and wait until it answers, with what it held before."""
        if not in_own_namespace():
            raise RuntimeError(
                "Orthanc binds every address and starts only in a network namespace of its own: mark the "
                "test orthanc and run `make test`, or run the command through tests/support/in_namespace.sh"
            )
        if self._process is not None:
            raise RuntimeError("this Orthanc runs already")
        program = find_program("Orthanc", "orthanc")
        # Killed with the thread that starts it: a test run that dies leaves none behind.
        command = [find_program("setpriv", "util-linux"), "--pdeathsig", "KILL", program, self.config.name]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self.config.parent, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            self._wait_for_answer()
        except BaseException:
            self.kill()
            raise

    def stop(self, seconds: float = STOP_SECONDS) -> int:
        """Ask it to stop, kill it after `seconds`; its exit status, 0 if it stopped by itself."""
        process, self._process = self._running(), None
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            return process.wait(seconds)
        process.kill()
        return process.wait()

    def kill(self) -> None:
        """End it at once (SIGKILL); `start` starts it again."""
        process, self._process = self._running(), None
        process.kill()
        process.wait()

    def instances(self, series_uid: str) -> dict[str, str]:
        """Orthanc's identifier for each SOP Instance UID of a series; empty where it has no such series."""
        series = self.find("Series", series_uid)
        if series is None:
            return {}
        found = self._json(f"/series/{series}/instances")
        return {instance["MainDicomTags"]["SOPInstanceUID"]: instance["ID"] for instance in found}

    def add(self, path: Path) -> None:
        """Put an instance into it over HTTP, for what is not about the network."""
        self.request("POST", "/instances", path.read_bytes())

    def find(self, level: str, uid: str) -> str | None:
        """Orthanc's identifier of the "Study", "Series" or "Instance" with this UID, or None."""
        found = json.loads(self.request("POST", "/tools/lookup", uid.encode()))
        matches: list[str] = [one["ID"] for one in found if one["Type"] == level]
        return matches[0] if matches else None

    def file(self, sop_uid: str) -> bytes:
        """The stored instance, as a DICOM file."""
        return self.request("GET", f"/instances/{self._instance(sop_uid)}/file")

    def preview(self, sop_uid: str, frame: int = 0) -> bytes:
        """One frame as Orthanc renders it: an 8-bit PNG, its values stretched to the whole range."""
        return self.request("GET", f"/instances/{self._instance(sop_uid)}/frames/{frame}/preview")

    def statistics(self) -> Statistics:
        """How much it holds."""
        told = self._json("/statistics")
        return Statistics(told["CountSeries"], told["CountInstances"], int(told["TotalDiskSize"]))

    def delete_all(self) -> None:
        """Remove everything it holds."""
        for patient in self._json("/patients"):
            self.request("DELETE", f"/patients/{patient}")

    def request(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """Body of the answer to one REST request; urllib's HTTPError unless it is 200."""
        url = f"http://127.0.0.1:{self.http_port}{path}"
        query = urllib.request.Request(url, data=body, method=method)
        if self.user is not None:
            pair = b64encode(":".join(self.user).encode()).decode()
            query.add_header("Authorization", f"Basic {pair}")
        with self._opener.open(query, timeout=30) as answer:
            content: bytes = answer.read()
        return content

    def _json(self, path: str) -> Any:  # noqa: ANN401 -- JSON has no narrower type
        return json.loads(self.request("GET", path))

    def _instance(self, sop_uid: str) -> str:
        found = self.find("Instance", sop_uid)
        if found is None:
            raise KeyError(f"Orthanc has no instance {sop_uid}")
        return found

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("this Orthanc does not run")
        return self._process

    def _wait_for_answer(self) -> None:
        process, deadline = self._running(), time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None:
                break
            with suppress(OSError):  # URLError is one
                self.request("GET", "/system")
                return
            time.sleep(0.05)
        tail = self.log.read_text(errors="replace").splitlines()[-8:]
        raise RuntimeError("\n".join([f"Orthanc did not start (status {process.poll()}):", *tail]))


def dicomweb() -> dict[str, object]:
    """Settings that add DICOMweb at /dicom-web/; where the plug-in is not installed the test skips."""
    if not DICOMWEB.is_file():
        absent(f"{DICOMWEB} is not there; it comes with orthanc-dicomweb")
    return {"Plugins": [str(DICOMWEB)]}


def read_config(path: Path) -> dict[str, Any]:
    """A configuration of Orthanc: JSON, in which lines that begin with // are comments."""
    lines = path.read_text(encoding="utf-8").splitlines()
    settings: dict[str, Any] = json.loads("\n".join(x for x in lines if not x.lstrip().startswith("//")))
    return settings


def free_ports(count: int) -> list[int]:
    """TCP ports of loopback that nobody uses."""
    ports: list[int] = []
    with ExitStack() as held:
        while len(ports) < count:
            probe = held.enter_context(socket.socket())
            with suppress(OSError):
                probe.bind(("127.0.0.1", random.choice(_PORTS)))
                ports.append(probe.getsockname()[1])
    return ports
