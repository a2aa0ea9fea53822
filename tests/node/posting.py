"""What listens for HTTP, for tests: the real one, in a thread, on a free port; and requests by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from casgan_dicom.node.door.http import Patience
from casgan_dicom.node.receive.web import run_web
from casgan_dicom.node.settings import ListenerSettings, NodeSettings, WebSettings
from casgan_dicom.node.state.layout import Layout
from tests.node.listening import rows_of
from tests.support.orthanc import free_ports
from tests.support.serving import service

KIND = 'multipart/related; type="application/dicom"; boundary=b0undary'
STORED, FAILED, OTHERS, REASON, UID = "00081199", "00081198", "0008119A", "00081197", "00081155"


@dataclass(frozen=True)
class Posting:
    """One that runs."""

    url: str
    """Where to post, without the path."""
    port: int
    """Where it listens."""
    layout: Layout
    """Where its files are."""

    def rows(self, table: str = "instances") -> list[dict[str, Any]]:
        """Rows of the ledger."""
        return rows_of(self.layout, table)

    def post(
        self, files: Sequence[bytes], path: str = "/studies", headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """Post files in one request, by a client of somebody else."""
        told = {"Content-Type": KIND} | dict(headers or {})
        return httpx.post(self.url + path, content=body(files), headers=told, timeout=60, trust_env=False)


def web_settings(data: Path, listener: Mapping[str, Any] | None = None, **web: Any) -> NodeSettings:  # noqa: ANN401
    """Settings on a free port that does not mind a full disk."""
    (port,) = free_ports(1)
    own = {"port": 0, "min_free_bytes": 0} | dict(listener or {})
    settings = WebSettings(**{"port": port, "max_connections_per_address": 100} | web)
    return NodeSettings(data=data, listener=ListenerSettings(**own), web=settings)


@contextmanager
def posting(settings: NodeSettings, patience: Patience | None = None) -> Iterator[Posting]:
    """Run it for the time of a block; whatever ends it early is raised here."""
    scheme = "https" if settings.web.tls_certificate else "http"
    with service(partial(run_web, settings, "recipe", patience=patience or Patience())) as (port, _):
        yield Posting(f"{scheme}://127.0.0.1:{port}", port, Layout(settings.data))


def body(files: Sequence[bytes], boundary: str = "b0undary", head: str = "") -> bytes:
    """A body of multipart/related (RFC 2387), written by hand."""
    start = f"--{boundary}\r\nContent-Type: application/dicom\r\n{head}\r\n".encode()
    return b"".join(start + each + b"\r\n" for each in files) + f"--{boundary}--\r\n".encode()


def uids(answer: httpx.Response, sequence: str) -> list[str]:
    """SOP Instance UIDs of a sequence of an answer in DICOM JSON."""
    return [item[UID]["Value"][0] for item in answer.json().get(sequence, {}).get("Value", ())]


def reasons(answer: httpx.Response, sequence: str = FAILED) -> list[int]:
    """Failure Reasons of a sequence."""
    return [item[REASON]["Value"][0] for item in answer.json().get(sequence, {}).get("Value", ())]
