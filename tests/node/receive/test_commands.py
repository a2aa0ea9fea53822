"""Commands against pynetdicom's, which knows the same standard by other code."""

from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.dimse_messages import C_ECHO_RQ, C_STORE_RQ, N_ACTION_RQ, N_EVENT_REPORT_RQ, DIMSEMessage
from pynetdicom.dimse_primitives import C_ECHO, C_STORE, N_ACTION, N_EVENT_REPORT
from pynetdicom.dsutils import decode

from casgan_dicom.node.dimse import CommandError
from casgan_dicom.node.receive.commands import Request, decode_request, encode_response
from tests.node.wire import VERIFICATION, XA, command, echo_command, store_command
from tests.support.factories import uid

PUSH_MODEL, WELL_KNOWN = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"
STORE = Request(0x0001, 7, XA, uid("instance"), has_data_set=True)
ECHO = Request(0x0030, 9, VERIFICATION)


def encoded(message: DIMSEMessage, primitive: C_STORE | C_ECHO | N_ACTION | N_EVENT_REPORT) -> bytes:
    """A command as pynetdicom sends it."""
    message.primitive_to_message(primitive)
    (fragment, *_) = message.encode_msg(1, 0)
    return fragment.presentation_data_value_list[0][1][1:]


def test_request_to_store_of_another_implementation_is_understood() -> None:
    primitive = C_STORE()
    primitive.MessageID, primitive.Priority = 7, 2
    primitive.AffectedSOPClassUID, primitive.AffectedSOPInstanceUID = XA, uid("instance")
    primitive.MoveOriginatorApplicationEntityTitle, primitive.MoveOriginatorMessageID = "PACS", 3
    primitive.DataSet = BytesIO(b"something")

    assert decode_request(encoded(C_STORE_RQ(), primitive)) == STORE


def test_request_for_an_echo_of_another_implementation_is_understood() -> None:
    primitive = C_ECHO()
    primitive.MessageID, primitive.AffectedSOPClassUID = 9, VERIFICATION

    assert decode_request(encoded(C_ECHO_RQ(), primitive)) == ECHO


@pytest.mark.parametrize(("status", "comment"), [(0x0000, ""), (0xA700, "disk is full"), (0xC000, "odd")])
def test_response_to_a_request_to_store_is_understood_by_another_implementation(
    status: int, comment: str
) -> None:
    response = decode(BytesIO(encode_response(STORE, status, comment)), True, True)

    assert response.CommandField == 0x8001
    assert response.MessageIDBeingRespondedTo == 7
    assert response.CommandDataSetType == 0x0101
    assert response.Status == status
    assert response.AffectedSOPClassUID == XA
    assert response.AffectedSOPInstanceUID == uid("instance")
    assert response.get("ErrorComment", "") == comment
    assert response.CommandGroupLength == len(encode_response(STORE, status, comment)) - 12


def test_response_to_an_echo_is_understood_by_another_implementation() -> None:
    response = decode(BytesIO(encode_response(ECHO, 0)), True, True)

    assert response.CommandField == 0x8030
    assert response.MessageIDBeingRespondedTo == 9
    assert response.AffectedSOPClassUID == VERIFICATION
    assert "AffectedSOPInstanceUID" not in response


def test_request_to_commit_and_report_of_another_implementation_are_understood() -> None:
    action, report = N_ACTION(), N_EVENT_REPORT()
    action.MessageID, action.ActionTypeID = 5, 1
    action.RequestedSOPClassUID, action.RequestedSOPInstanceUID = PUSH_MODEL, WELL_KNOWN
    action.ActionInformation = BytesIO(b"something")
    report.MessageID, report.EventTypeID = 6, 2
    report.AffectedSOPClassUID, report.AffectedSOPInstanceUID = PUSH_MODEL, WELL_KNOWN
    report.EventInformation = BytesIO(b"something")

    asked = decode_request(encoded(N_ACTION_RQ(), action))
    told = decode_request(encoded(N_EVENT_REPORT_RQ(), report))

    assert asked == Request(0x0130, 5, PUSH_MODEL, WELL_KNOWN, has_data_set=True, type_id=1)
    assert told == Request(0x0100, 6, PUSH_MODEL, WELL_KNOWN, has_data_set=True, type_id=2)
    for request, field in ((asked, "ActionTypeID"), (told, "EventTypeID")):
        response = decode(BytesIO(encode_response(request, 0x0110, "odd")), True, True)
        assert response.CommandField == request.field | 0x8000
        assert (response.AffectedSOPClassUID, response.AffectedSOPInstanceUID) == (PUSH_MODEL, WELL_KNOWN)
        assert response[field].value == request.type_id


def test_response_to_a_report_of_ours_is_told_apart() -> None:
    response = decode_request(command({0x0100: 0x8100, 0x0120: 3, 0x0800: 0x0101, 0x0900: 0x0110}))

    assert (response.wants_answer, response.answers, response.status) == (False, 3, 0x0110)


def test_values_of_a_response_have_even_lengths() -> None:
    odd = Request(0x0001, 1, "1.2.3", "1.2.3")

    assert len(encode_response(odd, 0xC000, "odd")) % 2 == 0


_STORE: dict[int, bytes | int] = {0x0002: b"1.2", 0x0100: 1, 0x0110: 1, 0x0800: 0, 0x1000: b"1.2"}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 7,
        echo_command()[:-1],
        store_command(XA, "1.2.3")[:-9],
        command(_STORE | {0x0110: b"1234"}),
        command({number: value for number, value in _STORE.items() if number != 0x0110}),
        command(_STORE).replace(b"\0\0\0\x10", b"\x08\0\0\x10"),  # an element of another group
    ],
)
def test_everything_else_is_no_command(content: bytes) -> None:
    with pytest.raises(CommandError):
        decode_request(content)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({0x0100: 0x0020}, 0x0211),
        ({0x0100: 0x0110}, 0x0211),
        ({0x0100: 0x7777}, 0x0211),
        ({0x0800: 0x0101}, 0x0212),
        ({0x0100: 0x0030}, 0x0212),  # an echo with a data set
        ({0x0002: b""}, 0x0122),
        ({0x0002: b"1" * 65}, 0x0122),
        ({0x0002: "1.2.ä".encode()}, 0x0122),
        ({0x1000: b""}, 0x0117),
        ({0x1000: b"1" * 65}, 0x0117),
        ({0x1000: "1.2.ä".encode()}, 0x0117),
    ],
)
def test_request_that_cannot_be_served_is_read_with_the_status_that_refuses_it(
    change: dict[int, bytes | int], status: int
) -> None:
    request = decode_request(command(_STORE | change))

    assert (request.refusal, request.message_id, request.wants_answer) == (status, 1, True)
    response = decode(BytesIO(encode_response(request, status)), True, True)
    assert (response.Status, response.MessageIDBeingRespondedTo) == (status, 1)


@pytest.mark.parametrize("field", [0x0FFF, 0x8001, 0x8100])
def test_what_answers_or_cancels_wants_no_answer(field: int) -> None:
    assert not decode_request(command({0x0100: field, 0x0120: 5, 0x0800: 0x0101})).wants_answer


@given(content=st.binary(max_size=200))
def test_garbage_is_no_command_and_nothing_worse(content: bytes) -> None:
    with pytest.raises(CommandError):
        decode_request(content)
