"""Requests for an association that are not what one expects: decided by PS3.8, and never without a word."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from casgan_dicom.node.receive.peer_socket import Limits
from casgan_dicom.node.settings import PeerSettings
from tests.node.listening import Listening, data_set, events, listening, log_lines
from tests.node.wire import (
    ABORT,
    ASSOCIATE_AC,
    ASSOCIATE_RJ,
    ASSOCIATE_RQ,
    CONTEXTS,
    ECHO_CONTEXT,
    EXPLICIT,
    IMPLICIT,
    RELEASE_RP,
    VERIFICATION,
    XA,
    Wire,
    associate_rq,
    echo_command,
    p_data,
    pdu,
)
from tests.support.factories import uid

_DICOM = b"1.2.840.10008.3.1.1.1"


def _item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(body)) + body


def _context(number: int = 3, abstract: bytes = XA.encode(), *transfer: bytes) -> bytes:
    inside = _item(0x30, abstract) + b"".join(_item(0x40, each) for each in transfer or [EXPLICIT.encode()])
    return _item(0x20, bytes([number, 0, 0, 0]) + inside)


def _request(
    *,
    version: int = 1,
    called: bytes = b"CASGAN          ",
    calling: bytes = b"MODALITY        ",
    application: bytes = _DICOM,
    contexts: bytes = b"",
    user: bytes = b"",
    other: bytes = b"",
) -> bytes:
    body = struct.pack(">HH", version, 0) + called + calling + bytes(32) + _item(0x10, application)
    body += (contexts or _context()) + other
    body += _item(0x50, _item(0x51, struct.pack(">I", 16384)) + _item(0x52, b"1.2.3.4") + user)
    return pdu(ASSOCIATE_RQ, body)


ACCEPTED = {
    "called title padded with NUL": _request(called=b"CASGAN".ljust(16, b"\0")),
    "calling title padded with NUL": _request(calling=b"MODALITY".ljust(16, b"\0")),
    "both, mixed": _request(called=b"  CASGAN\0 \0     ", calling=b"\0 MODALITY\0junk "),
    "unknown user item": _request(user=_item(0x7E, b"something")),
    "user item of no length": _request(user=_item(0x5A, b"")),
    "user items that end too soon": _request(user=b"\x55\0\0\x30short"),
    "unknown item": _request(other=_item(0x77, b"something")),
    "protocol version 3": _request(version=3),
    "protocol version FFFF": _request(version=0xFFFF),
    "implementation version name of 40": _request(user=_item(0x55, b"V" * 40)),
    "implementation version name not ASCII": _request(user=_item(0x55, b"\xc4\xff")),
    "implementation class that is none": _request(user=_item(0x52, b"no uid")),
    "role selection cut short": _request(user=_item(0x54, b"\0\x40")),
    "asynchronous operations": _request(user=_item(0x53, struct.pack(">HH", 0, 0))),
    "user identity": _request(user=_item(0x58, b"\x01\x01\0\x04user\0\0")),
    "user identity of no kind": _request(user=_item(0x58, b"\x09\x01\0\x04user\0\0")),
    "extended negotiation": _request(user=_item(0x56, b"\0\x02xx")),
    "another context of an even number": _request(contexts=_context(4) + _context()),
    "another context whose class is none": _request(contexts=_context(5, b"not a uid") + _context()),
    "another context without a class": _request(contexts=_context(5, b"") + _context()),
    "another context whose UID is too long": _request(contexts=_context(5, b"1." + b"2" * 70) + _context()),
    "transfer syntax that is none": _request(contexts=_context(3, XA.encode(), b"x", EXPLICIT.encode())),
    "UIDs padded with NUL": _request(
        application=_DICOM + b"\0", contexts=_context(3, XA.encode() + b"\0", EXPLICIT.encode() + b"\0")
    ),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_is_not_used_keeps_nobody_out(running: Listening, folder: Path, name: str) -> None:
    with Wire(running.port) as wire:
        wire.send(ACCEPTED[name])
        kind, _ = wire.read()

        assert kind == ASSOCIATE_AC
        assert wire.store(XA, uid("instance"), data_set(folder)).status == 0
        wire.release()
    assert running.rows()[0]["peer"] == "MODALITY"


REJECTED = {
    "called title blank": (_request(called=b" " * 16), (1, 1, 7)),
    "called title NUL": (_request(called=bytes(16)), (1, 1, 7)),
    "called title Latin-1": (_request(called="CASGÄN".encode("latin-1").ljust(16)), (1, 1, 7)),
    "called title of another": (_request(called=b"SOMEBODY".ljust(16)), (1, 1, 7)),
    "calling title blank": (_request(calling=b" " * 16), (1, 1, 3)),
    "calling title NUL": (_request(calling=bytes(16)), (1, 1, 3)),
    "calling title Latin-1": (_request(calling="KLINIK-MÜNCHEN".encode("latin-1").ljust(16)), (1, 1, 3)),
    "calling title with backslash": (_request(calling=b"A\\B".ljust(16)), (1, 1, 3)),
    "calling title with a control character": (_request(calling=b"A\x1bB".ljust(16)), (1, 1, 3)),
    "protocol version 2": (_request(version=2), (1, 2, 2)),
    "protocol version 0": (_request(version=0), (1, 2, 2)),
    "another application": (_request(application=b"1.2.3"), (1, 1, 2)),
}


@pytest.mark.parametrize("name", REJECTED)
def test_what_cannot_be_let_in_is_rejected_with_its_reason_and_told(running: Listening, name: str) -> None:
    request, codes = REJECTED[name]
    with log_lines() as lines, Wire(running.port) as wire:
        wire.send(request)
        kind, body = wire.read()

        assert kind == ASSOCIATE_RJ
        assert tuple(body[1:4]) == codes
    (line,) = [each for each in events(lines) if each["event"] == "association rejected"]
    assert line["address"] == "127.0.0.1"
    assert line["reason"]


def test_padded_title_is_found_among_the_peers(tmp_path: Path, folder: Path) -> None:
    with (
        listening(tmp_path / "data", peers=(PeerSettings("CATHLAB1"),)) as running,
        Wire(running.port) as wire,
    ):
        wire.send(_request(calling=b"CATHLAB1".ljust(16, b"\0")))

        assert wire.read()[0] == ASSOCIATE_AC
        assert wire.store(XA, uid("instance"), data_set(folder)).status == 0


@pytest.mark.parametrize(
    "content",
    [
        pdu(ASSOCIATE_RQ, bytes(20)),
        _request(other=b"\x20\0\xff\xff"),
        _request(other=b"\x20\0"),
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + bytes(600),
    ],
)
def test_what_is_no_request_is_told_with_its_address(running: Listening, content: bytes) -> None:
    with log_lines() as lines, Wire(running.port) as wire:
        wire.send(content)
        assert wire.is_over()

    (line,) = [each for each in events(lines) if each["event"] == "association aborted"]
    assert line["address"] == "127.0.0.1"
    assert line["reason"]


def test_context_that_cannot_be_read_is_answered_as_not_supported(running: Listening) -> None:
    with Wire(running.port) as wire:
        wire.send(_request(contexts=_context(5, b"not a uid") + _context(3, XA.encode(), IMPLICIT.encode())))
        kind, body = wire.read()

    assert kind == ASSOCIATE_AC
    results, at = {}, 68
    while at < len(body):
        item, length = body[at], int.from_bytes(body[at + 2 : at + 4], "big")
        if item == 0x21:
            results[body[at + 4]] = body[at + 6]
        at += 4 + length
    assert results == {5: 3, 3: 0}


@pytest.mark.parametrize("kind", [ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ, RELEASE_RP])
def test_pdu_out_of_turn_ends_the_association_with_a_word(running: Listening, kind: int) -> None:
    with log_lines() as lines, Wire.associated(running.port) as wire:
        wire.send(_request() if kind == ASSOCIATE_RQ else pdu(kind, bytes(4)))
        assert wire.read()[0] == ABORT
        assert wire.is_over()

    (line,) = [each for each in events(lines) if each["event"] == "association aborted"]
    assert (line["ae_title"], line["reason"]) == ("MODALITY", f"PDU of type {kind:02X} is out of turn")


@pytest.mark.parametrize(
    ("contexts", "named"),
    [
        ({1: (VERIFICATION, [IMPLICIT]), 3: ("1.2.840.10008.5.1.4.1.1.2", [EXPLICIT])}, "'CT Image Storage'"),
        ({3: (XA, ["1.2.840.10008.1.2.4.100"])}, "'X-Ray Angiographic Image Storage'"),
        ({3: ("1.2.3.4", [EXPLICIT])}, "'1.2.3.4'"),
        ({}, "none"),
    ],
)
def test_who_can_store_nothing_is_told_in_the_log(
    running: Listening, contexts: dict[int, tuple[str, list[str]]], named: str
) -> None:
    with log_lines() as lines, Wire.associated(running.port, contexts=contexts) as wire:
        wire.release()

    (line,) = [each for each in events(lines) if each["event"] == "no context accepted"]
    assert (line["ae_title"], line["address"]) == ("MODALITY", "127.0.0.1")
    assert line["reason"] == f"presentation contexts asked for: {named}"


@pytest.mark.parametrize("contexts", [CONTEXTS, {1: (VERIFICATION, [IMPLICIT])}])
def test_who_can_store_or_only_asks_for_an_echo_is_no_line(
    running: Listening, contexts: dict[int, tuple[str, list[str]]]
) -> None:
    with log_lines() as lines, Wire.associated(running.port, contexts=contexts) as wire:
        assert wire.echo() == 0
        wire.release()

    assert [each for each in events(lines) if each["level"] == "warning"] == []


def test_peer_that_takes_no_pdu_is_told_in_the_log(running: Listening) -> None:
    with log_lines() as lines, Wire(running.port) as wire:
        wire.send(associate_rq(max_pdu=1))
        assert wire.read()[0] == ASSOCIATE_AC
        wire.send(p_data(ECHO_CONTEXT, 3, echo_command()))
        assert wire.is_over()

    (line,) = [each for each in events(lines) if each["event"] == "association aborted"]
    assert line["reason"] == "the peer takes PDUs of 1 bytes: too short for any message"


@pytest.mark.parametrize(
    ("content", "why"), [(b"\x04\0\0\0", "did not end in time"), (b"", "nothing came for")]
)
def test_who_falls_silent_is_let_go_with_a_word(tmp_path: Path, content: bytes, why: str) -> None:
    limits = Limits(io=0.5, pdu=0.5, request=5.0, idle=1.0)
    with (
        log_lines() as lines,
        listening(tmp_path / "data", limits=limits, idle_seconds=1.0) as running,
        Wire.associated(running.port) as wire,
    ):
        wire.send(content)
        assert wire.is_over()

    (line,) = [each for each in events(lines) if each["event"] == "association aborted"]
    assert why in line["reason"]
