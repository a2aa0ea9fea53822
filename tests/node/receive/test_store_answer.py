"""The answer to a request says what became of each instance; our own client is not the oracle, pydicom is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from xml.etree import ElementTree

import pytest
from pydicom import Dataset

from casgan_dicom.node.receive.store_answer import JSON, XML, Outcome, http_status, written

CLASS = "1.2.840.10008.5.1.4.1.1.12.1"
STORED, OTHER = Outcome(0, CLASS, "1.2.3"), Outcome(0xC000)
FAILED, FULL = Outcome(0xA900, CLASS, "1.2.4"), Outcome(0xA700, CLASS, "1.2.5")
LONG = Outcome(0xA700, CLASS, "1.2.6", is_too_long=True)


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [
        ([], 400),
        ([STORED], 200),
        ([STORED, STORED], 200),
        ([STORED, FAILED], 202),
        ([STORED, FULL], 202),
        ([STORED, OTHER], 202),
        ([FAILED], 409),
        ([FAILED, FULL], 409),
        ([OTHER], 409),
        ([FULL, FULL], 503),
        ([LONG], 413),
        ([LONG, FULL], 409),
        ([LONG, FAILED], 409),
    ],
)
def test_the_status_says_what_became_of_all(outcomes: Sequence[Outcome], status: int) -> None:
    assert http_status(outcomes) == status


def test_json_is_a_data_set_with_the_elements_of_the_module() -> None:
    ds = Dataset.from_json(json.loads(written([STORED, FAILED, OTHER], JSON)))

    assert not ds.RetrieveURL
    (stored,), (failed,), (other,) = (
        ds.ReferencedSOPSequence, ds.FailedSOPSequence, ds.OtherFailuresSequence,
    )  # fmt: skip
    assert (stored.ReferencedSOPClassUID, stored.ReferencedSOPInstanceUID) == (CLASS, "1.2.3")
    assert not stored.RetrieveURL
    assert (failed.ReferencedSOPInstanceUID, failed.FailureReason) == ("1.2.4", 0xA900)
    assert other.FailureReason == 0xC000
    assert "ReferencedSOPInstanceUID" not in other


def test_xml_says_the_same_in_order() -> None:
    root = ElementTree.fromstring(written([STORED, FAILED, OTHER], XML))
    names = {"d": "http://dicom.nema.org/PS3.19/models/NativeDICOM"}

    tags = [each.get("tag") for each in root.findall("d:DicomAttribute", names)]
    assert tags == ["00081190", "00081198", "00081199", "0008119A"]
    failed = root.find("d:DicomAttribute[@keyword='FailedSOPSequence']/d:Item", names)
    assert failed is not None
    reason = failed.find("d:DicomAttribute[@keyword='FailureReason']/d:Value", names)
    assert reason is not None
    assert reason.text == str(0xA900)
