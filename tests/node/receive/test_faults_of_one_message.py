"""A message that cannot be served is refused by itself: the association goes on, and so do the others."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from tests.node.listening import Listening, check_spool, data_set, events, log_lines
from tests.node.wire import (
    DATA,
    ECHO_CONTEXT,
    VERIFICATION,
    XA,
    XA_CONTEXT,
    Wire,
    command,
    echo_command,
    p_data,
    parse_command,
    store_command,
)
from tests.support.factories import uid

_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
_COMMITMENT = "1.2.840.10008.1.20.1"
_IDENTIFIER = b"\x08\0\x52\0\x06\0\0\0STUDY "


def _request(field: int, sop_class: str, **more: int | bytes) -> bytes:
    numbers = {int(key[1:], 16): value for key, value in more.items()}
    first: dict[int, bytes | int] = {0x0002: sop_class.encode(), 0x0100: field, 0x0110: 7, 0x0800: 0}
    return command(first | numbers)


REFUSED = {
    "UID too long": (store_command(XA, "1." + "2" * 64), True, 0x0117),
    "UID absent": (store_command(XA, ""), True, 0x0117),
    "UID not ASCII": (store_command(XA, "1.2.ä"), True, 0x0117),
    "class of another context": (store_command(VERIFICATION, "1.2.3"), True, 0x0122),
    "class unknown": (store_command("1.2.3.4", "1.2.3"), True, 0x0122),
    "class absent": (store_command("", "1.2.3"), True, 0x0122),
    "no data set": (
        command({2: XA.encode(), 0x0100: 1, 0x0110: 7, 0x0800: 0x0101, 0x1000: b"1.2"}),
        False,
        0x0212,
    ),
    "C-FIND": (_request(0x0020, _FIND, x0700=0), True, 0x0211),
    "C-GET": (_request(0x0010, XA, x0700=0), True, 0x0211),
    "C-MOVE": (_request(0x0021, XA, x0600=b"PACS"), True, 0x0211),
    "N-ACTION": (
        command({3: _COMMITMENT.encode(), 0x0100: 0x0130, 0x0110: 7, 0x0800: 0, 0x1001: b"1.2", 0x1008: 1}),
        True,
        0x0122,  # it is not of the class of the context
    ),
    "N-GET": (
        command({3: XA.encode(), 0x0100: 0x0110, 0x0110: 7, 0x0800: 0x0101, 0x1001: b"1.2"}),
        False,
        0x0211,
    ),
    "unheard-of": (_request(0x0666, XA), True, 0x0211),
    "echo of a storage class": (
        command({2: XA.encode(), 0x0100: 0x0030, 0x0110: 7, 0x0800: 0x0101}),
        False,
        0x0211,
    ),
    "echo with a data set": (_request(0x0030, XA), True, 0x0212),
}


@pytest.mark.parametrize("name", REFUSED)
def test_request_that_cannot_be_served_is_answered_and_the_association_goes_on(
    running: Listening, folder: Path, name: str
) -> None:
    request, has_data_set, status = REFUSED[name]
    with log_lines() as lines, Wire.associated(running.port) as wire:
        wire.send(p_data(XA_CONTEXT, 3, request))
        if has_data_set:
            wire.send(p_data(XA_CONTEXT, 0, _IDENTIFIER))
            wire.send(p_data(XA_CONTEXT, 2, _IDENTIFIER))
        kind, body = wire.read()

        assert kind == DATA
        answer = parse_command(body[6:])
        assert struct.unpack("<H", answer[0x0900])[0] == status
        asked = parse_command(request)
        assert answer[0x0120] == asked[0x0110]
        assert answer[0x0100] == struct.pack("<H", struct.unpack("<H", asked[0x0100])[0] | 0x8000)
        assert len(answer.get(0x1000, b"")) <= 64
        assert wire.store(XA, uid("instance"), data_set(folder)).status == 0
        assert wire.echo() == 0
        wire.release()
    (line,) = [each for each in events(lines) if each["event"] == "message refused"]
    assert (line["address"], line["ae_title"], line["status"]) == ("127.0.0.1", "MODALITY", status)
    assert check_spool(running.layout) == 1


@pytest.mark.parametrize("field", [0x0FFF, 0x8001, 0x8030])
def test_what_wants_no_answer_is_passed_over(running: Listening, folder: Path, field: int) -> None:
    """C-CANCEL-RQ, and responses to what we never asked."""
    with Wire.associated(running.port) as wire:
        wire.send(p_data(XA_CONTEXT, 3, command({0x0100: field, 0x0120: 7, 0x0800: 0x0101})))

        assert wire.store(XA, uid("instance"), data_set(folder)).status == 0


def test_request_of_the_other_context_is_refused_on_its_own(running: Listening) -> None:
    with Wire.associated(running.port) as wire:
        wire.send(p_data(ECHO_CONTEXT, 3, store_command(XA, uid("instance"))))
        wire.send(p_data(ECHO_CONTEXT, 2, _IDENTIFIER))

        assert wire.reply().status == 0x0122
        assert wire.echo() == 0


@pytest.mark.parametrize(
    "content",
    [
        p_data(99, 3, echo_command()),
        p_data(XA_CONTEXT, 2, b"data without a command"),
        p_data(XA_CONTEXT, 3, b"no command"),
        p_data(XA_CONTEXT, 3, command({0x0100: 1})),
        p_data(XA_CONTEXT, 1, bytes(20_000)),
    ],
)
def test_what_cannot_be_answered_is_told_in_the_log(running: Listening, content: bytes) -> None:
    with log_lines() as lines, Wire.associated(running.port) as wire:
        wire.send(content)
        assert wire.is_over()

    (line,) = [each for each in events(lines) if each["event"] == "association aborted"]
    assert line["address"] == "127.0.0.1"
    assert line["reason"]


def test_refused_messages_do_not_fill_the_log(running: Listening) -> None:
    with log_lines() as lines, Wire.associated(running.port) as wire:
        for _ in range(200):
            wire.send(p_data(XA_CONTEXT, 3, _request(0x0020, _FIND, x0800=0x0101)))
            assert wire.reply().status == 0x0211

    assert 1 <= len(events(lines)) < 40
