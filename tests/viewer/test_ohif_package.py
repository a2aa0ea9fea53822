"""How the viewer comes here and is served: what is unpacked, what is refused, which address gives what."""

from __future__ import annotations

import hashlib
import io
import tarfile
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.viewer.ohif import SHA512, OhifServer, unpack

FILES = {
    "package/package.json": b"{}",
    "package/dist/index.html": b"start",
    "package/dist/app-config.js": b"theirs",
    "package/dist/app.js": b"code",
    "package/dist/app.js.map": b"map",
    "package/dist/ort/engine.wasm": b"engine",
    "package/dist/assets/icon.svg": b"icon",
}


def tarball(folder: Path) -> Path:
    """A package like that of OHIF."""
    path = folder / "package.tgz"
    with tarfile.open(path, "w:gz") as archive:
        for name, content in FILES.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def unpacked(folder: Path) -> Path:
    """The viewer of that package."""
    packed = tarball(folder)
    unpack(packed, folder / "viewer", sha512=hashlib.sha512(packed.read_bytes()).hexdigest())
    return folder / "viewer"


def test_what_a_browser_needs_is_unpacked_and_nothing_else(tmp_path: Path) -> None:
    folder = unpacked(tmp_path)

    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert found == {"index.html", "app-config.js", "app.js", "assets/icon.svg"}


def test_another_tarball_than_the_one_wanted_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=SHA512[:16]):
        unpack(tarball(tmp_path), tmp_path / "viewer")

    assert not (tmp_path / "viewer").exists()


class Archive(BaseHTTPRequestHandler):
    """Tells what it was asked, or refuses."""

    def do_GET(self) -> None:
        told = f"{self.path} as {self.headers['Accept']}".encode()
        self.send_response(404 if "absent" in self.path else 200)
        self.send_header("Content-Type", "application/dicom+json")
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    def log_message(self, format: str, *args: object) -> None:
        """Keep silent."""


def get(url: str) -> tuple[int, bytes]:
    """Status and body of the answer."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    query = urllib.request.Request(url, headers={"Accept": "some/type"})
    try:
        with opener.open(query, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.read()


def test_one_address_gives_the_viewer_its_settings_and_the_archive(tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Archive) as archive:
        thread = Thread(target=archive.serve_forever)
        thread.start()
        try:
            with OhifServer(unpacked(tmp_path), archive.server_port) as served:
                answers = {
                    path: get(served.url + path)
                    for path in ("/", "/app.js", "/viewer?StudyInstanceUIDs=1", "/app-config.js")
                }
                known = get(f"{served.url}/dicom-web/studies?limit=1")
                unknown = get(f"{served.url}/dicom-web/absent")
        finally:
            archive.shutdown()
            thread.join()

    assert answers["/"] == answers["/viewer?StudyInstanceUIDs=1"] == (200, b"start")
    assert answers["/app.js"] == (200, b"code")
    assert b"/dicom-web" in answers["/app-config.js"][1]
    assert known == (200, b"/dicom-web/studies?limit=1 as some/type")
    assert unknown[0] == 404
