"""Data sets about storage commitment, against pydicom's encoder and against whatever comes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.dsutils import encode

from casgan_dicom.node.commitment import (
    LONGEST_DATA_SET,
    MOST_REFERENCES,
    SYNTAXES,
    CommitmentError,
    Reference,
    Report,
    Request,
    decode_report,
    decode_request,
    encode_report,
    encode_request,
)
from tests.support.asking_modality import request_of
from tests.support.committing_pacs import Asked, report_of
from tests.support.factories import uid

CLASS = "1.2.840.10008.5.1.4.1.1.12.1"
OBJECTS = tuple((CLASS, uid(name)) for name in "abc")
REFERENCES = tuple(Reference(*each) for each in OBJECTS)
EXPLICIT, IMPLICIT = str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_what_another_implementation_says_is_understood_in_both_transfer_syntaxes(syntax: str) -> None:
    asked = encode(request_of("1.2.3", OBJECTS), syntax == IMPLICIT, True)
    event_type, said = report_of(Asked("1.2.3", OBJECTS), failed=(OBJECTS[1][1],), reason=0x0119)
    assert not isinstance(said, bytes)
    told = encode(said, syntax == IMPLICIT, True)
    assert asked is not None
    assert told is not None

    assert decode_request(asked, syntax) == Request("1.2.3", REFERENCES)
    report = decode_report(told, syntax)
    assert (report.event_type, report.failed) == (event_type, ((REFERENCES[1], 0x0119),))
    assert set(report.kept) == {REFERENCES[0], REFERENCES[2]}


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_what_we_say_is_what_we_understand(syntax: str) -> None:
    request = Request("1.2.3", REFERENCES)
    report = Report(
        "1.2.3", tuple(sorted(REFERENCES[:2], key=lambda each: each.sop_uid)), ((REFERENCES[2], 1),)
    )

    assert decode_request(encode_request(request, syntax), syntax) == request
    assert decode_report(encode_report(report, syntax), syntax) == report


def test_what_is_said_to_be_kept_and_failed_at_once_has_failed() -> None:
    both = encode_report(Report("1.2.3", REFERENCES, ((REFERENCES[0], 0x0110),)), EXPLICIT)

    report = decode_report(both, EXPLICIT)

    assert report.failed == ((REFERENCES[0], 0x0110),)
    assert set(report.kept) == set(REFERENCES[1:])


def test_an_object_that_is_named_twice_is_asked_for_once() -> None:
    content = encode(request_of("1.2.3", [*OBJECTS, *OBJECTS]), False, True)
    assert content is not None

    assert decode_request(content, EXPLICIT).references == REFERENCES


@pytest.mark.parametrize("decoded", [decode_request, decode_report])
@pytest.mark.parametrize(
    "content",
    [
        b"\xfe\xff\x00\xe0" * (MOST_REFERENCES + 1),
        bytes(LONGEST_DATA_SET + 1),
    ],
    ids=["items", "bytes"],
)
def test_what_is_too_much_is_not_decoded(decoded: object, content: bytes) -> None:
    with pytest.raises(CommitmentError) as raised:
        decoded(content, EXPLICIT)  # type: ignore[operator]
    assert raised.value.status == 0x0213


@given(content=st.binary(max_size=300), syntax=st.sampled_from(SYNTAXES))
def test_garbage_is_an_error_of_a_commitment_and_nothing_worse(content: bytes, syntax: str) -> None:
    for decoded in (decode_request, decode_report):
        with pytest.raises(CommitmentError):
            decoded(content, syntax)


@given(at=st.integers(0, 10_000), value=st.integers(0, 255), syntax=st.sampled_from(SYNTAXES))
def test_a_byte_that_is_another_gives_a_report_or_an_error(at: int, value: int, syntax: str) -> None:
    content = bytearray(encode_report(Report("1.2.3", REFERENCES[:2], ((REFERENCES[2], 1),)), syntax))
    content[at % len(content)] = value

    try:
        report = decode_report(bytes(content), syntax)
    except CommitmentError:
        return
    assert report.kept or report.failed
