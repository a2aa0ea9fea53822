"""How a derived object begins: empty, but for what file and object it is and whose module it belongs to.

highdicom's `SOPClass` begins with the same, but asks whether objects of a class have a Content Date, as all
that are written here do, and reads every attribute of the standard for it: half a second, and 70 MiB that
stay.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID

_EMPTY = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate",
    "StudyTime", "ReferringPhysicianName",
)  # fmt: skip
"""Type 2 of the Patient and General Study modules: there, and empty until a source fills them."""


class NewObject(Dataset):
    """An object without content and without time stamps; a base class.

    Parameters
    ----------
    sop_class
        SOP Class UID (0008,0016).
    syntax
        Transfer Syntax UID (0002,0010) that it will be written in.
    values
        What else it begins with, by keyword; SOP Instance UID (0008,0018) among it.
    """

    def __init__(self, sop_class: UID, syntax: UID, values: Mapping[str, object]) -> None:
        super().__init__()
        self.preamble = bytes(128)
        self.file_meta = FileMetaDataset()
        self.file_meta.FileMetaInformationVersion = b"\0\1"
        self.file_meta.MediaStorageSOPClassUID = sop_class
        self.file_meta.MediaStorageSOPInstanceUID = UID(str(values["SOPInstanceUID"]))
        self.file_meta.TransferSyntaxUID = syntax
        self.SOPClassUID = sop_class
        for keyword in _EMPTY:
            setattr(self, keyword, None)
        for keyword, value in values.items():
            setattr(self, keyword, value)
