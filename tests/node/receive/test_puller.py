"""A node fetches by itself what an archive holds of the last days."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from casgan_dicom.node.receive.puller import wanted_of
from casgan_dicom.node.settings import ArchiveSettings, PullSettings
from tests.node.nodes import node_settings, running_node, wait_for
from tests.support.factories import write_xa
from tests.support.orthanc import Orthanc

ASKS = {"DicomAlwaysAllowFind": True, "DicomAlwaysAllowGet": True}


@pytest.mark.parametrize(
    ("days", "dates"),
    [(0, "20260301-20260301"), (1, "20260228-20260301"), (60, "20251231-20260301")],
)
def test_a_pull_asks_for_today_and_days_before(days: int, dates: str) -> None:
    wanted = wanted_of(PullSettings("pacs", days), datetime(2026, 3, 1, 0, 5))

    assert (wanted.dates, wanted.modalities) == (dates, ("XA", "RF"))


def of_today(path: Path, sop_uid: str) -> Path:
    """A run of a study of this day."""
    return write_xa(
        path,
        StudyDate=f"{datetime.now():%Y%m%d}",
        Modality="XA",
        StudyInstanceUID="1.2.3.4",
        SeriesInstanceUID="1.2.3.5",
        SOPInstanceUID=sop_uid,
    )


@pytest.mark.orthanc
def test_what_comes_into_an_archive_is_fetched_and_converted_once(tmp_path: Path) -> None:
    with Orthanc.stock(tmp_path / "orthanc", extra=ASKS) as pacs:
        archive = ArchiveSettings("pacs", "127.0.0.1", pacs.dicom_port, pacs.aet)
        settings = replace(
            node_settings(tmp_path), archives=(archive,), pulls=(PullSettings("pacs", every_seconds=0.2),)
        )
        pacs.add(write_xa(tmp_path / "old.dcm", StudyDate="20250101", Modality="XA"))
        with running_node(settings) as node:
            pacs.add(of_today(tmp_path / "new.dcm", "1.2.3.6"))
            (row,) = node.wait_until_settled(1)
            assert (row.state, row.series_uid, row.instances) == ("done", "1.2.3.5", 1)

            pacs.add(of_today(tmp_path / "more.dcm", "1.2.3.7"))
            wait_for(lambda: len(node.jobs()) == 2, "the second run of the series")
            rows = node.wait_until_settled(2)

    assert [row.instances for row in rows] == [1, 1]
