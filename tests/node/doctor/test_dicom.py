"""Peers that answer, and each way in which they do not: the key that has to be changed is named."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import monotonic

import pytest
from pydicom.uid import (
    ComprehensiveSRStorage,
    KeyObjectSelectionDocumentStorage,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from casgan_dicom.node.doctor.dicom import (
    classes_for,
    look_at_archive,
    look_at_destination,
    look_at_sender,
)
from casgan_dicom.node.doctor.finding import Finding, Verdict
from casgan_dicom.node.settings import (
    ArchiveSettings,
    DestinationSettings,
    NodeSettings,
    PeerSettings,
    RuleSettings,
)
from tests.node.doctor.looking import bad, one
from tests.node.listening import Listening, listening
from tests.node.secure import Authority, Pair, destination_keys, server
from tests.support.fake_pacs import FakePacs, ignore, reject
from tests.support.orthanc import free_ports

LOOPBACK = "127.0.0.1"
PLAIN = MultiFrameGrayscaleByteSecondaryCaptureImageStorage


def place(port: int, **keys: object) -> DestinationSettings:
    """A destination on this machine."""
    own: dict[str, object] = {"host": LOOPBACK, "ae_title": "FAKEPACS"} | keys
    return DestinationSettings("pacs", port=port, **own)  # type: ignore[arg-type]


def look(destination: DestinationSettings, *rules: RuleSettings) -> list[Finding]:
    """What is found of it, as the second one."""
    settings = NodeSettings(destinations=(DestinationSettings("other"), destination), rules=rules)
    return list(look_at_destination(settings, 2, 5))


def test_a_peer_that_takes_what_we_send_is_well_and_holds_nothing_afterwards(pacs: FakePacs) -> None:
    found = look(place(pacs.port))

    assert (one(found).verdict, one(found).about) == (Verdict.OK, "destinations#2")
    assert (pacs.echoes, pacs.received) == (1, [])


def test_a_port_that_nobody_listens_on_is_the_fault_of_port() -> None:
    (port,) = free_ports(1)

    found = one(look(place(port)))

    assert (found.verdict, found.about) == (Verdict.FAIL, "destinations#2.port")
    assert found.text.startswith(f"{port}: ")


def test_a_host_that_nobody_knows_is_the_fault_of_host() -> None:
    found = one(look(place(104, host="no-such-host.invalid")))

    assert (found.verdict, found.about) == (Verdict.FAIL, "destinations#2.host")
    assert found.text.startswith("'no-such-host.invalid': ")


@pytest.mark.parametrize(
    ("codes", "about", "found"),
    [
        ((1, 1, 7), "destinations#2.ae_title", "'FAKEPACS'"),
        ((1, 1, 3), "destinations#2.calling_ae_title", "'US'"),
        ((2, 3, 2), "destinations#2", ""),
        ((1, 1, 1), "destinations#2", ""),
    ],
)
def test_a_rejection_names_the_title_that_is_wrong(
    pacs: FakePacs, codes: tuple[int, int, int], about: str, found: str
) -> None:
    pacs.behaviour = reject(*codes)

    told = one(look(place(pacs.port, calling_ae_title="US")))

    assert (told.verdict, told.about) == (Verdict.FAIL, about)
    assert told.text.startswith(found)
    assert told.advice


def test_a_title_that_is_not_set_is_told_as_the_one_of_the_listener(pacs: FakePacs) -> None:
    pacs.behaviour = reject(1, 1, 3)

    told = one(look(place(pacs.port)))

    assert told.about == "destinations#2.calling_ae_title"
    assert "'CASGAN'" in told.text


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that takes connections and says nothing."""
    with socket.socket() as server:
        server.bind((LOOPBACK, 0))
        server.listen()
        yield server.getsockname()[1]


@pytest.mark.parametrize("tls", [False, True])
def test_a_port_that_stays_silent_is_given_up_after_the_time_that_was_said(
    silent: int, tls: bool, authority: Authority, node: Pair
) -> None:
    keys = destination_keys(authority, node) if tls else {}
    settings = NodeSettings(destinations=(place(silent, connect_seconds=3600, **keys),))

    begun = monotonic()
    found = one(look_at_destination(settings, 1, 0.5))

    assert found.verdict is Verdict.FAIL
    assert monotonic() - begun < 60


def test_a_peer_that_never_answers_is_the_fault_of_port(pacs: FakePacs) -> None:
    pacs.behaviour = ignore()
    settings = NodeSettings(destinations=(place(pacs.port),))

    assert one(look_at_destination(settings, 1, 0.5)).about == "destinations#1.port"


def test_a_peer_that_takes_no_storage_is_told_for_each_class_that_may_come() -> None:
    with FakePacs(accepts=[(PLAIN, ["1.2.840.10008.1.2.1"])]) as pacs:
        found = look(place(pacs.port), RuleSettings("r", seg=True, sr=True))

    wanting = [each.text for each in found if each.verdict is Verdict.FAIL]
    assert len(wanting) == 2
    assert any("Segmentation Storage" in text for text in wanting)
    assert any("Comprehensive SR Storage" in text for text in wanting)


def test_a_peer_without_commitment_is_told_where_it_is_asked_for(pacs: FakePacs) -> None:
    assert bad(look(place(pacs.port, commitment=True))) == {"destinations#2.commitment": Verdict.FAIL}


def test_classes_follow_from_the_rules_of_the_destination() -> None:
    pacs, other = DestinationSettings("pacs", withdraw=True), DestinationSettings("other")
    rules = (
        RuleSettings("a", destinations=("pacs",), bits=12, single_frame=True),
        RuleSettings("b", destinations=("other",), seg=True, sr=True),
    )
    settings = NodeSettings(destinations=(pacs, other), rules=rules)

    assert classes_for(NodeSettings(), other) == [PLAIN]
    assert classes_for(settings, pacs) == [
        MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
        SecondaryCaptureImageStorage,
        KeyObjectSelectionDocumentStorage,
    ]
    assert classes_for(settings, other) == [PLAIN, SegmentationStorage, ComprehensiveSRStorage]


class TestTls:
    """TLS that is wrong on either side."""

    @pytest.fixture
    def secure(self, authority: Authority, node: Pair) -> Iterator[FakePacs]:
        """A peer that wants a certificate."""
        with FakePacs(tls=server(authority, node)) as pacs:
            yield pacs

    def test_it_is_well_where_both_believe_each_other(
        self, secure: FakePacs, authority: Authority, modality: Pair
    ) -> None:
        found = look(place(secure.port, host="localhost", **destination_keys(authority, modality)))

        assert bad(found) == {}

    def test_another_authority_is_the_fault_of_tls_authorities(
        self, secure: FakePacs, modality: Pair, tmp_path: Path
    ) -> None:
        stranger = Authority.make(tmp_path, "stranger")

        found = one(look(place(secure.port, host="localhost", **destination_keys(stranger, modality))))

        assert (found.verdict, found.about) == (Verdict.FAIL, "destinations#2.tls_authorities")

    def test_another_name_is_the_fault_of_tls_name(
        self, secure: FakePacs, authority: Authority, modality: Pair
    ) -> None:
        keys = destination_keys(authority, modality) | {"tls_name": "pacs.example"}

        assert one(look(place(secure.port, **keys))).about == "destinations#2.tls_name"

    def test_a_certificate_that_it_does_not_know_is_the_fault_of_tls_certificate(
        self, secure: FakePacs, authority: Authority, tmp_path: Path
    ) -> None:
        pair = Authority.make(tmp_path, "stranger").issue("us")

        found = one(look(place(secure.port, host="localhost", **destination_keys(authority, pair))))

        assert found.about == "destinations#2.tls_certificate"

    def test_no_tls_where_it_is_wanted_and_tls_where_it_is_not(
        self, secure: FakePacs, pacs: FakePacs, authority: Authority, modality: Pair
    ) -> None:
        without = one(look(place(secure.port)))
        with_tls = one(look(place(pacs.port, **destination_keys(authority, modality))))

        assert without.verdict is with_tls.verdict is Verdict.FAIL
        assert with_tls.about == "destinations#2.tls"


class TestArchive:
    """Where series are fetched from."""

    def look(self, archive: ArchiveSettings) -> list[Finding]:
        """What is found of it."""
        return list(look_at_archive(NodeSettings(archives=(archive,)), 1, 5))

    def test_one_that_takes_no_queries_and_gives_nothing_is_told_so(self, pacs: FakePacs) -> None:
        archive = ArchiveSettings("pacs", LOOPBACK, pacs.port, pacs.ae_title)

        assert bad(self.look(archive)) == {"archives#1": Verdict.FAIL, "archives#1.retrieve": Verdict.FAIL}

    def test_the_way_that_it_takes_is_what_to_type(self) -> None:
        move = "1.2.840.10008.5.1.4.1.2.2.2"
        with FakePacs(accepts=[(move, ["1.2.840.10008.1.2"])]) as pacs:
            archive = ArchiveSettings("pacs", LOOPBACK, pacs.port, pacs.ae_title)
            getting, moving = self.look(archive), self.look(replace(archive, retrieve="move"))

        assert "archives#1.retrieve" not in bad(moving)
        assert bad(getting)["archives#1.retrieve"] is Verdict.FAIL
        assert getting[-1].advice == 'type retrieve = "move"'

    def test_a_closed_port_is_told_by_its_key(self) -> None:
        (port,) = free_ports(1)

        assert bad(self.look(ArchiveSettings("pacs", LOOPBACK, port, "PACS"))) == {
            "archives#1.port": Verdict.FAIL
        }


def test_a_sender_is_asked_where_it_takes_reports(running: Listening, tmp_path: Path) -> None:
    """Another node of ours stands for it: that checks how it is called, and by whom."""
    closed = free_ports(1)[0]
    known = PeerSettings("CASGAN")
    with listening(tmp_path / "other", peers=(known,), ae_title="CATHLAB") as sender:
        there = PeerSettings("CATHLAB", report_host=LOOPBACK, report_port=sender.port)
        settings = NodeSettings(peers=(there, replace(there, report_port=closed)))

        assert bad(look_at_sender(settings, 1, 5)) == {}
        assert bad(look_at_sender(settings, 2, 5)) == {"peers#2.report_port": Verdict.FAIL}


def test_our_own_listener_tells_titles_apart_as_another_node_sees_it(tmp_path: Path) -> None:
    with listening(tmp_path / "data", peers=(PeerSettings("US"),), ae_title="THEM") as them:
        right = place(them.port, ae_title="THEM", calling_ae_title="US")
        wrong_called = replace(right, ae_title="THAT")
        wrong_calling = replace(right, calling_ae_title="WHO")

        found = [look(each) for each in (right, wrong_called, wrong_calling)]

    assert [bad(each) for each in found[1:]] == [
        {"destinations#2.ae_title": Verdict.FAIL},
        {"destinations#2.calling_ae_title": Verdict.FAIL},
    ]
    assert bad(found[0]) == {}
