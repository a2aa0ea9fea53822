"""A whole node and an archive that is asked to commit: nothing is done before the archive has said so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from casgan_dicom.node.settings import DestinationSettings, PeerSettings, RetrySettings
from casgan_dicom.node.state.layout import Layout
from tests.faults.modality import cine, send_until_stored
from tests.node.listening import rows_of
from tests.node.nodes import destination, node_settings, running_node, wait_for
from tests.support.asking_modality import WAIT_SECONDS, AskingModality, reporting_port
from tests.support.committing_pacs import Asked, CommittingPacs, Manner, open_and_report, report_of
from tests.support.fake_pacs import FakePacs


def committing(pacs: CommittingPacs, **own: object) -> DestinationSettings:
    """A destination that is asked to commit, and is impatient."""
    made = DestinationSettings(
        "pacs", "127.0.0.1", pacs.port, pacs.ae_title, connect_seconds=3, response_seconds=3, commitment=True
    )
    return replace(made, **own)  # type: ignore[arg-type]


def test_a_delivery_is_done_when_the_archive_reports_on_an_association_of_its_own(tmp_path: Path) -> None:
    with (
        CommittingPacs(Manner("never")) as pacs,
        running_node(node_settings(tmp_path, committing(pacs))) as node,
    ):
        send_until_stored(node.port, [cine(tmp_path / "sent", "run")])
        pacs.wait_for(lambda pacs: len(pacs.asked) == 1, "a request to commit")
        (asked,) = pacs.asked
        (row,) = node.jobs()
        assert (row.state, row.deliveries[0].state) == ("delivering", "committing")
        assert {uid for _, uid in asked.objects} == set(pacs.stores)

        stranger = open_and_report(node.port, *report_of(asked), "STRANGER")
        elsewhere = open_and_report(node.port, *report_of(asked), pacs.ae_title, source="127.0.0.2")
        wrong = open_and_report(node.port, *report_of(Asked("1.2.3", asked.objects)), pacs.ae_title)
        odd = open_and_report(node.port, 3, report_of(asked)[1], pacs.ae_title)
        garbage = open_and_report(node.port, 1, b"\xff" * 99, pacs.ae_title)
        assert node.jobs()[0].deliveries[0].state == "committing"

        right = open_and_report(node.port, *report_of(asked), pacs.ae_title)
        (row,) = node.wait_until_settled(1)
        again = open_and_report(node.port, *report_of(asked), pacs.ae_title)

    assert (stranger, elsewhere, wrong, odd, garbage) == (0x0110, 0x0110, 0x0110, 0x0113, 0x0115)
    assert (right, again) == (0x0000, 0x0000)
    assert (row.state, row.deliveries[0].state) == ("done", "sent")
    assert list(pacs.stores.values()) == [1]


def test_what_the_archive_does_not_keep_is_sent_again_and_then_a_dead_letter(tmp_path: Path) -> None:
    def nothing_kept(asked: Asked) -> object:
        return report_of(asked, failed=tuple(uid for _, uid in asked.objects))

    settings = node_settings(tmp_path)
    with CommittingPacs(Manner(said=(nothing_kept,))) as pacs:  # type: ignore[arg-type]
        settings = replace(settings, destinations=(committing(pacs),))
        with running_node(settings) as node:
            send_until_stored(node.port, [cine(tmp_path / "sent", "run")])
            (row,) = node.wait_until_settled(1)
            assert (row.state, row.deliveries[0].state) == ("undelivered", "dead")
            assert "1 objects are not kept there" in row.deliveries[0].reason
            assert "0x0112" in row.deliveries[0].reason

    assert list(pacs.stores.values()) == [4]
    assert len({each.transaction_uid for each in pacs.asked}) == 4


def test_without_a_report_the_archive_is_asked_again_until_it_is_a_dead_letter(tmp_path: Path) -> None:
    impatient = RetrySettings(first_seconds=0.2, longest_seconds=1, give_up_seconds=4)
    with CommittingPacs(Manner("never")) as pacs:
        settings = node_settings(tmp_path, committing(pacs, commitment_seconds=0.5))
        with running_node(replace(settings, retry=impatient)) as node:
            send_until_stored(node.port, [cine(tmp_path / "sent", "run")])
            (row,) = node.wait_until_settled(1)

    assert (row.state, row.deliveries[0].state) == ("undelivered", "dead")
    assert "no report came" in row.deliveries[0].reason
    assert len({each.transaction_uid for each in pacs.asked}) == len(pacs.asked) >= 2
    assert list(pacs.stores.values()) == [1]


def test_an_archive_that_refuses_to_be_asked_gives_a_dead_letter_at_once(tmp_path: Path) -> None:
    with (
        CommittingPacs(Manner("never", status=0x0124)) as pacs,
        running_node(node_settings(tmp_path, committing(pacs))) as node,
    ):
        send_until_stored(node.port, [cine(tmp_path / "sent", "run")])
        (row,) = node.wait_until_settled(1)

    assert (row.state, row.deliveries[0].reason) == (
        "undelivered",
        "the request to commit was answered 0x0124",
    )


def test_a_modality_that_left_is_told_where_it_listens_as_soon_as_it_does(tmp_path: Path) -> None:
    with reporting_port() as (port, _):
        pass  # nobody listens there now
    cathlab = PeerSettings("CATHLAB", report_host="127.0.0.1", report_port=port)
    settings = replace(node_settings(tmp_path), peers=(cathlab,))
    path = cine(tmp_path / "sent", "run")

    with running_node(settings) as node:
        with AskingModality(node.port) as modality:
            kept = modality.store(path)
            assert modality.ask("1.2.3", [kept, (kept[0], "1.2.9")]) == 0x0000
        layout = Layout(settings.data)
        wait_for(lambda: rows_of(layout, "promises")[0]["attempts"] >= 1, "an attempt in vain")
        with reporting_port(port) as (_, told):
            event_type, said = told.get(timeout=WAIT_SECONDS)
            wait_for(lambda: rows_of(layout, "promises")[0]["state"] == "told", "the response to be noted")

    assert (event_type, said.TransactionUID) == (2, "1.2.3")
    assert [each.ReferencedSOPInstanceUID for each in said.ReferencedSOPSequence] == [kept[1]]
    assert [each.FailureReason for each in said.FailedSOPSequence] == [0x0112]


def test_a_modality_that_left_and_listens_nowhere_is_not_told_and_the_ledger_says_why(tmp_path: Path) -> None:
    settings = replace(node_settings(tmp_path), peers=(PeerSettings("CATHLAB"),))
    layout = Layout(settings.data)

    with running_node(settings) as node:
        with AskingModality(node.port) as modality:
            assert modality.ask("1.2.3", [("1.2", "1.2.9")]) == 0x0000
        wait_for(lambda: rows_of(layout, "promises")[0]["state"] == "dead", "the promise to be given up")

    assert "no report_host" in rows_of(layout, "promises")[0]["reason"]


def test_a_destination_that_is_down_holds_up_no_other_and_is_asked_when_it_is_back(tmp_path: Path) -> None:
    with CommittingPacs() as pacs, FakePacs() as plain:
        gone = replace(committing(pacs), name="gone")
        settings = node_settings(tmp_path, gone, destination("plain", plain))
        pacs.manner = Manner("never", status=0x0213)  # out of resources: again later
        with running_node(settings) as node:
            send_until_stored(node.port, [cine(tmp_path / "sent", "run")])
            pacs.wait_for(lambda pacs: len(pacs.asked) >= 2, "the second request to commit")
            states = {each.destination: each.state for each in node.jobs()[0].deliveries}
            assert states == {"gone": "committing", "plain": "sent"}
            pacs.manner = Manner()
            (row,) = node.wait_until_settled(1)

    assert row.state == "done"
    assert [each.reason for each in row.deliveries] == ["", ""]
