"""What is posted is in the spool, or refused with a reason: by real clients, and by nobody who may not."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import requests
from pydicom import dcmread
from pydicom.uid import CTImageStorage, ImplicitVRLittleEndian, JPEGLSLossless

from casgan_dicom.errors import ConfigError
from casgan_dicom.node.client.login import Login
from casgan_dicom.node.client.results import StoreResult
from casgan_dicom.node.client.stow import Stow
from casgan_dicom.node.client.web import Web
from tests.node.listening import check_spool, events, log_lines
from tests.node.posting import (
    FAILED,
    KIND,
    OTHERS,
    STORED,
    Posting,
    body,
    posting,
    reasons,
    uids,
    web_settings,
)
from tests.support.factories import moving_frames, uid, write_xa
from tests.support.orthanc import Orthanc, dicomweb

NO_ROOM, MISMATCH, NOT_UNDERSTOOD = 0xA700, 0xA900, 0xC000


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Posting]:
    with posting(web_settings(tmp_path / "data")) as running:
        yield running


def cine(folder: Path, name: str, **header: object) -> bytes:
    """A file."""
    return write_xa(folder / f"{name}.dcm", moving_frames(2), SOPInstanceUID=uid(name), **header).read_bytes()


def test_files_are_in_the_spool_byte_for_byte_when_it_is_answered(web: Posting, folder: Path) -> None:
    files = [
        cine(folder, "a"),
        cine(folder, "b", syntax=ImplicitVRLittleEndian),
        cine(folder, "c", syntax=JPEGLSLossless),
    ]

    answer = web.post(files)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/dicom+json"
    assert uids(answer, STORED) == [uid("a"), uid("b"), uid("c")]
    assert check_spool(web.layout) == 3
    for row, name in zip(web.rows(), "abc", strict=True):
        assert dcmread(row["path"]) == dcmread(folder / f"{name}.dcm")
        assert (row["peer"], row["address"]) == ("WEB", "127.0.0.1")


def test_the_same_once_more_is_a_success_and_nothing_new(web: Posting, folder: Path) -> None:
    one = cine(folder, "a")

    answers = [web.post([one]), web.post([one, one])]

    assert [each.status_code for each in answers] == [200, 200]
    assert [row["copies"] for row in web.rows()] == [3]


@pytest.mark.parametrize(
    "kind",
    [
        'multipart/related; type="application/dicom"; boundary="b0undary"',
        "multipart/related; type=application/dicom; boundary=b0undary",
        'Multipart/Related; Boundary=b0undary; Type="application/dicom"',
        'multipart/related;type="application/dicom";boundary=b0undary;start="<1@a>"',
        "multipart/related; boundary=b0undary",
    ],
)
def test_every_way_to_name_the_boundary_is_understood(web: Posting, folder: Path, kind: str) -> None:
    assert web.post([cine(folder, "a")], headers={"Content-Type": kind}).status_code == 200


@pytest.mark.parametrize(
    "head",
    [
        "Content-Length: {length}\r\n",
        "Content-Location: http://127.0.0.1/1\r\nMIME-Version: 1.0\r\n",
        "Content-Transfer-Encoding: binary\r\n",
    ],
)
def test_headers_of_a_part_may_be_there_or_not(web: Posting, folder: Path, head: str) -> None:
    one = cine(folder, "a")
    content = body([one], head=head.format(length=len(one)))

    answer = httpx.post(web.url + "/studies", content=content, headers={"Content-Type": KIND})

    assert answer.status_code == 200
    assert check_spool(web.layout) == 1


def test_a_part_may_name_its_transfer_syntax(web: Posting, folder: Path) -> None:
    content = body([cine(folder, "a")]).replace(
        b"application/dicom\r\n", b'application/dicom; transfer-syntax="1.2.840.10008.1.2.1"\r\n'
    )

    assert requests.post(web.url + "/studies", content, headers={"Content-Type": KIND}).status_code == 200


def test_one_file_alone_needs_no_parts(web: Posting, folder: Path) -> None:
    answer = requests.post(
        web.url + "/studies", cine(folder, "a"), headers={"Content-Type": "application/dicom"}
    )

    assert answer.status_code == 200
    assert check_spool(web.layout) == 1


def test_a_body_in_chunks_of_any_size_is_the_same(web: Posting, folder: Path) -> None:
    content = body([cine(folder, "a"), cine(folder, "b")])
    steps = [1, 2, 3, 5, 7, 1000, 65536]

    def pieces() -> Iterator[bytes]:
        at, turn = 0, 0
        while at < len(content):
            size = steps[turn % len(steps)]
            yield content[at : at + size]
            at, turn = at + size, turn + 1

    answer = requests.post(web.url + "/studies", pieces(), headers={"Content-Type": KIND})

    assert answer.status_code == 200
    assert check_spool(web.layout) == 2


def test_our_own_client_understands_the_answers(web: Posting, folder: Path) -> None:
    files = [write_xa(folder / name, SOPInstanceUID=uid(name)) for name in ("a", "b", "c")]
    results: list[StoreResult] = []

    target = Web(web.url + "/studies", Login())
    Stow(target, most_instances=2, most_bytes=2**28).store(files, results.append)

    assert [(each.outcome, each.status) for each in results] == [("stored", 0)] * 3


@pytest.mark.orthanc
def test_orthanc_sends_by_its_own_plug_in(tmp_path: Path, folder: Path) -> None:
    settings = web_settings(tmp_path / "data")
    url = f"http://127.0.0.1:{settings.web.port}/"
    extra = dicomweb() | {"DicomWeb": {"Servers": {"node": [url]}}}
    with posting(settings) as web, Orthanc.stock(tmp_path / "orthanc", extra=extra) as pacs:
        for name in "abc":
            pacs.add(write_xa(folder / name, moving_frames(2), SOPInstanceUID=uid(name)))
        wanted = "".join(f'"{pacs.find("Instance", uid(name))}",' for name in "abc")[:-1]

        pacs.request("POST", "/dicom-web/servers/node/stow", f'{{"Resources": [{wanted}]}}'.encode())

        assert check_spool(web.layout) == 3
        assert {row["sop_uid"] for row in web.rows()} == {uid(name) for name in "abc"}


@pytest.mark.parametrize(
    ("accept", "status", "kind"),
    [
        ("application/dicom+json", 200, "application/dicom+json"),
        ("application/dicom+xml", 200, "application/dicom+xml"),
        ("application/json", 200, "application/dicom+json"),
        ("application/dicom+xml;q=0.9, application/dicom+json;q=0.1", 200, "application/dicom+xml"),
        ("text/html, */*;q=0.1", 200, "application/dicom+json"),
        ("text/html", 406, "text/plain; charset=utf-8"),
    ],
)
def test_the_answer_is_of_the_kind_that_is_asked_for(
    web: Posting, folder: Path, accept: str, status: int, kind: str
) -> None:
    answer = web.post([cine(folder, "a")], headers={"Accept": accept})

    assert (answer.status_code, answer.headers["content-type"]) == (status, kind)
    assert len(web.rows()) == (status == 200)


# What is not stored, and why.


def test_what_fails_is_named_and_the_rest_is_stored(web: Posting, folder: Path) -> None:
    ct = dcmread(write_xa(folder / "ct", SOPInstanceUID=uid("ct")))
    ct.SOPClassUID = ct.file_meta.MediaStorageSOPClassUID = CTImageStorage
    ct.save_as(folder / "ct")
    good = cine(folder, "good")

    answer = web.post([(folder / "ct").read_bytes(), b"no DICOM" * 50, good, b""])

    assert answer.status_code == 202
    assert uids(answer, STORED) == [uid("good")]
    assert (uids(answer, FAILED), reasons(answer)) == ([uid("ct")], [0x0122])
    assert reasons(answer, OTHERS) == [NOT_UNDERSTOOD, NOT_UNDERSTOOD]
    assert check_spool(web.layout) == 1


@pytest.mark.parametrize(
    ("study", "status"),
    [(uid("study"), 200), ("1.2.3.4", 409), ("1.2.3.a", 400), ("..", 404), ("1" * 65, 400)],
)
def test_only_instances_of_the_study_in_the_path_are_stored(
    web: Posting, folder: Path, study: str, status: int
) -> None:
    answer = web.post([cine(folder, "a", StudyInstanceUID=uid("study"))], f"/studies/{study}")

    assert answer.status_code == status
    assert len(web.rows()) == (status == 200)
    if status == 409:
        assert (uids(answer, FAILED), reasons(answer)) == ([uid("a")], [MISMATCH])


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("SOPInstanceUID", "../../../etc/passwd"),
        ("SeriesInstanceUID", "../../x"),
        ("StudyInstanceUID", "/etc"),
    ],
)
def test_what_is_no_uid_leads_nowhere(
    web: Posting, tmp_path: Path, folder: Path, keyword: str, value: str
) -> None:
    content = cine(folder, "a", SeriesInstanceUID=uid("series"), StudyInstanceUID=uid("study"))
    names = {"SOPInstanceUID": uid("a"), "SeriesInstanceUID": uid("series"), "StudyInstanceUID": uid("study")}
    name = names[keyword].encode()
    before = {path for path in tmp_path.rglob("*") if not path.is_relative_to(tmp_path / "data")}

    answer = web.post([content.replace(name, value.encode().ljust(len(name), b"/"))])

    assert answer.status_code == 409
    assert web.rows() == []
    assert {path for path in tmp_path.rglob("*") if not path.is_relative_to(tmp_path / "data")} == before
    for path in web.layout.spool.rglob("*"):
        assert path.name == "incoming"


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ('multipart/related; type="application/dicom+json"; boundary=b0undary', 415),
        ('multipart/related; type="application/dicom+xml"; boundary=b0undary', 415),
        ('multipart/related; type="image/jpeg"; boundary=b0undary', 415),
        ("multipart/form-data; boundary=b0undary", 415),
        ("application/zip", 415),
        ("", 415),
        ('multipart/related; type="application/dicom"', 400),
        ('multipart/related; type="application/dicom"; boundary=""', 400),
        (f"multipart/related; boundary={'x' * 201}", 400),
        ("multipart/related; boundary=another", 400),
        ("multipart/related; boundary=b0und", 400),
    ],
)
def test_another_kind_of_request_is_refused_in_words(
    web: Posting, folder: Path, kind: str, status: int
) -> None:
    answer = web.post([cine(folder, "a")], headers={"Content-Type": kind})

    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/plain")
    assert len(answer.text) > 10
    assert web.rows() == []


def test_a_packed_body_is_refused(web: Posting, folder: Path) -> None:
    assert web.post([cine(folder, "a")], headers={"Content-Encoding": "gzip"}).status_code == 415


@pytest.mark.parametrize("missing", [1, 4, 14, 500])
def test_a_body_without_its_end_costs_only_the_last_part(web: Posting, folder: Path, missing: int) -> None:
    whole, last = cine(folder, "a"), cine(folder, "b")
    content = body([whole, last])[: -missing - 2]

    answer = httpx.post(web.url + "/studies", content=content, headers={"Content-Type": KIND})

    assert answer.status_code == 202
    assert uids(answer, STORED)[:1] == [uid("a")]
    assert check_spool(web.layout) == len(uids(answer, STORED))
    assert list(web.layout.incoming.iterdir()) == []


def test_a_request_without_a_part_is_bad(web: Posting) -> None:
    for content in (b"", b"--b0undary--\r\n", b"rubbish" * 1000, b"\0" * 300_000):
        answer = httpx.post(web.url + "/studies", content=content, headers={"Content-Type": KIND})
        assert answer.status_code == 400


def test_a_part_in_another_encoding_is_not_understood(web: Posting, folder: Path) -> None:
    for head in ("Content-Transfer-Encoding: base64\r\n", "Content-Type: image/jpeg\r\n"):
        content = body([cine(folder, "a")], head=head)
        answer = httpx.post(web.url + "/studies", content=content, headers={"Content-Type": KIND})
        assert (answer.status_code, reasons(answer, OTHERS)) == (409, [NOT_UNDERSTOOD])


def test_without_room_a_sender_is_asked_to_come_again(tmp_path: Path, folder: Path) -> None:
    with posting(web_settings(tmp_path / "data", {"min_free_bytes": 2**62})) as web:
        answer = web.post([cine(folder, "a")])

        assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
        assert web.rows() == []
        assert list(web.layout.incoming.iterdir()) == []


def test_a_longer_request_than_is_taken_is_refused(tmp_path: Path, folder: Path) -> None:
    one = cine(folder, "a")
    with posting(web_settings(tmp_path / "data", max_request_bytes=len(one) + 1000)) as web:
        known = web.post([one, one])
        in_pieces = httpx.post(
            web.url + "/studies", content=iter([body([one]), one]), headers={"Content-Type": KIND}
        )
        fits = web.post([one])

    assert [known.status_code, in_pieces.status_code, fits.status_code] == [413, 413, 200]


def test_a_longer_instance_than_is_taken_is_named(tmp_path: Path, folder: Path) -> None:
    short, long = cine(folder, "a"), write_xa(folder / "b", moving_frames(30), SOPInstanceUID=uid("b"))
    with posting(web_settings(tmp_path / "data", {"max_instance_bytes": len(short) + 1000})) as web:
        both = web.post([short, long.read_bytes()])
        alone = web.post([long.read_bytes()])

        assert (both.status_code, uids(both, STORED)) == (202, [uid("a")])
        assert (uids(both, FAILED), reasons(both)) == ([uid("b")], [NO_ROOM])
        assert (alone.status_code, reasons(alone)) == (413, [NO_ROOM])
        assert check_spool(web.layout) == 1


@pytest.mark.parametrize(("method", "path", "status"), [
    ("GET", "/studies", 405), ("PUT", "/studies", 405), ("OPTIONS", "/studies", 405),
    ("DELETE", "/studies/1.2", 405), ("GET", "/", 404),
    ("POST", "/studies/1.2/series", 404), ("POST", "/studies/", 404),
    ("POST", "/studies/%2e%2e%2fx", 404),
])  # fmt: skip
def test_nothing_else_can_be_asked_for(web: Posting, method: str, path: str, status: int) -> None:
    assert httpx.request(method, web.url + path).status_code == status


# What ends it early.


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    settings = web_settings(tmp_path / "data")
    in_use = pytest.raises(ConfigError, match=f"port {settings.web.port} is in use")
    with posting(settings), in_use, posting(settings):
        pass


def test_no_patient_is_in_the_log(web: Posting, folder: Path) -> None:
    secret = "Weissnicht^Wer"
    with log_lines() as log:
        content = cine(folder, "a", PatientName=secret)
        web.post([content, content[:-100], content.replace(uid("a").encode(), b"/" * len(uid("a")))])
        httpx.post(web.url + f"/studies/{secret}", content=content)
        with socket.create_connection(("127.0.0.1", web.port)) as line:
            line.sendall(f"{secret}\r\n\r\n".encode())
            assert b"400" in line.recv(1000)

    assert "Weissnicht" not in log.getvalue()
    assert any(each["event"] == "instance stored" for each in events(log))
