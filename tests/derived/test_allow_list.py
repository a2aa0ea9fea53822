"""What a derived object may hold, attribute by attribute, whatever a legal source holds.

The list below is the whole of it, written by hand, to be read by people: whoever wants an attribute of the
source in the output adds it here, and says in the review why it is true of a picture that was invented.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.valuerep import PersonName

from casgan_dicom.source.series import find_series
from casgan_dicom.verification.header_rules import FORBIDDEN
from casgan_dicom.verification.verify import verify_file
from tests.support import headers
from tests.support.derived import written
from tests.support.headers import CANARY
from tests.support.programs import find_program

PATIENT = {
    "PatientName", "PatientID", "IssuerOfPatientID", "TypeOfPatientID", "IssuerOfPatientIDQualifiersSequence",
    "PatientBirthDate", "PatientBirthTime", "PatientSex", "QualityControlSubject", "OtherPatientNames",
    "OtherPatientIDsSequence", "EthnicGroupCodeSequence", "PatientComments", "ReferencedPatientSequence",
    "PatientAge", "PatientSize", "PatientWeight", "MedicalAlerts", "Allergies", "Occupation", "SmokingStatus",
    "AdditionalPatientHistory", "PregnancyStatus", "LastMenstrualDate", "AdmissionID", "PatientState",
    "IssuerOfAdmissionIDSequence", "AdmittingDiagnosesDescription", "AdmittingDiagnosesCodeSequence",
}  # fmt: skip
STUDY = {
    "StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "AccessionNumber", "StudyDescription",
    "ReferringPhysicianName", "ReferringPhysicianIdentificationSequence", "ConsultingPhysicianName",
    "ProcedureCodeSequence", "PhysiciansOfRecord", "NameOfPhysiciansReadingStudy", "ReferencedStudySequence",
    "RequestingService", "IssuerOfAccessionNumberSequence", "ReasonForPerformedProcedureCodeSequence",
}  # fmt: skip
TRIAL = {
    "PatientIdentityRemoved", "DeidentificationMethod", "ClinicalTrialSponsorName", "ClinicalTrialProtocolID",
    "ClinicalTrialProtocolName", "ClinicalTrialSiteID", "ClinicalTrialSiteName", "ClinicalTrialSubjectID",
    "ClinicalTrialTimePointID", "ClinicalTrialTimePointDescription",
}  # fmt: skip
TRUE_OF_THE_FRAMES = {
    "SpecificCharacterSet", "TimezoneOffsetFromUTC", "AcquisitionDate", "AcquisitionTime",
    "AcquisitionDateTime", "AnatomicRegionSequence", "BodyPartExamined", "Laterality", "PatientOrientation",
    "PixelAspectRatio", "PixelSpacing", "PixelSpacingCalibrationType", "PixelSpacingCalibrationDescription",
    "FrameTime", "FrameTimeVector", "FrameIncrementPointer", "CineRate", "RecommendedDisplayFrameRate",
    "LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod",
    "BurnedInAnnotation", "RecognizableVisualFeatures",
}  # fmt: skip
"""Taken from the source, or computed from it: still true of frames that show the same moment and body."""
OURS = {
    "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "SeriesNumber", "InstanceNumber", "Modality",
    "SeriesDescription", "Manufacturer", "ManufacturerModelName", "DeviceSerialNumber", "SoftwareVersions",
    "ContentQualification", "SyntheticData", "ImageType", "ConversionType", "DerivationDescription",
    "DerivationCodeSequence", "ImageComments", "SourceImageSequence", "ReferencedSeriesSequence",
    "ContributingEquipmentSequence", "ContentDate", "ContentTime", "InstanceCreationDate",
    "InstanceCreationTime", "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames", "Rows",
    "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "RescaleIntercept",
    "RescaleSlope", "RescaleType", "PresentationLUTShape", "WindowCenter", "WindowWidth", "PixelData",
}  # fmt: skip
"""Made here."""

CODE = {"CodeValue", "CodingSchemeDesignator", "CodeMeaning"}
OUR_CODE = CODE | {"CodingSchemeVersion"}
INSTANCE = {"ReferencedSOPClassUID", "ReferencedSOPInstanceUID"}
IN_SEQUENCE = {
    "IssuerOfPatientIDQualifiersSequence": {"UniversalEntityID", "UniversalEntityIDType"},
    "OtherPatientIDsSequence": {"PatientID", "IssuerOfPatientID", "TypeOfPatientID"},
    "ReferencedPatientSequence": INSTANCE,
    "ReferencedStudySequence": INSTANCE,
    "IssuerOfAdmissionIDSequence": {"LocalNamespaceEntityID"},
    "IssuerOfAccessionNumberSequence": {"LocalNamespaceEntityID"},
    "ReferringPhysicianIdentificationSequence": {
        "PersonIdentificationCodeSequence", "PersonAddress", "PersonTelephoneNumbers", "InstitutionName",
    },
    "SourceImageSequence": INSTANCE | {"SpatialLocationsPreserved", "PurposeOfReferenceCodeSequence"},
    "ReferencedSeriesSequence": {"SeriesInstanceUID", "ReferencedInstanceSequence"},
    "ReferencedInstanceSequence": INSTANCE,
    "ContributingEquipmentSequence": {
        "PurposeOfReferenceCodeSequence", "Manufacturer", "ManufacturerModelName", "SoftwareVersions",
        "DeviceSerialNumber", "DeviceUID", "InstitutionName", "InstitutionAddress", "StationName",
        "InstitutionalDepartmentName", "ContributionDateTime", "ContributionDescription",
    },
    "DerivationCodeSequence": OUR_CODE,
    "PurposeOfReferenceCodeSequence": OUR_CODE,
}  # fmt: skip
"""What stands in items; those of every other sequence are codes."""

ALLOWED = PATIENT | STUDY | TRIAL | TRUE_OF_THE_FRAMES | OURS

pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")
EXAMPLES = settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
SAMPLE = settings(
    max_examples=6, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck)
)


def derive_from(source: Dataset, folder: str) -> tuple[Dataset, Path]:
    """The derived object of a header, read back from its file."""
    source.save_as(Path(folder) / "source", enforce_file_format=True)
    (cine,) = find_series([Path(folder) / "source"]).cines
    made = Path(folder) / "made"
    return written(cine, made), made


def not_allowed(ds: Dataset, allowed: set[str], where: str = "") -> Iterator[str]:
    """Every attribute, at every depth, that the list does not name."""
    for element in ds:
        keyword = keyword_for_tag(element.tag)
        if keyword not in allowed:
            yield f"{where}{keyword or 'private'} {element.tag}"
        elif element.VR == "SQ":
            for item in element.value:
                yield from not_allowed(item, IN_SEQUENCE.get(keyword, CODE), f"{where}{keyword} > ")


@EXAMPLES
@given(headers.headers())
def test_whatever_a_legal_source_holds_the_derived_object_holds_what_is_allowed(source: Dataset) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ds, made = derive_from(source, folder)

        assert list(not_allowed(ds, ALLOWED)) == []
        assert CANARY.encode() not in made.read_bytes()
        assert verify_file(made) == []


@EXAMPLES
@given(headers.headers())
def test_whatever_a_legal_source_holds_patient_study_and_scanner_keep_their_names(
    source: Dataset,
) -> None:
    """In-memory text of the source, never encoded, beside what is read from the derived file."""
    with tempfile.TemporaryDirectory() as folder:
        ds, _ = derive_from(source, folder)

        assert str(ds.PatientName) == str(source.PatientName)
        assert ds.get("IssuerOfPatientID") == source.get("IssuerOfPatientID")
        for keyword in sorted(PATIENT | STUDY | TRIAL):
            if keyword in source and source[keyword].VR != "SQ":
                assert plain(ds[keyword].value) == plain(source[keyword].value), keyword
            elif keyword in source:
                assert len(ds[keyword].value) == len(source[keyword].value), keyword
        equipment = ds.ContributingEquipmentSequence
        purposes = [str(item.PurposeOfReferenceCodeSequence[0].CodeValue) for item in equipment]
        assert purposes == ["109101", "109100", "109102"]
        for keyword in ("Manufacturer", "StationName", "DeviceSerialNumber", "InstitutionName"):
            assert equipment[0].get(keyword) == source.get(keyword), keyword


@SAMPLE
@given(headers.headers())
def test_dciodvfy_sees_no_error_in_a_legal_source_and_none_in_what_is_derived(source: Dataset) -> None:
    with tempfile.TemporaryDirectory() as folder:
        _, made = derive_from(source, folder)

        assert errors_of(Path(folder) / "source") == []  # legal indeed
        assert errors_of(made) == []


def test_the_headers_hold_every_group_of_what_has_to_stay_behind() -> None:
    """Else the tests above would pass for want of temptation."""
    always = {"KVP", "XRayTubeCurrent", "ExposureTime", "RadiationSetting", "PixelIntensityRelationship"}
    angles = {"PositionerPrimaryAngle", "PositionerSecondaryAngle"}

    assert set(FORBIDDEN) - offered(*headers.MODULES) <= always | angles


@pytest.mark.parametrize("module", [headers.ACQUISITION, headers.POSITIONER, headers.CONTRAST])
def test_the_list_allows_nothing_of_dose_geometry_or_contrast(module: tuple[str, ...]) -> None:
    assert offered(module) & ALLOWED <= {"AcquisitionDateTime"}


def test_the_list_allows_nothing_that_the_rules_forbid() -> None:
    assert set(FORBIDDEN) & ALLOWED == set()


def errors_of(path: Path) -> list[str]:
    """Errors that dciodvfy finds; it quotes values in their own character set."""
    command = [find_program("dciodvfy", "dicom3tools"), "-new", str(path)]
    said = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    return [line for line in (said.stderr + said.stdout).splitlines() if line.startswith("Error")]


def offered(*modules: tuple[str, ...]) -> set[str]:
    """Attributes that the headers may hold of these modules."""
    keywords = {keyword for module in modules for keyword in module}
    return keywords.union(*(headers.MATES.get(keyword, ()) for keyword in keywords))


def plain(value: object) -> object:
    """A value as what it says, not as the type that says it."""
    if isinstance(value, PersonName):
        return str(value)
    if isinstance(value, MultiValue | list | tuple):
        parts = [plain(part) for part in value]
        return parts[0] if len(parts) == 1 else parts
    return value if isinstance(value, str) or value is None else float(str(value))
