"""A verdict goes from the command through a node that runs into a real Orthanc, beside what it is about."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ComprehensiveSRStorage, KeyObjectSelectionDocumentStorage

from casgan_dicom.cli import cli
from casgan_dicom.node.settings import DestinationSettings, NodeSettings, ReviewSettings, RuleSettings
from casgan_dicom.node.state.overview import JobRow
from casgan_dicom.verification.verify import verify_file
from tests.faults.modality import cine, send, stills
from tests.node.nodes import Node, destination, node_settings, running_node, wait_for
from tests.support.orthanc import Orthanc
from tests.support.validators import dcentvfy, dciodvfy

pytestmark = [pytest.mark.orthanc, pytest.mark.e2e]

Order = Callable[..., Result]
CLASSES = {"sr": ComprehensiveSRStorage, "ko": KeyObjectSelectionDocumentStorage}


@pytest.fixture
def order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Order:
    """The command, told of the node."""
    monkeypatch.setenv("CASGAN_NODE_DATA", str(tmp_path / "node"))
    return lambda *arguments: CliRunner().invoke(cli, ["node", *arguments])


def settings_of(folder: Path, *destinations: DestinationSettings, record: str = "sr") -> NodeSettings:
    return replace(node_settings(folder, *destinations), review=ReviewSettings(record))


def wait_for_record(node: Node, number: int) -> JobRow:
    """Wait until so many verdicts have been sent."""

    def sent() -> bool:
        (row,) = node.jobs()
        made = [review for review in row.reviews if review.record == "made"]
        return len(made) == number and row.state == "done"

    wait_for(sent, lambda: f"{number} verdicts that were sent, there are {node.jobs()}")
    return node.jobs()[0]


def tried_in_vain(node: Node) -> bool:
    (delivery,) = node.jobs()[0].deliveries
    return delivery.state == "waiting" and delivery.attempts > 0


def in_archive(pacs: Orthanc, sop_uid: str) -> Dataset:
    return dcmread(io.BytesIO(pacs.file(sop_uid)))


def named_in(record: Dataset) -> set[tuple[str, str]]:
    """Series and instances that a verdict is about."""
    (study,) = record.CurrentRequestedProcedureEvidenceSequence
    return {
        (str(series.SeriesInstanceUID), str(each.ReferencedSOPInstanceUID))
        for series in study.ReferencedSeriesSequence
        for each in series.ReferencedSOPSequence
    }


FORMS = {
    "cine": RuleSettings("all", review="sr"),
    "single frames": RuleSettings("all", single_frame=True, review="ko"),
    "maps, segmentation and record": RuleSettings("all", maps=True, seg=True, sr=True, review="sr"),
    "all of it, selected": RuleSettings("all", maps=True, seg=True, sr=True, review="ko"),
}


@pytest.mark.parametrize("form", FORMS)
def test_verdicts_arrive_and_are_about_instances_that_the_archive_has(
    orthanc: Orthanc, tmp_path: Path, order: Order, form: str
) -> None:
    rule = FORMS[form]
    settings = replace(settings_of(tmp_path, destination("orthanc", orthanc), record=""), rules=(rule,))

    with running_node(settings) as node:
        files = [cine(tmp_path / "sent", "run")] if form == "cine" else stills(tmp_path / "sent", "run", 3)
        assert all(result.is_stored for result in send(node.port, files))
        (row,) = node.wait_until_settled(1)
        made = [dcmread(path, stop_before_pixels=True) for path in row.derived]
        assert order("reject", row.job, "--reason", "motion", "--by", "A. Reviewer").exit_code == 0
        wait_for_record(node, 1)
        assert order("accept", row.job, "--text", "on second thoughts").exit_code == 0
        row = wait_for_record(node, 2)
        before, count = node.jobs(), orthanc.statistics().instances
        again = json.loads(order("accept", row.job, "--text", "on second thoughts", "--json").stdout)
        assert again["unchanged"] == [row.job]
        assert node.jobs() == before

    assert count == len(made) + 2
    everything = {(str(ds.SeriesInstanceUID), str(ds.SOPInstanceUID)) for ds in made}
    for review in row.reviews:
        record = in_archive(orthanc, review.sop_uid)
        assert record.SOPClassUID == CLASSES[rule.review]
        assert named_in(record) == everything
        for series_uid, sop_uid in named_in(record):
            assert sop_uid in orthanc.instances(series_uid)
        path = next(Path(each) for each in row.derived if review.sop_uid in each)
        assert record == dcmread(path)
        assert verify_file(path) == []
        assert dciodvfy(path) == []
    records = [Path(each) for each in row.derived if "/review-" in each]
    assert dcentvfy(*files, *map(Path, row.derived)) == []
    assert len(records) == 2


def test_a_verdict_waits_for_an_archive_that_is_away(tmp_path: Path, order: Order) -> None:
    pacs = Orthanc.stock(tmp_path / "orthanc")

    with running_node(settings_of(tmp_path, destination("orthanc", pacs))) as node:
        with pacs:
            send(node.port, [cine(tmp_path / "sent", "run")])
            (row,) = node.wait_until_settled(1)
            assert row.state == "done"
        assert order("reject", row.job, "--reason", "missing-vessels").exit_code == 0
        wait_for(lambda: tried_in_vain(node), "an attempt in vain")
        with pacs:
            row = wait_for_record(node, 1)
            assert named_in(in_archive(pacs, row.reviews[0].sop_uid))
            assert pacs.statistics().instances == 2


def test_a_verdict_about_a_stopped_node_is_sent_when_it_starts(
    orthanc: Orthanc, tmp_path: Path, order: Order
) -> None:
    settings = settings_of(tmp_path, destination("orthanc", orthanc), record="ko")
    with running_node(settings) as node:
        send(node.port, [cine(tmp_path / "sent", "run")])
        (row,) = node.wait_until_settled(1)
    assert order("accept", row.job).exit_code == 0

    with running_node(settings) as node:
        row = wait_for_record(node, 1)

    assert named_in(in_archive(orthanc, row.reviews[0].sop_uid))
