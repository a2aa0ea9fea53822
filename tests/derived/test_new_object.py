"""The oracle is highdicom, which begins its objects with the same but reads the whole standard for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from highdicom._standard_utils import get_module_attribute_map
from highdicom.base import SOPClass
from highdicom.base_content import ContributingEquipment
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    ComprehensiveSRStorage,
    EnhancedXAImageStorage,
    EnhancedXRFImageStorage,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
    XRayAngiographicImageStorage,
    XRayRadiofluoroscopicImageStorage,
)

from casgan_dicom.derived.marks import scanner_of
from casgan_dicom.derived.new_object import NewObject
from tests.support.derived import cine_of, written

WRITTEN = (
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
    ComprehensiveSRStorage,
)
CONVERTED = (
    XRayAngiographicImageStorage,
    XRayRadiofluoroscopicImageStorage,
    EnhancedXAImageStorage,
    EnhancedXRFImageStorage,
    SecondaryCaptureImageStorage,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
)
STAMPS = ("InstanceCreationDate", "InstanceCreationTime", "ContentDate", "ContentTime")
OF_THE_WRITER = ("ImplementationClassUID", "ImplementationVersionName", "FileMetaInformationGroupLength")


@pytest.mark.parametrize("sop_class", WRITTEN)
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, JPEG2000Lossless])
def test_an_object_begins_as_one_of_highdicom_does(sop_class: UID, syntax: UID) -> None:
    ours = NewObject(
        sop_class,
        syntax,
        {
            "StudyInstanceUID": "1.2.3",
            "SeriesInstanceUID": "1.2.4",
            "SeriesNumber": 9001,
            "SOPInstanceUID": "1.2.5",
            "InstanceNumber": 7,
            "Modality": "OT",
            "Manufacturer": "made here",
            "ManufacturerModelName": "a model",
            "DeviceSerialNumber": "abc",
            "ContentQualification": "RESEARCH",
            "SeriesDescription": "AI SYNTHETIC",
        },
    )

    theirs = SOPClass(
        study_instance_uid="1.2.3",
        series_instance_uid="1.2.4",
        series_number=9001,
        sop_instance_uid="1.2.5",
        sop_class_uid=sop_class,
        instance_number=7,
        modality="OT",
        manufacturer="made here",
        transfer_syntax_uid=syntax,
        manufacturer_model_name="a model",
        device_serial_number="abc",
        content_qualification="RESEARCH",
        series_description="AI SYNTHETIC",
    )
    for keyword in STAMPS:  # marks.py puts them on every object, these two pairs alike
        assert keyword in theirs
        del theirs[keyword]
    for keyword in OF_THE_WRITER:
        del theirs.file_meta[keyword]
    assert ours == Dataset(theirs)
    assert ours.file_meta == theirs.file_meta
    assert ours.preamble == theirs.preamble


@pytest.mark.parametrize("sop_class", CONVERTED)
@pytest.mark.parametrize(
    "values",
    [
        {},
        {"Manufacturer": ""},
        {"Manufacturer": "A works"},
        {"Manufacturer": "A works", "AcquisitionDateTime": "20260301101500", "SoftwareVersions": ["1", "2"]},
        {
            "Manufacturer": "A works",
            "ManufacturerModelName": "a model",
            "DeviceSerialNumber": "17",
            "InstitutionName": "a house",
            "InstitutionalDepartmentName": "a room",
            "InstitutionAddress": "a street",
            "StationName": "one",
        },
    ],
)
def test_the_scanner_is_named_as_highdicom_names_it(sop_class: UID, values: dict[str, object]) -> None:
    source = Dataset()
    source.SOPClassUID = sop_class
    for keyword, value in values.items():
        setattr(source, keyword, value)
    try:
        theirs = [ContributingEquipment.for_image_acquisition(source)]
    except AttributeError:  # no manufacturer
        theirs = []
    assert scanner_of(source) == theirs


def test_nothing_reads_every_attribute_of_the_standard(tmp_path: Path) -> None:
    """That takes half a second and 70 MiB."""
    cine = cine_of(tmp_path)
    get_module_attribute_map.cache_clear()

    written(cine, tmp_path / "derived.dcm")

    assert get_module_attribute_map.cache_info().currsize == 0
