"""Values of a source that break their representation: mended where they mean one thing, else empty."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable
from pathlib import Path

import pytest
from pydicom import dcmread, dcmwrite
from pydicom.config import IGNORE
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from casgan_dicom.conversion.notes import notes_about
from casgan_dicom.derived.legal import legal_text
from casgan_dicom.derived.quality import FrameQuality
from casgan_dicom.derived.quality_record import QualityRecord
from casgan_dicom.derived.references import Reference
from casgan_dicom.source.cine import Cine
from casgan_dicom.source.series import find_series
from casgan_dicom.verification.comparison import compare, source_headers
from tests.derived.test_geometry import FORMS
from tests.support.derived import derivation_of, derived
from tests.support.enhanced_factory import write_enhanced
from tests.support.factories import write_xa
from tests.support.validators import dciodvfy, of_our_making


@pytest.mark.parametrize(
    ("vr", "text", "legal"),
    [
        ("DA", "20240102", "20240102"),
        ("DA", "2024.01.02", "20240102"),
        ("DA", "2024-01-02", "20240102"),
        ("DA", " 2024/01/02 ", "20240102"),
        ("DA", "2024.01-02", None),
        ("DA", "2024-1-2", "20240102"),
        ("DA", "2024-2-30", None),
        ("DA", "02.01.2024", None),  # of which century is 02.01.24, and which is the month?
        ("DA", "20240230", None),
        ("DA", "19500000", None),
        ("DA", "1950", None),
        ("TM", "101500", "101500"),
        ("TM", "10", "10"),
        ("TM", "1015", "1015"),
        ("TM", "10:15:00", "101500"),
        ("TM", "10:15:00.5", "101500.5"),
        ("TM", "10:15:00,25", "101500.25"),
        ("TM", "10:15", "1015"),
        ("TM", "9:05:00", "090500"),
        ("TM", "9:05:00.5", "090500.5"),
        ("TM", "10:15:0", "101500"),
        ("TM", "10:15:00.", "101500"),
        ("TM", "101500.", "101500"),
        ("TM", "10-15-00", "101500"),
        ("TM", "10.15.00", "101500"),
        ("TM", "10.15", None),
        ("TM", "10:75:00", None),
        ("TM", "101500.1234567", "101500.123456"),
        ("TM", "235960", "235960"),
        ("TM", "251500", None),
        ("TM", "106000", None),
        ("TM", "noon", None),
        ("DT", "20240102101500.25+0100", "20240102101500.25+0100"),
        ("DT", "2024.01.02 10:15:00", "20240102101500"),
        ("DT", "2024-01-02T10:15:00.5+01:00", "20240102101500.5+0100"),
        ("DT", "2024-01-02T10:15:00Z", "20240102101500+0000"),
        ("DT", "2024-1-2 9:15:30", "20240102091530"),
        ("DT", "202401", "202401"),
        ("DT", "20241301", None),
        ("DT", "20240102256000", None),
        ("AS", "074Y", "074Y"),
        ("AS", "74y", "074Y"),
        ("AS", "74", None),
        ("CS", "heart", "HEART"),
        ("CS", "A-B", None),
        ("CS", "A" * 17, None),
        ("UI", "1.2.3 ", "1.2.3"),
        ("UI", "1.2.03", None),
        ("UI", "1..2", None),
        ("IS", "3", "3"),
        ("IS", "3.0", "3"),
        ("IS", "3.5", None),
        ("IS", "9999999999", None),
        ("DS", "0,25", "0.25"),
        ("DS", "0.12345678901234567", "0.123456789"),
        ("DS", "1,234.5", None),
        ("LO", "a" * 65, "a" * 64),
        ("LO", "two\nlines", "two lines"),
        ("SH", "a" * 17, "a" * 16),
        ("ST", "two\r\nlines", "two\r\nlines"),
        ("PN", "A^B^C^D^E^F", "A^B^C^D^E F"),
        ("PN", "A" * 70, "A" * 64),
        ("PN", "A=B=C=D", "A=B=C"),
    ],
)
def test_a_value_is_mended_only_where_it_means_one_thing(vr: str, text: str, legal: str | None) -> None:
    assert legal_text("", vr, text) == legal


@pytest.mark.parametrize(
    ("keyword", "text", "legal"),
    [
        ("PatientSex", "m", "M"),
        ("PatientSex", "Female", "F"),
        ("PatientSex", "U", None),
        ("PatientIdentityRemoved", "yes", "YES"),
        ("PatientIdentityRemoved", "MAYBE", None),
        ("TimezoneOffsetFromUTC", "+01:00", "+0100"),
        ("TimezoneOffsetFromUTC", "Z", "+0000"),
        ("TimezoneOffsetFromUTC", "CET", None),
        ("PatientOrientation", "l", "L"),
        ("PatientOrientation", "LEFT", None),
        ("PatientOrientation", "LR", None),
        ("PatientID", "1" * 65, None),  # cut short, it may be that of somebody else
        ("AccessionNumber", "1" * 17, None),
        ("StudyDescription", "a" * 65, "a" * 64),
    ],
)
def test_what_an_element_may_say_is_known(keyword: str, text: str, legal: str | None) -> None:
    assert legal_text(keyword, dictionary_VR(keyword), text) == legal


ILLEGAL = {
    "StudyDate": "2024.01.02",
    "StudyTime": "10:15:00",
    "AcquisitionDate": "2024.01.02",
    "AcquisitionTime": "10:16:23",
    "AcquisitionDateTime": "2024-01-02 10:16:23",
    "PatientBirthDate": "1950.01.02",
    "PatientBirthTime": "8:30",
    "PatientSex": "male",
    "PatientAge": "74Y",
    "PatientIdentityRemoved": "yes",
    "DeidentificationMethod": "by hand " * 20,
    "BodyPartExamined": "heart",
    "StudyDescription": "left heart " * 10,
    "StudyID": "study of the left heart",
    "AccessionNumber": "an accession number that is too long",
    "ReferringPhysicianName": "A^B^C^D^E^F^G",
    "Manufacturer": "maker " * 20,
    "InstitutionName": "first line\nsecond line",
    "TimezoneOffsetFromUTC": "+01:00",
    "PatientOrientation": ["l", "f"],
    "Occupation": "writer of elements that are too long",
}
MENDED = {
    "StudyDate": "20240102",
    "StudyTime": "101500",
    "AcquisitionDate": "20240102",
    "AcquisitionTime": "101623",
    "AcquisitionDateTime": "20240102101623",
    "PatientBirthDate": "19500102",
    "PatientBirthTime": "0830",
    "PatientSex": "M",
    "PatientAge": "074Y",
    "PatientIdentityRemoved": "YES",
    "BodyPartExamined": "HEART",
    "StudyID": "",
    "AccessionNumber": "",
    "TimezoneOffsetFromUTC": "+0100",
}


def unchecked(keyword: str, value: object) -> DataElement:
    """An element, legal or not."""
    return DataElement(Tag(keyword), dictionary_VR(keyword), value, validation_mode=IGNORE)


def illegal_source(folder: Path, elements: Iterable[DataElement]) -> Path:
    """A run whose header holds these elements."""
    path = write_xa(folder / "source", BurnedInAnnotation="NO", LossyImageCompression="00")
    ds = dcmread(path)
    for element in elements:
        ds[element.tag] = element
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds.save_as(path)
    return path


@pytest.fixture
def illegal(tmp_path: Path) -> Path:
    return illegal_source(tmp_path, (unchecked(word, value) for word, value in ILLEGAL.items()))


def cine_in(path: Path) -> Cine:
    (cine,) = find_series([path]).cines
    return cine


@pytest.mark.parametrize("form", FORMS)
def test_no_form_has_an_illegal_value_of_the_source(illegal: Path, tmp_path: Path, form: str) -> None:
    path = FORMS[form](cine_in(illegal), tmp_path / "out")

    assert of_our_making(dciodvfy(path)) == []
    ds = dcmread(path)
    for keyword, value in MENDED.items():
        if form != "segmentation" or not keyword.startswith("Acquisition"):
            assert str(ds[keyword].value or "") == value, keyword


def test_the_quality_record_has_none_either(illegal: Path, tmp_path: Path) -> None:
    cine = cine_in(illegal)
    angiogram = Reference("1.2.840.10008.5.1.4.1.1.7.2", "1.2.3", "1.2.4", cine.frames)
    qualities = [FrameQuality(k + 1, 0.1, 0.1, 0.0, opacified=False) for k in range(cine.frames)]

    dcmwrite(
        tmp_path / "out", QualityRecord(derivation_of(cine), qualities, [angiogram]), enforce_file_format=True
    )

    assert of_our_making(dciodvfy(tmp_path / "out")) == []
    assert dcmread(tmp_path / "out").StudyDate == "20240102"


def test_every_change_is_said_without_what_the_value_was(illegal: Path) -> None:
    notes = "\n".join(notes_about(cine_in(illegal)))

    for keyword in ILLEGAL:
        assert f"{keyword} (" in notes
    assert "StudyDate (0008,0020) is no legal DA ('9999.99.99'): mended in the output" in notes
    assert "AccessionNumber (0008,0050) is no legal SH ('36 characters'): left empty in the output" in notes
    for value in ("2024.01.02", "1950", "male", "left heart", "accession number that"):
        assert value not in notes


def test_a_mended_patient_and_study_are_those_of_the_source(illegal: Path) -> None:
    cine = cine_in(illegal)

    assert compare(derived(cine), source_headers([illegal])) == []


def test_a_legal_header_is_left_alone(tmp_path: Path) -> None:
    assert notes_about(cine_in(write_xa(tmp_path / "run"))) == ()


def test_the_source_keeps_its_values(illegal: Path) -> None:
    cine = cine_in(illegal)
    derived(cine)

    assert cine.header.StudyDate == "2024.01.02"


def test_several_values_where_one_is_allowed_become_one(tmp_path: Path) -> None:
    path = illegal_source(
        tmp_path,
        [
            unchecked("StudyDescription", ["left", "right"]),
            unchecked("StudyDate", ["2024.01.02", "20240103"]),
        ],
    )

    ds = derived(cine_in(path))

    assert (ds.StudyDescription, str(ds.StudyDate)) == ("left/right", "20240102")


def test_an_element_of_another_representation_gets_its_own(tmp_path: Path) -> None:
    element = DataElement(Tag("StudyDate"), "LO", "2024.01.02")

    ds = derived(cine_in(illegal_source(tmp_path, [element])))

    assert (ds["StudyDate"].VR, str(ds.StudyDate)) == ("DA", "20240102")


def test_an_item_without_a_legal_uid_is_left_out(tmp_path: Path) -> None:
    good, bad = Dataset(), Dataset()
    for item, study in ((good, "1.2.3"), (bad, "1.2.03.x")):
        item["ReferencedSOPClassUID"] = unchecked("ReferencedSOPClassUID", "1.2.840.10008.3.1.2.3.1")
        item["ReferencedSOPInstanceUID"] = unchecked("ReferencedSOPInstanceUID", study)
    elements = [DataElement(Tag("ReferencedStudySequence"), "SQ", [good, bad])]

    ds = derived(cine_in(illegal_source(tmp_path, elements)))

    assert [item.ReferencedSOPInstanceUID for item in ds.ReferencedStudySequence] == ["1.2.3"]


@pytest.mark.parametrize(("term", "written"), [("ISO-IR 100", "ISO_IR 100"), ("iso_ir 100", "ISO_IR 100")])
def test_a_character_set_with_another_spelling_is_spelt_right(
    tmp_path: Path, term: str, written: str
) -> None:
    elements = [unchecked("SpecificCharacterSet", term)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cine = cine_in(illegal_source(tmp_path, elements))

        buffer = io.BytesIO()
        dcmwrite(buffer, derived(cine), enforce_file_format=True)

    buffer.seek(0)
    assert dcmread(buffer).SpecificCharacterSet == written


def test_an_identifier_of_several_values_is_nobodys(tmp_path: Path) -> None:
    assert not derived(cine_in(illegal_source(tmp_path, [unchecked("PatientID", ["1", "2"])]))).PatientID


def test_a_number_that_means_nothing_is_left_out(tmp_path: Path) -> None:
    cine = cine_in(illegal_source(tmp_path, [unchecked("PregnancyStatus", 9)]))

    assert "PregnancyStatus" not in derived(cine)
    assert "PregnancyStatus (0010,21C0) is no legal US" in notes_about(cine)[-1]


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_uids_that_name_objects_are_kept_and_that_is_said(tmp_path: Path) -> None:
    cine = cine_in(illegal_source(tmp_path, [unchecked("StudyInstanceUID", "1.2.03.4")]))

    assert derived(cine).StudyInstanceUID == "1.2.03.4"
    note = "StudyInstanceUID (0020,000D) is no legal UI ('9.9.99.9'): kept in the output"
    assert notes_about(cine)[-1] == note


def test_an_instance_number_out_of_range_is_not_copied(tmp_path: Path) -> None:
    assert (
        derived(cine_in(illegal_source(tmp_path, [unchecked("InstanceNumber", 2**31)]))).InstanceNumber == 1
    )


def test_an_enhanced_source_is_made_legal_too(tmp_path: Path) -> None:
    path = write_enhanced(tmp_path / "run")
    ds = dcmread(path)
    for keyword in ("StudyDate", "StudyTime", "PatientBirthDate"):
        ds[keyword] = unchecked(keyword, ILLEGAL[keyword])
    ds.save_as(path)

    out = FORMS["cine"](cine_in(path), tmp_path / "out")

    assert of_our_making(dciodvfy(out)) == []
    assert dcmread(out).StudyDate == "20240102"
