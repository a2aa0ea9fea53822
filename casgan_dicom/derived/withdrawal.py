"""A note to an archive that objects of ours are withdrawn: IHE Radiology, Imaging Object Change Management.

It is a Key Object Selection Document (PS3.3 A.35.4) whose title says why, and which names the objects. An
archive that knows the profile hides them (IHE RAD TF-2, 4.66); one that does not keeps a document more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from highdicom.ko import KeyObjectSelection, KeyObjectSelectionDocument
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import UID

from casgan_dicom import __version__
from casgan_dicom.derived.marks import MANUFACTURER
from casgan_dicom.derived.observers import program_observer
from casgan_dicom.uids import IMPLEMENTATION_CLASS_UID, derived_uid

TITLES: Mapping[str, Code] = MappingProxyType(
    {
        "113001": codes.DCM.RejectedForQualityReasons,
        "113038": codes.DCM.IncorrectModalityWorklistEntry,
    }
)
"""Document titles of CID 7011 that withdraw objects and can be ours, by their code values."""
_DESCRIPTION = "Synthetic images that a later revision supersedes"
_CARRIED_OVER = (
    "StudyInstanceUID", "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber",
    "StudyID", "StudyDate", "StudyTime", "ReferringPhysicianName",
)  # fmt: skip
"""Of patient and study, by keyword."""


@dataclass(frozen=True)
class Withdrawn:
    """An image of ours that is withdrawn."""

    sop_class_uid: str
    """SOP Class UID (0008,0016)."""
    sop_uid: str
    """SOP Instance UID (0008,0018)."""
    series_uid: str
    """Series Instance UID (0020,000E)."""


def withdrawal_uid(images: Sequence[Withdrawn], title: str) -> UID:
    """The SOP Instance UID (0008,0018) of the note that withdraws exactly these images."""
    return derived_uid("withdrawal", title, *sorted(image.sop_uid for image in images))


def withdrawal(instead: Dataset, images: Sequence[Withdrawn], title: str) -> Dataset:
    """The note that withdraws images.

    Parameters
    ----------
    instead
        Header of an object of the same study that supersedes them.
    images
        What is withdrawn, at least one.
    title
        Why: one of `TITLES`.
    """
    evidence = [_named(instead, image) for image in images]
    content = KeyObjectSelection(
        TITLES[title],
        evidence,
        observer_device_context=program_observer(),
        description=_DESCRIPTION,
    )
    note = KeyObjectSelectionDocument(
        evidence,
        content,
        series_instance_uid=derived_uid("withdrawals", str(instead.SeriesInstanceUID), title),
        series_number=1,
        sop_instance_uid=withdrawal_uid(images, title),
        instance_number=1,
        manufacturer=MANUFACTURER,
        series_description="Withdrawn synthetic images",
    )
    note.file_meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    note.file_meta.ImplementationVersionName = f"CASGAN_{__version__}"[:16]
    return note


def _named(instead: Dataset, image: Withdrawn) -> Dataset:
    """What a document has to know of an image, whose file may be gone."""
    ds = Dataset()
    for keyword in _CARRIED_OVER:
        setattr(ds, keyword, instead.get(keyword, ""))
    if "SpecificCharacterSet" in instead:
        ds.SpecificCharacterSet = instead.SpecificCharacterSet
    ds.SOPClassUID, ds.SOPInstanceUID = image.sop_class_uid, image.sop_uid
    ds.SeriesInstanceUID = image.series_uid
    ds.Rows = ds.Columns = 1  # says that it is an image
    return ds
