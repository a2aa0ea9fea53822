"""A web server of our own for tests: real HTTP that takes STOW-RS, and every odd answer on request.

    with WebServer() as server:
        server.replies = [Reply(503, {"Retry-After": "7"})]      # then normal again
        ...
        assert [request.uids for request in server.requests] == [("1.2.3",), ("1.2.3",)]

What a request holds is read by our own reading of RFC 2046 here and by pydicom, not by the code under test.
"""

from __future__ import annotations

import io
import json
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydicom import dcmread

from tests.support.serving import HttpServer

JSON = "application/dicom+json"
_PIECE = 65536


@dataclass(frozen=True)
class Reply:
    """What to answer to one request."""

    status: int = 200
    """Of HTTP."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Beside Content-Type and Content-Length, or instead of these."""
    content: bytes | None = None
    """None for what a server says that has stored, or failed, each instance."""
    failures: Mapping[str, int] = field(default_factory=dict)
    """Failure Reason of instances that are not stored."""
    warnings: Mapping[str, int] = field(default_factory=dict)
    """Warning Reason of instances that are stored."""
    does: str = "answer"
    """answer; hang; early: without reading; close: instead of an answer; drip: byte by byte."""


@dataclass(frozen=True)
class Request:
    """What came."""

    headers: Mapping[str, str]
    """By name in lower case."""
    length: int
    """Of its body, in bytes."""
    files: tuple[bytes, ...]
    """Its parts; none if the server discards them."""
    uids: tuple[str, ...]
    """SOP Instance UID of each part."""


class WebServer(HttpServer):
    """One server on a free port of loopback, for the time of a `with`."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, discards: bool = False) -> None:
        self.replies: list[Reply] = []
        """What to answer to the next requests; then everything is stored."""
        self.requests: list[Request] = []
        """Those that came in full."""
        self.connections = 0
        """How many there were."""
        self.discards = discards
        self.on_request: Callable[[Request], None] = lambda _: None
        """Called for each request that came in full, before it is answered."""
        super().__init__(_Server(("127.0.0.1", 0), self, tls))
        self._scheme = "http" if tls is None else "https"

    @property
    def url(self) -> str:
        """What to post to."""
        return f"{self._scheme}://127.0.0.1:{self.port}/dicom-web/studies"

    def stored(self) -> list[str]:
        """SOP Instance UIDs of everything that came, in order."""
        return [uid for request in self.requests for uid in request.uids]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], owner: WebServer, tls: ssl.SSLContext | None) -> None:
        super().__init__(address, _Handler)
        self.owner = owner
        self._tls = tls

    def get_request(self) -> tuple[object, object]:  # type: ignore[override]
        self.owner.connections += 1
        connection, address = super().get_request()
        if self._tls is not None:
            connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that go are what is tested."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        owner = self.server.owner
        reply = owner.replies.pop(0) if owner.replies else Reply()
        if reply.does == "early":
            self.close_connection = True
            self._answer(reply, ())
            return
        request = self._read()
        owner.requests.append(request)
        owner.on_request(request)
        if reply.does == "hang":
            owner.free.wait()
        if reply.does in ("hang", "close"):
            self.close_connection = True
            return
        self._answer(reply, request.uids)

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""

    def _read(self) -> Request:
        left = length = int(self.headers["Content-Length"])
        content = bytearray()
        while left:
            piece = self.rfile.read(min(left, _PIECE))
            if not piece:
                raise ConnectionError("cut short")
            left -= len(piece)
            if not self.server.owner.discards:
                content += piece
        files = parts(bytes(content), self.headers["Content-Type"]) if content else ()
        uids = tuple(str(dcmread(io.BytesIO(file), stop_before_pixels=True).SOPInstanceUID) for file in files)
        return Request({k.lower(): v for k, v in self.headers.items()}, length, files, uids)

    def _answer(self, reply: Reply, uids: Sequence[str]) -> None:
        content = said(uids, reply) if reply.content is None else reply.content
        headers = {"Content-Type": JSON, "Content-Length": str(len(content))} | dict(reply.headers)
        self.send_response(reply.status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if reply.does == "drip":
            for at in range(len(content)):
                self.wfile.write(content[at : at + 1])
                if self.server.owner.free.wait(0.05):
                    return
        else:
            self.wfile.write(content)
        if int(headers["Content-Length"]) != len(content):
            self.close_connection = True


def parts(content: bytes, content_type: str) -> tuple[bytes, ...]:
    """The parts of a body of multipart/related (RFC 2046 5.1.1), all of them application/dicom."""
    kind, *parameters = [each.strip() for each in content_type.split(";")]
    told = dict(each.split("=", 1) for each in parameters)
    assert kind == "multipart/related"
    assert told["type"] == '"application/dicom"'
    delimiter = f"\r\n--{told['boundary']}".encode()
    preamble, *found, end = (b"\r\n" + content).split(delimiter)
    assert (preamble, end) == (b"", b"--\r\n")
    files = []
    for each in found:
        head, _, file = each.partition(b"\r\n\r\n")
        assert head == b"\r\nContent-Type: application/dicom"
        files.append(file)
    return tuple(files)


def said(uids: Sequence[str], reply: Reply) -> bytes:
    """A Store Instances Response Module in DICOM JSON (PS3.18 F)."""

    def item(uid: str, tag: str, reason: int | None) -> dict[str, object]:
        named: dict[str, object] = {"00081155": {"vr": "UI", "Value": [uid]}}
        return named if reason is None else named | {tag: {"vr": "US", "Value": [reason]}}

    stored = [item(uid, "00081196", reply.warnings.get(uid)) for uid in uids if uid not in reply.failures]
    failed = [item(uid, "00081197", reply.failures[uid]) for uid in uids if uid in reply.failures]
    table: dict[str, object] = {"00081190": {"vr": "UR", "Value": ["http://127.0.0.1/studies/1.2"]}}
    if stored:
        table["00081199"] = {"vr": "SQ", "Value": stored}
    if failed:
        table["00081198"] = {"vr": "SQ", "Value": failed}
    return json.dumps(table).encode()


@dataclass(frozen=True)
class Certificates:
    """An authority, and what it has signed, as PEM files."""

    ca: Path
    """The authority's certificate."""
    certificate: Path
    """For 127.0.0.1, as server and as client."""
    key: Path
    """Its private key."""

    def server(self, *, wants_client: bool = False) -> ssl.SSLContext:
        """TLS of a server with this certificate, which may want one of the client."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        if wants_client:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.ca)
        return context


def certificates(folder: Path, address: str = "127.0.0.1") -> Certificates:
    """Make an authority and a certificate for an address."""
    folder.mkdir(parents=True, exist_ok=True)
    authority, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer, subject = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("ca", "node"))
    now = datetime.now(UTC)

    def signed(name: x509.Name, public: ec.EllipticCurvePublicKey, extension: x509.ExtensionType) -> bytes:
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(issuer).public_key(public)
        builder = builder.serial_number(x509.random_serial_number()).add_extension(extension, critical=False)
        builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        return builder.sign(authority, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    made = Certificates(folder / "ca.pem", folder / "certificate.pem", folder / "key.pem")
    made.ca.write_bytes(
        signed(issuer, authority.public_key(), x509.BasicConstraints(ca=True, path_length=None))
    )
    names = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(address))])
    made.certificate.write_bytes(signed(subject, key.public_key(), names))
    made.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return made
