"""What a DICOMweb archive holds comes into the spool, each instance once, and what it does wrong is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pydicom import dcmread
from pydicom.uid import JPEGLSLossless

from casgan_dicom.errors import CasganError, PeerError
from casgan_dicom.node.client.query import Wanted
from casgan_dicom.node.receive.pull import Pull, Pulled
from casgan_dicom.node.settings import ArchiveSettings, ListenerSettings, NodeSettings
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger
from tests.node.listening import check_spool, rows_of
from tests.support.factories import moving_frames, uid, write_xa
from tests.support.orthanc import Orthanc, dicomweb
from tests.support.web_server import certificates

STUDY, SERIES = uid("study"), uid("series")
XA = Wanted(modalities=("XA", "RF"), studies=(STUDY,))


def pulled(
    folder: Path,
    url: str,
    wanted: Wanted = XA,
    fetch: bool = True,
    **archive: Any,  # noqa: ANN401
) -> Pulled:
    """What becomes of a pull."""
    one = ArchiveSettings("pacs", kind="dicomweb", url=url, **{"response_seconds": 10.0} | archive)
    settings = NodeSettings(folder / "node", ListenerSettings(min_free_bytes=0), archives=(one,))
    settings.data.mkdir(exist_ok=True)
    ledger = Ledger(Layout(settings.data).ledger)
    try:
        pull = Pull(settings, one, ledger, "recipe")
        found = pull.look(wanted)
        if fetch:
            pull.fetch(found, lambda _: None)
        return found
    finally:
        ledger.close()


def cine(folder: Path, name: str, **header: Any) -> Path:  # noqa: ANN401
    """A file of an archive."""
    own = {"StudyInstanceUID": STUDY, "SeriesInstanceUID": SERIES, "Modality": "XA", "StudyDate": "20261105"}
    return write_xa(folder / name, moving_frames(2), SOPInstanceUID=uid(name), **(own | header))


@contextmanager
def archive(folder: Path, **extra: object) -> Iterator[Orthanc]:
    """Orthanc with a series of three, one of them compressed, a CT beside it, and another study."""
    with Orthanc.stock(folder / "orthanc", extra=dicomweb() | extra) as pacs:
        made = folder / "made"
        pacs.add(cine(made, "a"))
        pacs.add(cine(made, "b", syntax=JPEGLSLossless))
        pacs.add(cine(made, "c"))
        pacs.add(cine(made, "ct", SeriesInstanceUID=uid("other series"), Modality="CT"))
        more = {"StudyInstanceUID": uid("other"), "SeriesInstanceUID": uid("x"), "StudyDate": "20261106"}
        pacs.add(cine(made, "later", **more))
        yield pacs


def url_of(pacs: Orthanc) -> str:
    return f"http://127.0.0.1:{pacs.http_port}/dicom-web"


@pytest.mark.orthanc
def test_a_study_comes_as_it_lies_there_and_once(tmp_path: Path) -> None:
    with archive(tmp_path) as pacs:
        first = pulled(tmp_path, url_of(pacs), ae_title="PACS")
        again = pulled(tmp_path, url_of(pacs), ae_title="PACS")

    assert (first.held, first.known, first.fetched, first.left) == (3, 0, 3, 0)
    assert (again.held, again.known, again.fetched) == (3, 3, 0)
    assert check_spool(Layout(tmp_path / "node")) == 3
    for row in rows_of(Layout(tmp_path / "node")):
        name = next(each for each in "abc" if uid(each) == row["sop_uid"])
        theirs, ours = dcmread(tmp_path / "made" / name), dcmread(row["path"])
        assert ours == theirs
        assert ours.file_meta.TransferSyntaxUID == theirs.file_meta.TransferSyntaxUID
        assert (row["peer"], row["address"], row["copies"]) == ("PACS", "127.0.0.1", 1)


@pytest.mark.orthanc
def test_days_and_modalities_name_what_is_wanted(tmp_path: Path) -> None:
    with archive(tmp_path) as pacs:
        found = [
            pulled(tmp_path, url_of(pacs), wanted, fetch=False).held
            for wanted in (
                Wanted(dates="20261105", modalities=("XA",)),
                Wanted(dates="20261105-20261106", modalities=("XA",)),
                Wanted(dates="20261105-20261106"),
                Wanted(dates="20200101"),
                Wanted(studies=(STUDY,), series=(uid("other series"),)),
            )
        ]

    assert found == [3, 4, 5, 0, 1]


@pytest.mark.orthanc
def test_a_login_is_shown_and_a_wrong_one_is_told(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("right\n")
    users = {"AuthenticationEnabled": True, "RegisteredUsers": {"casgan": "right"}}
    pacs = Orthanc.stock(tmp_path / "orthanc", extra=dicomweb() | users)
    pacs.user = "casgan", "right"
    with pacs:
        with pytest.raises(PeerError, match="wants a login"):
            pulled(tmp_path, url_of(pacs))
        assert pulled(tmp_path, url_of(pacs), user="casgan", password_file=password).held == 0


def test_over_tls_its_certificate_has_to_be_good(tmp_path: Path) -> None:
    made = certificates(tmp_path / "tls")
    with served(lambda _: (200, "application/dicom+json", b"[]"), made.server()) as url:
        assert pulled(tmp_path, url, tls_authorities=str(made.ca)).held == 0
        with pytest.raises(PeerError, match="is not one to trust"):
            pulled(tmp_path, url)


# A server that does what a test says.

Asked = tuple[str, dict[str, list[str]]]
Reply = tuple[int, str, bytes]


@contextmanager
def served(reply: Callable[[Asked], Reply], tls: Any = None) -> Iterator[str]:  # noqa: ANN401  # an SSLContext
    """Answer each GET; the address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            status, kind, content = reply((parts.path, parse_qs(parts.query)))
            self.send_response(status)
            if kind:
                self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that go are what is tested
    thread = threading.Thread(target=server.serve_forever, args=[0.02])
    thread.start()
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{server.server_address[1]}/dicom-web"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def match(**values: str) -> dict[str, object]:
    return {tag: {"vr": "UI", "Value": [value]} for tag, value in values.items()}


def told_of(instances: list[str], given: Callable[[str], Reply]) -> Callable[[Asked], Reply]:
    """An archive with one series; `given` answers for an instance by its UID."""

    def reply(asked: Asked) -> Reply:
        path, query = asked
        _, _, last = path.removeprefix("/dicom-web").rpartition("/")
        if last == "series":
            found = [match(**{"0020000E": SERIES, "00080060": "XA"})]
        elif last == "instances":
            begin, count = int(query["offset"][0]), int(query["limit"][0])
            found = [match(**{"00080018": each}) for each in instances[begin : begin + count]]
        else:
            return given(last)
        return 200, "application/dicom+json", json.dumps(found).encode()

    return reply


def part(content: bytes) -> bytes:
    return b"--x\r\nContent-Type: application/dicom\r\n\r\n" + content + b"\r\n--x--"


RELATED = 'multipart/related; type="application/dicom"; boundary=x'


def test_all_pages_are_asked_for_and_only_once(tmp_path: Path) -> None:
    instances = [f"1.2.3.{k}" for k in range(1201)]
    with served(told_of(instances, lambda _: (404, "", b""))) as url:
        assert [each.sop_uid for each in pulled(tmp_path, url, fetch=False).missing] == instances

    def no_pages(asked: Asked) -> Reply:
        return told_of(instances, lambda _: (404, "", b""))((asked[0], {"offset": ["0"], "limit": ["5000"]}))

    with served(no_pages) as url:
        assert pulled(tmp_path, url, fetch=False).held == 1201


@pytest.mark.parametrize("kind", [RELATED, "application/dicom"])
def test_one_instance_may_come_alone(tmp_path: Path, kind: str) -> None:
    one = cine(tmp_path / "made", "a").read_bytes()
    content = part(one) if kind == RELATED else one
    with served(told_of([uid("a")], lambda _: (200, kind, content))) as url:
        assert pulled(tmp_path, url).fetched == 1
    (row,) = rows_of(Layout(tmp_path / "node"))
    assert row["peer"] == "pacs"


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ((302, "", b""), "sends us elsewhere"),
        ((400, "", b""), "does not understand the question"),
        ((401, "", b""), "wants a login"),
        ((403, "", b""), "does not let us fetch"),
        ((404, "", b""), "is not there"),
        ((500, "", b""), "has a fault of its own"),
        ((503, "", b""), "is busy"),
        ((200, "application/dicom+json", b"{}"), "no DICOM JSON"),
        ((200, "text/html", b"<html>"), "no DICOM JSON"),
        ((200, "application/dicom+json", b"[" * 100_000), "no DICOM JSON"),
        ((200, "application/dicom+json", b" " * 5_000_000), "more than"),
    ],
)
def test_an_answer_that_is_none_is_told(tmp_path: Path, reply: Reply, said: str) -> None:
    with served(lambda _: reply) as url, pytest.raises(CasganError, match=said):
        pulled(tmp_path, url)


def test_odd_matches_are_passed_over(tmp_path: Path) -> None:
    odd: list[object] = [
        None,
        1,
        {},
        {"00080018": None},
        {"00080018": {"Value": []}},
        match(**{"00080018": "../../etc"}),
    ]

    def reply(asked: Asked) -> Reply:
        if asked[0].endswith("/instances"):
            return 200, "application/dicom+json", json.dumps([*odd, match(**{"00080018": "1.2.3"})]).encode()
        return told_of([], lambda _: (404, "", b""))(asked)

    with served(reply) as url:
        assert [each.sop_uid for each in pulled(tmp_path, url, fetch=False).missing] == ["1.2.3"]


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ((200, "text/html", b"<html>"), "gives no instance as application/dicom"),
        ((200, RELATED, b"--x\r\n\r\n"), "gives no instance"),
        ((403, "", b""), "does not let us fetch"),
        ((406, "", b""), "has no form that we take"),
    ],
)
def test_an_instance_that_is_none_ends_a_pull_with_a_reason(tmp_path: Path, reply: Reply, said: str) -> None:
    with served(told_of([uid("a")], lambda _: reply)) as url, pytest.raises(PeerError, match=said):
        pulled(tmp_path, url)
    assert list(Layout(tmp_path / "node").incoming.iterdir()) == []


def test_what_is_gone_or_cut_off_is_left_and_the_rest_comes(tmp_path: Path) -> None:
    good, cut = (cine(tmp_path / "made", name).read_bytes() for name in ("good", "cut"))
    replies: dict[str, Reply] = {
        uid("good"): (200, RELATED, part(good)),
        uid("cut"): (200, RELATED, part(cut[:300])),
        uid("gone"): (404, "", b""),
    }
    with served(told_of([uid("gone"), uid("cut"), uid("good")], replies.__getitem__)) as url:
        found = pulled(tmp_path, url)

    assert (found.held, found.fetched, found.left) == (3, 1, 2)
    assert check_spool(Layout(tmp_path / "node")) == 1


def test_an_instance_of_another_study_is_not_taken(tmp_path: Path) -> None:
    other = cine(tmp_path / "made", "a", StudyInstanceUID="1.2.3").read_bytes()
    with served(told_of([uid("a")], lambda _: (200, RELATED, part(other)))) as url:
        assert pulled(tmp_path, url).left == 1
    assert rows_of(Layout(tmp_path / "node")) == []
