"""Which object was made of which: of the source, and of the synthetic cine.

A segmentation and a quality record rest on both; a picture on the source alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset

from casgan_dicom.derived.marks import Derivation


@dataclass(frozen=True)
class Reference:
    """A derived object that another one was made of."""

    sop_class_uid: str
    """SOP Class UID (0008,0016)."""
    sop_instance_uid: str
    """SOP Instance UID (0008,0018)."""
    series_uid: str
    """Series Instance UID (0020,000E)."""
    frames: int = 1
    """Number of its frames."""


def reference(sop_class: str, sop_instance: str, frames: tuple[int, ...] = ()) -> Dataset:
    """An item that refers to an instance, PS3.3 10.8; to some of its `frames`, from 1, if there are any."""
    item = Dataset()
    item.ReferencedSOPClassUID = sop_class
    item.ReferencedSOPInstanceUID = sop_instance
    if frames:
        item.ReferencedFrameNumber = list(frames)
    return item


def frame_references(cine: Sequence[Reference]) -> list[tuple[Reference, tuple[int, ...]]]:
    """The object that holds each frame of a synthetic cine, in order.

    With the frame number from 1, as in Referenced Frame Number (0008,1160); with none where it is the only
    frame of its object.
    """
    return [(one, (k + 1,) if one.frames > 1 else ()) for one in cine for k in range(one.frames)]


def instances_by_series(
    derivation: Derivation, cine: Sequence[Reference]
) -> dict[str, list[tuple[str, str]]]:
    """SOP Class and Instance UIDs of source, run laid over it and synthetic cine, by series.

    The keys are Series Instance UIDs (0020,000E).
    """
    sop_class = str(derivation.cine.header.SOPClassUID)
    found = {
        derivation.cine.series_uid: [(sop_class, one.sop_instance_uid) for one, _ in derivation.sources()]
    }
    if derivation.reference is not None:
        laid_over = str(derivation.reference.header.SOPClassUID)
        listed = found.setdefault(derivation.reference.series_uid, [])
        listed += [(laid_over, one.sop_instance_uid) for one, _ in derivation.reference_sources()]
    for one in cine:
        found.setdefault(one.series_uid, []).append((one.sop_class_uid, one.sop_instance_uid))
    return found
