"""Store over the web: what goes out, and what every answer of a server comes to."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from casgan_dicom.errors import PeerError, SeriesError
from casgan_dicom.node.client.login import Login
from casgan_dicom.node.client.results import BusyError, StoreResult
from casgan_dicom.node.client.stow import Stow
from casgan_dicom.node.client.web import LONGEST_BUSY_SECONDS, Web
from casgan_dicom.node.client.web_session import MOST_ANSWERED
from tests.support.factories import moving_frames, uid, write_xa
from tests.support.orthanc import free_ports
from tests.support.web_server import Certificates, Reply, WebServer, certificates


@pytest.fixture
def server() -> Iterator[WebServer]:
    with WebServer() as running:
        yield running


def stow(server: WebServer, **changes: object) -> Stow:
    """The client, impatient."""
    web = Web(server.url, Login(), connect_seconds=3, response_seconds=3)
    return replace(Stow(web, most_instances=32, most_bytes=2**28), **changes)  # type: ignore[arg-type]


def talking(client: Stow, **changes: object) -> Stow:
    """With other settings of the connection."""
    return replace(client, web=replace(client.web, **changes))  # type: ignore[arg-type]


def cines(folder: Path, *names: str, syntax: UID = ExplicitVRLittleEndian) -> list[Path]:
    """Small cines, each with the SOP Instance UID that its name stands for."""
    return [
        write_xa(folder / f"{name}.dcm", moving_frames(2), syntax=syntax, SOPInstanceUID=uid(name))
        for name in names
    ]


def told(client: Stow, files: Sequence[Path]) -> list[StoreResult]:
    """What is told of files that are all sent."""
    results: list[StoreResult] = []
    client.store(files, results.append)
    return results


def test_files_go_out_byte_for_byte_and_count_as_stored(server: WebServer, tmp_path: Path) -> None:
    files = cines(tmp_path, "a", "b", "c")

    results = told(stow(server), files)

    (request,) = server.requests
    assert list(request.files) == [path.read_bytes() for path in files]
    assert [(each.path, each.outcome, each.status, each.reason) for each in results] == [
        (path, "stored", 0, "") for path in files
    ]
    assert [each.sop_instance_uid for each in results] == list(request.uids)
    assert request.headers["accept"] == "application/dicom+json"
    assert "authorization" not in request.headers


def test_nothing_happens_without_files(server: WebServer) -> None:
    assert told(stow(server), []) == []
    assert server.connections == 0


@pytest.mark.parametrize(
    ("changes", "sizes"),
    [({"most_instances": 2}, [2, 2, 1]), ({"most_bytes": 1}, [1] * 5), ({"most_instances": 5}, [5])],
)
def test_a_request_holds_no_more_than_it_may(
    server: WebServer, tmp_path: Path, changes: dict[str, object], sizes: list[int]
) -> None:
    files = cines(tmp_path, *"abcde")

    results = told(stow(server, **changes), files)

    assert [len(request.uids) for request in server.requests] == sizes
    assert [each.path for each in results] == files
    assert server.connections == 1


def test_a_request_holds_as_many_bytes_as_it_may(server: WebServer, tmp_path: Path) -> None:
    files = cines(tmp_path, *"abcde")
    two = sum(path.stat().st_size for path in files[:2])

    told(stow(server, most_bytes=two), files)

    assert [len(request.uids) for request in server.requests] == [2, 2, 1]


def test_each_answer_is_told_before_the_next_request(server: WebServer, tmp_path: Path) -> None:
    seen: list[tuple[str, int]] = []

    stow(server, most_instances=1).store(
        cines(tmp_path, "a", "b"),
        lambda result: seen.append((result.sop_instance_uid, len(server.requests))),
    )

    assert seen == [(uid("a"), 1), (uid("b"), 2)]


def test_a_long_cine_is_not_held_in_memory(tmp_path: Path) -> None:
    """Of 256 MiB on the wire, a few at a time are in memory; the server reads and forgets."""
    (path,) = cines(tmp_path, "a")
    with path.open("r+b") as file:
        file.truncate(2**28)  # sparse: what is in it does not matter to whoever sends it
    reply = Reply(content=json.dumps(_answered(uid("a"))).encode())

    with WebServer(discards=True) as server:
        server.replies = [reply]
        client = talking(stow(server), response_seconds=60.0)
        tracemalloc.start()
        try:
            results = told(client, [path])
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    assert [each.outcome for each in results] == ["stored"]
    assert server.requests[0].length > 2**28
    assert peak < 2**24


def _answered(stored: str) -> Mapping[str, object]:
    item = {"00081155": {"vr": "UI", "Value": [stored]}}
    return {"00081199": {"vr": "SQ", "Value": [item]}}


# What becomes of single instances.


@pytest.mark.parametrize("status", [200, 202, 400, 409])
def test_each_instance_has_the_answer_that_it_was_given(
    server: WebServer, tmp_path: Path, status: int
) -> None:
    server.replies = [
        Reply(
            status,
            failures={uid("full"): 0xA700, uid("bad"): 0xC000, uid("again"): 0x0111, uid("busy"): 0x0110},
            warnings={uid("coerced"): 0xB000},
        )
    ]

    results = told(stow(server), cines(tmp_path, "good", "full", "bad", "again", "busy", "coerced"))

    assert [(each.outcome, each.status, each.is_stored) for each in results] == [
        ("stored", 0, True),
        ("refused-now", 0xA700, False),
        ("refused", 0xC000, False),
        ("warning", 0x0111, True),
        ("refused-now", 0x0110, False),
        ("warning", 0xB000, True),
    ]
    assert [bool(each.reason) for each in results] == [False, True, True, True, True, True]


def test_an_instance_that_the_answer_does_not_name_is_not_stored(server: WebServer, tmp_path: Path) -> None:
    server.replies = [Reply(content=json.dumps(_answered(uid("b"))).encode())]

    results = told(stow(server), cines(tmp_path, "a", "b"))

    assert [(each.outcome, each.status) for each in results] == [("no-answer", None), ("stored", 0)]


def test_a_failure_without_a_reason_may_pass(server: WebServer, tmp_path: Path) -> None:
    item = {"00081155": {"vr": "UI", "Value": [uid("a")]}}
    failed = {"00081198": {"vr": "SQ", "Value": [item]}}
    server.replies = [Reply(202, content=json.dumps(failed).encode())]

    (result,) = told(stow(server), cines(tmp_path, "a"))

    assert (result.outcome, result.status) == ("refused-now", None)


@pytest.mark.parametrize("reason", [0xB000, 0x0107])
def test_a_failure_stays_one_whatever_its_reason(server: WebServer, tmp_path: Path, reason: int) -> None:
    server.replies = [Reply(202, failures={uid("a"): reason})]
    (result,) = told(stow(server), cines(tmp_path, "a"))
    assert result.outcome == "refused"


def test_what_failed_and_is_stored_has_failed(server: WebServer, tmp_path: Path) -> None:
    item = {"00081155": {"vr": "UI", "Value": [uid("a")]}}
    failed = item | {"00081197": {"vr": "US", "Value": [0xA900]}}
    both = {"00081199": {"vr": "SQ", "Value": [item]}, "00081198": {"vr": "SQ", "Value": [failed]}}
    server.replies = [Reply(202, content=json.dumps(both).encode())]

    (result,) = told(stow(server), cines(tmp_path, "a"))

    assert (result.outcome, result.status) == ("refused", 0xA900)


XML = """<?xml version="1.0" encoding="{encoding}"?>
<NativeDicomModel xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM" xml:space="preserve">
<DicomAttribute tag="00081190" vr="UR" keyword="RetrieveURL"><Value number="1">http://x</Value></DicomAttribute>
<DicomAttribute tag="00081198" vr="SQ" keyword="FailedSOPSequence"><Item number="1">
<DicomAttribute tag="00081155" vr="UI" keyword="ReferencedSOPInstanceUID"><Value number="1">{bad}</Value>
</DicomAttribute>
<DicomAttribute tag="00081197" vr="US" keyword="FailureReason">
<Value number="1">43264</Value></DicomAttribute>
</Item></DicomAttribute>
<DicomAttribute tag="00081199" vr="SQ" keyword="ReferencedSOPSequence"><Item number="1">
<DicomAttribute tag="00081155" vr="UI" keyword="ReferencedSOPInstanceUID"><Value number="1">{good}</Value>
</DicomAttribute></Item></DicomAttribute></NativeDicomModel>"""


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16"])
@pytest.mark.parametrize("kind", ["application/dicom+xml", "text/xml; charset=utf-8"])
def test_a_server_that_answers_in_xml_is_understood(
    server: WebServer, tmp_path: Path, encoding: str, kind: str
) -> None:
    content = XML.format(encoding=encoding, good=uid("good"), bad=uid("bad")).encode(encoding)
    server.replies = [Reply(202, {"Content-Type": kind}, content)]

    results = told(stow(server), cines(tmp_path, "good", "bad"))

    assert [(each.outcome, each.status) for each in results] == [("stored", 0), ("refused", 0xA900)]


def test_a_server_that_knows_xml_alone_is_asked_for_it(server: WebServer, tmp_path: Path) -> None:
    content = XML.format(encoding="UTF-8", good=uid("good"), bad=uid("bad")).encode()
    server.replies = [Reply(406), Reply(202, {"Content-Type": "application/dicom+xml"}, content)]

    results = told(stow(server), cines(tmp_path, "good", "bad"))

    assert [each.outcome for each in results] == ["stored", "refused"]
    accepted = [request.headers["accept"] for request in server.requests]
    assert accepted == ["application/dicom+json", "application/dicom+xml"]


# Transfer syntaxes and sizes.


@pytest.mark.parametrize("how", [Reply(415), "failure reason"])
def test_what_a_server_does_not_take_compressed_it_gets_otherwise(
    server: WebServer, tmp_path: Path, how: Reply | str
) -> None:
    (path,) = cines(tmp_path, "a", syntax=RLELossless)
    server.replies = [how if isinstance(how, Reply) else Reply(409, failures={uid("a"): 0xC122})]

    (result,) = told(stow(server), [path])

    assert result.outcome == "stored"
    first, second = (request.files[0] for request in server.requests)
    assert first == path.read_bytes()
    sent = tmp_path / "sent.dcm"
    sent.write_bytes(second)
    assert dcmread(sent).file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert (dcmread(sent).pixel_array == dcmread(path).pixel_array).all()


def test_what_a_server_takes_in_no_transfer_syntax_is_refused(server: WebServer, tmp_path: Path) -> None:
    server.replies = [Reply(415)] * 3

    (result,) = told(stow(server), cines(tmp_path, "a", syntax=RLELossless))

    assert (result.outcome, len(server.requests)) == ("refused", 3)
    assert "transfer syntax" in result.reason


def test_only_the_transfer_syntaxes_that_are_allowed_go_out(server: WebServer, tmp_path: Path) -> None:
    files = cines(tmp_path, "a", syntax=RLELossless) + cines(tmp_path, "b", syntax=JPEG2000Lossless)

    told(stow(server, syntaxes=(JPEG2000Lossless, ImplicitVRLittleEndian)), files)

    sent = []
    for request in server.requests:
        (tmp_path / "sent.dcm").write_bytes(request.files[0])
        sent.append(dcmread(tmp_path / "sent.dcm").file_meta.TransferSyntaxUID)
    assert sent == [ImplicitVRLittleEndian, JPEG2000Lossless]


def test_a_file_that_no_allowed_transfer_syntax_fits_is_an_error_of_the_file(
    server: WebServer, tmp_path: Path
) -> None:
    with pytest.raises(SeriesError, match="syntaxes"):
        told(stow(server, syntaxes=(JPEG2000Lossless,)), cines(tmp_path, "a"))
    assert server.requests == []


def test_a_request_that_is_too_long_is_cut_in_two(server: WebServer, tmp_path: Path) -> None:
    server.replies = [Reply(413)]

    results = told(stow(server), cines(tmp_path, *"abcd"))

    assert [len(request.uids) for request in server.requests] == [4, 2, 2]
    assert [each.outcome for each in results] == ["stored"] * 4


def test_an_object_that_is_too_long_alone_is_refused_and_the_others_go_on(
    server: WebServer, tmp_path: Path
) -> None:
    server.replies = [Reply(413), Reply(413)]

    results = told(stow(server), cines(tmp_path, "a", "b"))

    assert [(each.outcome, each.status) for each in results] == [("refused", None), ("stored", 0)]
    assert "too long" in results[0].reason


# The service as a whole.


def fails(client: Stow, files: Sequence[Path]) -> tuple[PeerError, list[StoreResult]]:
    """The error, which names the URL and what to do, and what was told before."""
    results: list[StoreResult] = []
    with pytest.raises(PeerError) as caught:
        client.store(files, results.append)
    assert client.web.url in caught.value.message
    assert caught.value.hint
    return caught.value, results


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "login"),
        (403, "let us store"),
        (404, "is not there"),
        (405, "POST"),
        (407, "proxy"),
        (418, "418"),
        (500, "fault"),
        (502, "fault"),
        (504, "fault"),
    ],
)
def test_a_status_about_everything_is_said_in_words(
    server: WebServer, tmp_path: Path, status: int, words: str
) -> None:
    server.replies = [Reply(status, {"Content-Type": "text/html"}, b"<html>Mueller, Hans</html>")]

    error, results = fails(stow(server), cines(tmp_path, "a", "b"))

    assert words in error.message
    assert str(status) in error.message
    assert "Mueller" not in f"{error.message} {error.hint}"
    assert results == []
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [400, 409])
def test_a_refusal_that_names_no_instance_is_one_of_everything(
    server: WebServer, tmp_path: Path, status: int
) -> None:
    server.replies = [Reply(status, {"Content-Type": "text/plain"}, b"no")]
    error, _ = fails(stow(server), cines(tmp_path, "a"))
    assert str(status) in error.message


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("99999999999999999999", LONGEST_BUSY_SECONDS),
        ("soon", 0.0),
        ("", 0.0),
        ("-5", 0.0),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_left_alone_for_as_long_as_it_says(
    server: WebServer, tmp_path: Path, status: int, value: str, seconds: float
) -> None:
    server.replies = [Reply(status, {"Retry-After": value} if value else {}, b"")]

    error, _ = fails(stow(server), cines(tmp_path, "a"))

    assert isinstance(error, BusyError)
    assert error.seconds == seconds
    assert [each.outcome for each in told(stow(server), cines(tmp_path, "a"))] == ["stored"]


def test_a_busy_server_may_say_a_date(server: WebServer, tmp_path: Path) -> None:
    at = datetime.now(UTC) + timedelta(seconds=100)
    server.replies = [Reply(503, {"Retry-After": format_datetime(at, usegmt=True)}, b"")]

    error, _ = fails(stow(server), cines(tmp_path, "a"))

    assert isinstance(error, BusyError)
    assert 60 < error.seconds <= 100


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(server: WebServer, tmp_path: Path, status: int) -> None:
    with WebServer() as other:
        server.replies = [Reply(status, {"Location": other.url + "?secret=1"}, b"")]

        error, _ = fails(stow(server), cines(tmp_path, "a"))

        assert other.connections == 0
    assert other.url in error.message
    assert "secret" not in error.message
    assert len(server.requests) == 1


def test_a_server_that_can_say_nothing_to_us_is_told(server: WebServer, tmp_path: Path) -> None:
    server.replies = [Reply(406)] * 2
    error, _ = fails(stow(server), cines(tmp_path, "a"))
    assert "DICOM JSON" in error.message


GARBAGE: dict[str, Reply] = {
    "no content": Reply(content=b""),
    "no JSON": Reply(content=b"{"),
    "a number": Reply(content=b"7"),
    "an empty list": Reply(content=b"[]"),
    "an empty table": Reply(content=b"{}"),
    "sequences that are none": Reply(content=b'{"00081199": {"Value": 3}, "00081198": 4}'),
    "items that are none": Reply(
        content=b'{"00081199": {"Value": [1, "a", null, {"00081155": {"Value": [5]}}]}}'
    ),
    "deep JSON": Reply(content=b"[" * 100_000),
    "a number of many digits": Reply(content=b"[" + b"1" * 10_000 + b"]"),
    "another encoding": Reply(content=b"\xff\xfe\xfd"),
    "a login page": Reply(200, {"Content-Type": "text/html"}, b"<html>log in</html>"),
    "no type": Reply(200, {"Content-Type": ""}, b"{}"),
    "no XML": Reply(200, {"Content-Type": "application/dicom+xml"}, b"<a>"),
    "XML of something else": Reply(200, {"Content-Type": "text/xml"}, b"<a/>"),
    "deep XML": Reply(200, {"Content-Type": "text/xml"}, b"<a>" * 50_000 + b"</a>" * 50_000),
    "entities that grow": Reply(
        200,
        {"Content-Type": "text/xml"},
        b'<!DOCTYPE a [<!ENTITY b "bbbbbbbb"><!ENTITY c "&b;&b;&b;">]><a>&c;</a>',
    ),
    "more than it may": Reply(content=b" " * (MOST_ANSWERED + 1)),
    "packed content": Reply(200, {"Content-Encoding": "gzip"}, b"\x1f\x8b"),
    "less than it promises": Reply(200, {"Content-Length": "1000"}, b"{}"),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_an_answer_that_cannot_be_read_stores_nothing(server: WebServer, tmp_path: Path, name: str) -> None:
    server.replies = [GARBAGE[name]]

    _, results = fails(stow(server), cines(tmp_path, "a"))

    assert not any(each.is_stored for each in results)
    assert [each.outcome for each in told(stow(server), cines(tmp_path, "a"))] == ["stored"]


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(does="hang"), "gave no answer within 0.5 s"),
        (Reply(does="close"), "broke off"),
        (Reply(does="drip"), "did not end its answer within 0.5 s"),
    ],
)
def test_what_got_no_answer_is_told_so(server: WebServer, tmp_path: Path, reply: Reply, words: str) -> None:
    server.replies = [reply]

    error, results = fails(talking(stow(server), response_seconds=0.5), cines(tmp_path, "a", "b"))

    assert words in error.message
    assert [(each.outcome, each.status) for each in results] == [("no-answer", None)] * 2


def test_a_server_that_refuses_before_it_reads_is_heard(server: WebServer, tmp_path: Path) -> None:
    path = write_xa(tmp_path / "long.dcm", moving_frames(4, 512, 512), SOPInstanceUID=uid("long"))
    with path.open("r+b") as file:
        file.truncate(2**26)
    server.replies = [Reply(401, {"Connection": "close"}, b"", does="early")]

    error, _ = fails(stow(server), [path])

    assert "login" in error.message or "closed the connection" in error.message


def test_a_port_that_is_closed_is_said_and_nothing_counts_as_sent(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    client = Stow(Web(f"http://127.0.0.1:{port}/studies", Login()), 1, 1)

    error, results = fails(client, cines(tmp_path, "a"))

    assert "closed" in error.message
    assert results == []


def test_a_host_that_nobody_knows_is_said(tmp_path: Path) -> None:
    client = Stow(Web("http://nowhere.invalid/studies", Login(), connect_seconds=20), 1, 1)
    error, _ = fails(client, cines(tmp_path, "a"))
    assert "'nowhere.invalid' is unknown" in error.message


def test_what_is_no_web_server_is_said(tmp_path: Path, pacs: object) -> None:
    port = pacs.port  # type: ignore[attr-defined]
    client = Stow(Web(f"http://127.0.0.1:{port}/studies", Login(), response_seconds=5), 1, 1)
    fails(client, cines(tmp_path, "a"))


def test_a_file_that_goes_while_it_is_sent_is_an_error_of_the_file(server: WebServer, tmp_path: Path) -> None:
    files = cines(tmp_path, "a", "b")

    def cut(_: StoreResult) -> None:
        files[1].unlink()

    with pytest.raises(SeriesError, match=r"b\.dcm"):
        stow(server, most_instances=1).store(files, cut)


def test_the_proxy_of_the_environment_holds_only_if_asked(
    server: WebServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (closed,) = free_ports(1)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)

    assert [each.outcome for each in told(stow(server), cines(tmp_path, "a"))] == ["stored"]
    fails(talking(stow(server), proxy=True), cines(tmp_path, "a"))
    assert len(server.requests) == 1


# Who is who.


def test_a_password_is_said_and_read_again_for_each_request(server: WebServer, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("first pass:word\nnot this\n")
    client = talking(stow(server, most_instances=1), login=Login(user="casgan", password_file=secret))

    client.store(cines(tmp_path, "a", "b"), lambda _: _rewrite(secret, "sécond\r\n"))

    sent = [request.headers["authorization"] for request in server.requests]
    assert sent == ["Basic Y2FzZ2FuOmZpcnN0IHBhc3M6d29yZA==", "Basic Y2FzZ2FuOnPDqWNvbmQ="]
    assert "pass:word" not in repr(client)


def _rewrite(path: Path, text: str) -> None:
    path.write_text(text, newline="")


def test_a_password_may_be_in_the_environment(
    server: WebServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PACS_PASSWORD", "open sesame")
    client = talking(stow(server), login=Login(user="ali", password_variable="PACS_PASSWORD"))

    told(client, cines(tmp_path, "a"))

    assert server.requests[0].headers["authorization"] == "Basic YWxpOm9wZW4gc2VzYW1l"


def test_a_token_is_read_again_for_each_request(server: WebServer, tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("abc.def\n")
    client = talking(stow(server, most_instances=1), login=Login(token_file=secret))

    client.store(cines(tmp_path, "a", "b"), lambda _: _rewrite(secret, "ghi"))

    sent = [request.headers["authorization"] for request in server.requests]
    assert sent == ["Bearer abc.def", "Bearer ghi"]


@pytest.mark.parametrize(
    "content", [None, b"", b"\n", b"two\x07bells\n", b"x" * 20_000, "tökén".encode(), b"\xff"]
)
def test_a_secret_that_cannot_be_used_is_told_without_it(
    server: WebServer, tmp_path: Path, content: bytes | None
) -> None:
    secret = tmp_path / "token"
    if content is not None:
        secret.write_bytes(content)
    client = talking(stow(server), login=Login(token_file=secret))

    with pytest.raises(PeerError) as caught:
        told(client, cines(tmp_path, "a"))

    assert str(secret) in caught.value.message
    assert not any(word in caught.value.message for word in ("bells", "xxx", "tök"))
    assert server.requests == []


def test_a_variable_that_is_not_set_is_told(
    server: WebServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PACS_PASSWORD", raising=False)
    client = talking(stow(server), login=Login(user="ali", password_variable="PACS_PASSWORD"))
    with pytest.raises(PeerError, match="PACS_PASSWORD is not set"):
        told(client, cines(tmp_path, "a"))


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates(tmp_path_factory.mktemp("certificates"))


def test_a_server_of_a_known_authority_is_trusted(tmp_path: Path, signed: Certificates) -> None:
    with WebServer(tls=signed.server()) as server:
        results = told(talking(stow(server), ca_file=signed.ca), cines(tmp_path, "a"))
    assert [each.outcome for each in results] == ["stored"]


def test_a_server_of_an_unknown_authority_gets_nothing(tmp_path: Path, signed: Certificates) -> None:
    with WebServer(tls=signed.server()) as server:
        error, results = fails(stow(server), cines(tmp_path, "a"))
    assert "certificate" in error.message
    assert "tls_authorities" in error.hint
    assert (results, server.requests) == ([], [])


def test_a_certificate_for_another_host_is_none(tmp_path: Path) -> None:
    other = certificates(tmp_path / "other", "127.0.0.9")
    with WebServer(tls=other.server()) as server:
        error, _ = fails(talking(stow(server), ca_file=other.ca), cines(tmp_path, "a"))
    assert "certificate" in error.message


def test_a_server_may_want_our_certificate(tmp_path: Path, signed: Certificates) -> None:
    with WebServer(tls=signed.server(wants_client=True)) as server:
        known = talking(stow(server), ca_file=signed.ca)
        ours = talking(known, certificate_file=signed.certificate, key_file=signed.key)

        assert [each.outcome for each in told(ours, cines(tmp_path, "a"))] == ["stored"]
        fails(known, cines(tmp_path, "b"))

    assert server.stored() == [uid("a")]


@pytest.mark.parametrize("key", ["ca_file", "certificate_file", "key_file"])
def test_a_file_that_holds_no_certificate_is_named(
    server: WebServer, tmp_path: Path, signed: Certificates, key: str
) -> None:
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("nothing")
    files = {"certificate_file": signed.certificate, "key_file": signed.key, key: wrong}

    error, _ = fails(talking(stow(server), **files), cines(tmp_path, "a"))

    assert str(wrong) in error.message


def test_plain_http_at_a_port_of_tls_is_said(tmp_path: Path, server: WebServer) -> None:
    client = talking(stow(server), url=server.url.replace("http:", "https:"))
    error, _ = fails(client, cines(tmp_path, "a"))
    assert "no encrypted connection" in error.message
