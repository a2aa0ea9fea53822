"""A note that withdraws objects, as others read it."""

from __future__ import annotations

from pathlib import Path

import pytest
from highdicom.ko import KeyObjectSelectionDocument
from pydicom import Dataset, dcmread
from pydicom.uid import KeyObjectSelectionDocumentStorage, MultiFrameGrayscaleByteSecondaryCaptureImageStorage

from casgan_dicom.derived.withdrawal import Withdrawn, withdrawal, withdrawal_uid
from casgan_dicom.uids import IMPLEMENTATION_CLASS_UID
from tests.support.factories import uid, xa_dataset
from tests.support.validators import dciodvfy, of_our_making

MULTI_FRAME = MultiFrameGrayscaleByteSecondaryCaptureImageStorage
IMAGES = [
    Withdrawn(
        MultiFrameGrayscaleByteSecondaryCaptureImageStorage, uid(f"old {name}"), uid(f"old series {of}")
    )
    for name, of in (("a", 1), ("b", 1), ("c", 2))
]


def written(folder: Path, instead: Dataset, title: str = "113001") -> Path:
    path = folder / "note.dcm"
    withdrawal(instead, IMAGES, title).save_as(path, enforce_file_format=True)
    return path


@pytest.mark.parametrize(
    ("title", "meaning"),
    [("113001", "Rejected for Quality Reasons"), ("113038", "Incorrect Modality Worklist Entry")],
)
def test_a_note_says_why_and_names_every_object(tmp_path: Path, title: str, meaning: str) -> None:
    instead = xa_dataset(PatientName="Müller^Hans", SpecificCharacterSet="ISO_IR 100", PatientID="7")

    path = written(tmp_path, instead, title)

    ds = dcmread(path)
    assert ds.SOPClassUID == KeyObjectSelectionDocumentStorage
    assert ds.file_meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
    (code,) = ds.ConceptNameCodeSequence
    assert (code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning) == (title, "DCM", meaning)
    (study,) = ds.CurrentRequestedProcedureEvidenceSequence
    named = {
        (series.SeriesInstanceUID, each.ReferencedSOPInstanceUID)
        for series in study.ReferencedSeriesSequence
        for each in series.ReferencedSOPSequence
    }
    assert named == {(image.series_uid, image.sop_uid) for image in IMAGES}
    content = [item.ReferencedSOPSequence[0] for item in ds.ContentSequence if item.ValueType == "IMAGE"]
    assert {each.ReferencedSOPInstanceUID for each in content} == {image.sop_uid for image in IMAGES}
    assert study.StudyInstanceUID == ds.StudyInstanceUID == instead.StudyInstanceUID
    assert (ds.PatientName, ds.PatientID) == ("Müller^Hans", "7")
    assert ds.SeriesInstanceUID not in {instead.SeriesInstanceUID, *(image.series_uid for image in IMAGES)}


def test_a_note_is_a_legal_object_that_highdicom_reads(tmp_path: Path) -> None:
    path = written(tmp_path, xa_dataset())

    assert of_our_making(dciodvfy(path)) == []
    document = KeyObjectSelectionDocument.from_dataset(dcmread(path))
    assert document.resolve_reference(uid("old c")) == (uid("study"), uid("old series 2"), uid("old c"))


def test_a_note_is_made_of_a_header_with_the_least_in_it(tmp_path: Path) -> None:
    instead = Dataset()
    instead.StudyInstanceUID, instead.SeriesInstanceUID = uid("study"), uid("series")
    assert dcmread(written(tmp_path, instead)).PatientID == ""


def test_a_note_about_the_same_objects_is_the_same_one() -> None:
    assert withdrawal_uid(IMAGES, "113001") == withdrawal_uid(IMAGES[::-1], "113001")
    assert len({withdrawal_uid(IMAGES[:k], title) for k in (1, 2, 3) for title in ("113001", "113038")}) == 6
