"""C-STORE and C-ECHO against real associations: what arrives, and what every answer means."""

from __future__ import annotations

import hashlib
import logging
import socket
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    EncapsulatedPDFStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
    XRayAngiographicImageStorage,
)
from pynetdicom.status import STORAGE_SERVICE_CLASS_STATUS

from casgan_dicom.errors import ConfigError, PeerError, SeriesError
from casgan_dicom.node.client.peer import Peer
from casgan_dicom.node.client.results import Outcome, StoreResult, classify
from casgan_dicom.node.client.scu import FEWEST_FILES, echo, store
from tests.support.factories import moving_frames, uid, write_header, write_xa
from tests.support.fake_pacs import FakePacs, Received, abort, answer, reject

SYNTAXES = [
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    RLELossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    JPEG2000Lossless,
]


def some_files(folder: Path, count: int) -> list[Path]:
    """Files of different instances of one series."""
    return [write_xa(folder / f"{k}", SOPInstanceUID=uid(f"instance {k}")) for k in range(count)]


def pixels_of(path: Path) -> str:
    """SHA-256 of the value of Pixel Data (7FE0,0010) in a file."""
    return hashlib.sha256(dcmread(path).PixelData).hexdigest()


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (0x0000, "stored"),
        (0xB000, "warning"),
        (0xB006, "warning"),
        (0xB007, "warning"),
        (0x0107, "warning"),
        (0x0116, "warning"),
        (0x0111, "warning"),
        (0xA700, "refused-now"),
        (0xA7FF, "refused-now"),
        (0x0110, "refused-now"),
        (0x0213, "refused-now"),
        (0xA900, "refused"),
        (0xA800, "refused"),
        (0xC000, "refused"),
        (0xCFFF, "refused"),
        (0x0117, "refused"),
        (0x0122, "refused"),
        (0x0124, "refused"),
        (0x0211, "refused"),
        (0xFE00, "refused"),
        (0xFF00, "refused"),
        (0x1234, "refused"),
    ],
)
def test_a_status_means_what_the_standard_says(status: int, outcome: Outcome) -> None:
    assert classify(status) == outcome


def test_success_and_warning_are_those_of_pynetdicom_and_a_duplicate() -> None:
    """The oracle is pynetdicom's table of PS3.4 B.2.3 and PS3.7 annex C; a duplicate is there already."""
    good = {
        code for code, (kind, _) in STORAGE_SERVICE_CLASS_STATUS.items() if kind in ("Success", "Warning")
    }

    assert {code for code in STORAGE_SERVICE_CLASS_STATUS if classify(code) in ("stored", "warning")} == {
        *good,
        0x0111,
    }


def test_files_arrive_in_their_order_in_one_association(tmp_path: Path, pacs: FakePacs) -> None:
    files, results = some_files(tmp_path, 5), list[StoreResult]()

    store(pacs.peer(), files, results.append)

    uids = [uid(f"instance {k}") for k in range(5)]
    assert results == [StoreResult(files[k], uids[k], 0, "stored", "") for k in range(5)]
    assert pacs.received == [
        Received(
            sop_instance_uid=uids[k],
            sop_class_uid=XRayAngiographicImageStorage,
            transfer_syntax=ExplicitVRLittleEndian,
            pixel_sha256=pixels_of(files[k]),
            status=0,
            called_ae_title="FAKEPACS",
            calling_ae_title="CASGAN",
            association=1,
        )
        for k in range(5)
    ]


def test_many_files_go_in_several_associations_each_once(tmp_path: Path, pacs: FakePacs) -> None:
    files, results = some_files(tmp_path, 40), list[StoreResult]()

    store(pacs.peer(), files, results.append, associations=3)

    assert pacs.requests == {uid(f"instance {k}"): 1 for k in range(40)}
    assert sorted(result.path for result in results) == sorted(files)
    assert {result.outcome for result in results} == {"stored"}
    assert pacs.associations == 3


def test_few_files_go_in_one_association(tmp_path: Path, pacs: FakePacs) -> None:
    store(pacs.peer(), some_files(tmp_path, 2 * FEWEST_FILES - 1), lambda _: None, associations=9)

    assert pacs.associations == 1


def test_a_peer_that_lets_one_association_in_gets_everything_by_that(tmp_path: Path) -> None:
    with FakePacs(most_associations=1) as pacs:
        store(pacs.peer(), some_files(tmp_path, 40), lambda _: None, associations=4)

        assert pacs.requests == {uid(f"instance {k}"): 1 for k in range(40)}
        assert len({each.association for each in pacs.received}) == 1


def test_when_one_of_several_associations_breaks_no_file_is_sent_twice_and_that_is_said(
    tmp_path: Path, pacs: FakePacs
) -> None:
    files, results = some_files(tmp_path, 40), list[StoreResult]()

    def on_result(result: StoreResult) -> None:
        results.append(result)
        if len(results) == 5:
            pacs.behaviour = abort(times=1)

    with pytest.raises(PeerError, match="aborted the association"):
        store(pacs.peer(), files, on_result, associations=3)

    assert set(pacs.requests.values()) == {1}
    assert [result.outcome for result in results].count("no-answer") == 1
    assert len(results) == len({result.path for result in results}) == len(pacs.requests) < 40


def test_each_association_tells_an_answer_before_its_next_request_and_one_at_a_time(
    tmp_path: Path, pacs: FakePacs
) -> None:
    told = Counter[str]()
    telling = threading.Lock()

    def on_result(result: StoreResult) -> None:
        assert telling.acquire(blocking=False), "told by two threads at once"
        told[result.sop_instance_uid] += 1
        under_way = sum(pacs.requests.values()) - sum(told.values())
        telling.release()
        assert under_way <= 2  # of the two other associations

    store(pacs.peer(), some_files(tmp_path, 40), on_result, associations=3)

    assert set(told.values()) == {1}


def test_every_transfer_syntax_goes_as_it_is(tmp_path: Path, pacs: FakePacs) -> None:
    files = [write_xa(tmp_path / s.keyword, syntax=s, SOPInstanceUID=uid(s)) for s in SYNTAXES]

    store(pacs.peer(), files, lambda _: None)

    assert [each.transfer_syntax for each in pacs.received] == SYNTAXES
    assert [each.pixel_sha256 for each in pacs.received] == [pixels_of(path) for path in files]
    assert pacs.associations == 1


def test_a_file_far_longer_than_a_pdu_arrives_whole(tmp_path: Path, pacs: FakePacs) -> None:
    path = write_xa(tmp_path / "a", moving_frames(60, 256, 256))

    store(pacs.peer(), [path], lambda _: None)

    assert pacs.stored == {uid("instance"): pixels_of(path)}


def test_each_answer_is_told_before_the_next_request(tmp_path: Path, pacs: FakePacs) -> None:
    seen: list[int] = []

    store(pacs.peer(), some_files(tmp_path, 3), lambda _: seen.append(len(pacs.received)))

    assert seen == [1, 2, 3]


@pytest.mark.parametrize(
    ("status", "outcome", "reason"),
    [
        (0xB000, "warning", "coercion of data elements (0xB000)"),
        (0xA700, "refused-now", "refused: out of resources (0xA700)"),
        (0xC123, "refused", "cannot understand (0xC123)"),
        (0x1234, "refused", "a status that the standard does not know (0x1234)"),
    ],
)
def test_a_refusal_concerns_one_file_and_not_the_next(
    tmp_path: Path, pacs: FakePacs, status: int, outcome: Outcome, reason: str
) -> None:
    pacs.behaviour = answer(status, times=1)
    results: list[StoreResult] = []

    store(pacs.peer(), some_files(tmp_path, 2), results.append)

    assert [(each.status, each.outcome, each.reason) for each in results] == [
        (status, outcome, reason),
        (0, "stored", ""),
    ]


def test_the_file_under_way_is_told_when_the_association_breaks(tmp_path: Path, pacs: FakePacs) -> None:
    files, results = some_files(tmp_path, 3), list[StoreResult]()

    def on_result(result: StoreResult) -> None:
        results.append(result)
        pacs.behaviour = abort()

    with pytest.raises(PeerError) as caught:
        store(pacs.peer(), files, on_result)

    assert [(each.path, each.status, each.outcome) for each in results] == [
        (files[0], 0, "stored"),
        (files[1], None, "no-answer"),
    ]
    assert results[1].reason == caught.value.message
    assert uid("instance 1") in caught.value.message
    assert "aborted" in caught.value.message


def test_what_the_peer_does_not_accept_is_named_and_the_rest_is_sent(tmp_path: Path) -> None:
    files = [
        write_xa(tmp_path / "a", SOPInstanceUID=uid("a")),
        write_xa(tmp_path / "b", SOPInstanceUID=uid("b"), syntax=RLELossless),
        write_header(tmp_path / "c", SOPInstanceUID=uid("c"), SOPClassUID=EncapsulatedPDFStorage),
        write_xa(tmp_path / "d", SOPInstanceUID=uid("d")),
    ]
    accepts = [(XRayAngiographicImageStorage, [ExplicitVRLittleEndian])]
    results: list[StoreResult] = []

    with FakePacs(accepts=accepts) as pacs, pytest.raises(PeerError) as caught:
        store(pacs.peer(), files, results.append)

    assert [each.path for each in results] == [files[0], files[1], files[3]]
    assert "X-Ray Angiographic" not in caught.value.message
    assert "Encapsulated PDF Storage as Explicit VR Little Endian" in caught.value.message


def test_a_peer_that_accepts_nothing_is_told_so(tmp_path: Path) -> None:
    with FakePacs(accepts=[(EncapsulatedPDFStorage, [ExplicitVRLittleEndian])]) as pacs:
        with pytest.raises(PeerError, match="X-Ray Angiographic Image Storage as Explicit VR Little Endian"):
            store(pacs.peer(), some_files(tmp_path, 1), lambda _: None)

        assert pacs.received == []


def test_a_file_that_cannot_be_sent_stops_everything_before_it_begins(tmp_path: Path, pacs: FakePacs) -> None:
    text = tmp_path / "text"
    text.write_text("no image")

    with pytest.raises(SeriesError, match="text: no DICOM file"):
        store(pacs.peer(), [*some_files(tmp_path, 1), text], lambda _: None)

    assert pacs.associations == 0


def test_a_file_that_vanishes_meanwhile_is_named(tmp_path: Path, pacs: FakePacs) -> None:
    first, second = some_files(tmp_path, 2)

    with pytest.raises(SeriesError, match=f"{second}: cannot be read any more"):
        store(pacs.peer(), [first, second], lambda _: second.unlink())

    assert list(pacs.stored) == [uid("instance 0")]


def test_nothing_to_send_makes_no_connection(pacs: FakePacs) -> None:
    store(pacs.peer(), [], lambda _: None)

    assert pacs.associations == 0


def test_more_than_128_presentation_contexts_are_refused(tmp_path: Path, pacs: FakePacs) -> None:
    classes = [f"1.2.840.10008.5.1.4.1.1.999.{k}" for k in range(129)]
    files = [
        write_header(tmp_path / name, SOPClassUID=UID(name), SOPInstanceUID=uid(name)) for name in classes
    ]

    with pytest.raises(SeriesError, match="129 pairs"):
        store(pacs.peer(), files, lambda _: None)


def test_no_patient_data_is_logged_or_told(
    tmp_path: Path, pacs: FakePacs, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    pacs.behaviour = answer(0xC000, times=1)
    told: list[StoreResult] = []
    monkeypatch.setattr(
        logging.getLogger("pynetdicom"), "propagate", True
    )  # a listener's test may cut it off

    with caplog.at_level(logging.DEBUG, logger="pynetdicom"):
        store(pacs.peer(), some_files(tmp_path, 2), told.append)
        echo(pacs.peer())

    assert caplog.records, "pynetdicom logs something, so the absence of the rest means something"
    for secret in ("Test^Run", "TEST-1"):
        assert secret not in caplog.text
        assert secret not in str(told)


def test_echo_says_how_long_it_took(pacs: FakePacs) -> None:
    seconds = echo(pacs.peer())

    assert 0 < seconds < 20
    assert pacs.echoes == 1


def free_port() -> int:
    """A port at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    ("codes", "wrong"),
    [
        ((1, 1, 7), "called AE title 'FAKEPACS' is not known there"),
        ((1, 1, 3), "calling AE title 'CASGAN' is not allowed there"),
        ((2, 3, 1), "is busy (temporary congestion)"),
        ((2, 3, 2), "is busy (local limit exceeded)"),
        ((1, 2, 2), "rejected the association (result 1, source 2, reason 2)"),
    ],
)
def test_a_rejection_names_the_field_that_is_wrong(
    pacs: FakePacs, codes: tuple[int, int, int], wrong: str
) -> None:
    pacs.behaviour = reject(*codes)

    with pytest.raises(PeerError) as caught:
        echo(pacs.peer())

    assert wrong in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("host", "wrong"),
    [("no-such-host.invalid", "host 'no-such-host.invalid' is unknown"), ("a..b", "host 'a..b' is unknown")],
)
def test_an_unknown_host_is_named(host: str, wrong: str) -> None:
    with pytest.raises(PeerError) as caught:
        echo(Peer(host, 104, "X"))

    assert wrong in caught.value.message
    assert caught.value.hint


def test_a_closed_port_is_named() -> None:
    port = free_port()

    with pytest.raises(PeerError) as caught:
        echo(Peer("127.0.0.1", port, "X"))

    assert f"port {port} is closed (connection refused)" in caught.value.message


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        (("h", 104, "A" * 17), ["called AE title"]),
        (("h", 104, "A\\B"), ["called AE title"]),
        (("h", 104, "   "), ["called AE title"]),
        (("h", 104, "A", "Ä"), ["calling AE title"]),
        (("", 0, "", ""), ["host", "port 0", "called AE title", "calling AE title"]),
        (("h", 65536, "A"), ["port 65536"]),
        (("h", 104, "A", "B", 0.0), ["timeout"]),
    ],
)
def test_a_peer_that_cannot_be_is_refused(fields: Sequence[object], wrong: Sequence[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        Peer(*fields)  # type: ignore[arg-type]  # a mixture

    said = caught.value.message.split("; ")
    assert len(said) == len(wrong)
    assert all(name in text for name, text in zip(wrong, said, strict=True))
