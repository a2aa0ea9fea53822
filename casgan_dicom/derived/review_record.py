"""What a person thinks of a derived series, as an object of its study (idea: IHE AIRAI).

Either a structured report (PS3.3 A.35.3, TID 1500) or a key object selection (PS3.3 A.35.4, TID 2010).
Patient and study are those of the objects that it is about, which it names one by one; so are the equipment
that made them and the statement that they are synthetic. ``review_content.py`` has the content of both.

The text of a reviewer is written in the character set of the study as far as that has its characters; others
become ASCII.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain
from typing import Literal

from pydicom.charset import convert_encodings
from pydicom.dataset import Dataset
from pydicom.uid import ComprehensiveSRStorage, ExplicitVRLittleEndian, KeyObjectSelectionDocumentStorage

from casgan_dicom import __version__
from casgan_dicom.derived.marks import (
    ANGIOGRAM,
    REVIEW_REPORT,
    REVIEW_SELECTION,
    Kind,
    copy_filled,
    in_zone_of,
    stamp,
)
from casgan_dicom.derived.module_elements import MODULE_ELEMENTS
from casgan_dicom.derived.new_object import NewObject
from casgan_dicom.derived.own_scheme import scheme_identification
from casgan_dicom.derived.provenance import ascii_only
from casgan_dicom.derived.references import Reference
from casgan_dicom.derived.review_content import (
    Judgement,
    evidence,
    report_content,
    selection_content,
    sentence,
)
from casgan_dicom.errors import SeriesError
from casgan_dicom.source.elements import written_integer
from casgan_dicom.uids import IMPLEMENTATION_CLASS_UID, derived_uid

RecordKind = Literal["sr", "ko"]
_EQUIPMENT = (
    "Manufacturer", "ManufacturerModelName", "DeviceSerialNumber", "SoftwareVersions",
    "ContributingEquipmentSequence", "ContentQualification", "SyntheticData",
)  # fmt: skip
"""What a record says as the objects say it that it is about, by keyword."""


@dataclass(frozen=True)
class Reviewed:
    """What a verdict is about."""

    job: str
    """What made the objects."""
    header: Dataset
    """Header of one of them, an image."""
    objects: tuple[Reference, ...]
    """All of them, at least one."""
    record_before: tuple[str, str] = ("", "")
    """SOP Class and Instance UID of the object of the verdict before; empty where there is none."""


class ReviewRecord(NewObject):
    """The object of a verdict.

    Parameters
    ----------
    said
        The verdict.
    about
        What it is about.
    kind
        ``sr``: a structured report; ``ko``: a key object selection.

    Raises
    ------
    SeriesError
        The header does not call itself synthetic, or names no study.
    """

    def __init__(self, said: Judgement, about: Reviewed, kind: RecordKind) -> None:
        header = about.header
        if header.get("SyntheticData") != "YES" or not header.get("StudyInstanceUID"):
            raise SeriesError(
                f"job {about.job}: an object of it does not say that it is synthetic, or of which study",
                hint="convert the series again",
            )
        said = replace(said, text=_fitting(said.text, header), reviewer=_fitting(said.reviewer, header))
        own = REVIEW_REPORT if kind == "sr" else REVIEW_SELECTION
        sop_class = ComprehensiveSRStorage if kind == "sr" else KeyObjectSelectionDocumentStorage
        super().__init__(sop_class, ExplicitVRLittleEndian, _identity(said, about, own))
        self._carry_over(header)
        self.CodingSchemeIdentificationSequence = scheme_identification()
        self.ReferencedPerformedProcedureStepSequence: list[Dataset] = []
        self.CurrentRequestedProcedureEvidenceSequence = evidence(self.StudyInstanceUID, about.objects)
        stamp(self, in_zone_of(header, said.at))
        self.file_meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
        self.file_meta.ImplementationVersionName = f"CASGAN_{__version__}"[:16]
        if kind == "sr":
            self._add_document(about)
            content = report_content(said, about.objects, self.SOPInstanceUID)
        else:
            content = selection_content(said, about.objects)
        for element in content:
            self.add(element)

    def _carry_over(self, header: Dataset) -> None:
        """Patient and study, and what made the objects."""
        for keyword in ("SpecificCharacterSet", "TimezoneOffsetFromUTC", *_EQUIPMENT):
            copy_filled(self, header, keyword)
        for keyword in chain.from_iterable(MODULE_ELEMENTS.values()):
            if keyword in header:
                self.add(header[keyword])

    def _add_document(self, about: Reviewed) -> None:
        """SR Document General, PS3.3 C.17.2: a verdict is complete, and nobody has signed it."""
        self.CompletionFlag = "COMPLETE"
        self.VerificationFlag = "UNVERIFIED"
        self.PreliminaryFlag = "FINAL"
        self.PerformedProcedureCodeSequence: list[Dataset] = []
        sop_class, sop_uid = about.record_before
        if sop_class == self.SOPClassUID:  # of a series of its own, where it is no report
            before = Reference(sop_class, sop_uid, self.SeriesInstanceUID)
            self.PredecessorDocumentsSequence = evidence(self.StudyInstanceUID, [before])


def _identity(said: Judgement, about: Reviewed, own: Kind) -> dict[str, object]:
    """What says which object this is; the UID follows from all that is said in it."""
    header = about.header
    number = written_integer(header.get("SeriesNumber")) - ANGIOGRAM.series_number_base
    words = sentence(said), said.reviewer, said.at.isoformat(), str(header.get("SpecificCharacterSet"))
    objects = sorted(one.sop_instance_uid for one in about.objects)
    return {
        "StudyInstanceUID": str(header.StudyInstanceUID),
        "SeriesInstanceUID": derived_uid("reviews", str(header.SeriesInstanceUID), own.of),
        "SeriesNumber": min(own.series_number_base + max(0, number), 2**31 - 1),
        "SOPInstanceUID": derived_uid("review", own.of, about.job, said.number, *words, *objects),
        "InstanceNumber": said.number,
        "Modality": own.modality,
        "SeriesDescription": f"AI SYNTHETIC {own.title} - not for diagnosis",
    }


def _fitting(text: str, header: Dataset) -> str:
    """A text in characters that the character set of a header has; in ASCII, if it lacks one of them."""
    said = header.get("SpecificCharacterSet")
    if text.isascii() or not said or not isinstance(said, str):
        return ascii_only(text) if not text.isascii() else text
    try:
        text.encode(convert_encodings(said)[0])
    except UnicodeEncodeError:
        return ascii_only(text)
    return text
