"""What a roadmap says of every frame: functional groups of a multi-frame Secondary Capture (PS3.3 A.8.3.4).

Each frame names the frame of the run that it was made of and, unless it was refused, the frame of the earlier
run whose vessels were laid over it, with how far they were moved. That of the run is a source image for image
processing, that of the earlier run the mask of it (PS3.16 CID 7202): what is laid over, not what is shown.
"""

from __future__ import annotations

from highdicom.sr import CodedConcept
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from casgan_dicom.derived.marks import Derivation
from casgan_dicom.derived.provenance import ascii_only
from casgan_dicom.derived.references import reference
from casgan_dicom.source.cine import Cine

SOURCE = codes.DCM.SourceImageForImageProcessingOperation
"""Purpose of reference of the run itself."""
LAID_OVER = codes.DCM.MaskImageForImageProcessingOperation
"""Purpose of reference of the run whose vessels were laid over it."""
DERIVATION = (codes.DCM.ArtificialIntelligence, codes.DCM.PixelByPixelMultiplication)
"""How a roadmap is derived: networks read the vessels, and they darken the frame: y = x exp(-T)."""


def source_item(cine: Cine, uid: str, numbers: tuple[int, ...], purpose: Code) -> Dataset:
    """An item of Source Image Sequence (0008,2112): an instance, some of its frames, and what for.

    Spatial Locations Preserved (0028,135A) is YES for the run itself, NO for vessels that were moved.
    """
    item = reference(cine.header.SOPClassUID, uid, numbers)
    item.SpatialLocationsPreserved = "YES" if purpose == SOURCE else "NO"
    item.PurposeOfReferenceCodeSequence = [CodedConcept.from_code(purpose)]
    return item


def source_items(derivation: Derivation, index: int) -> list[Dataset]:
    """What one frame of the output was made of, by its place from 0; if refused, of one run only."""
    items = [
        source_item(derivation.cine, instance.sop_instance_uid, numbers, SOURCE)
        for instance, numbers in derivation.sources((derivation.chosen[index],))
    ]
    for instance, numbers in derivation.reference_sources(index):
        assert derivation.reference is not None
        items.append(source_item(derivation.reference, instance.sop_instance_uid, numbers, LAID_OVER))
    return items


def frame_groups(derivation: Derivation) -> list[Dataset]:
    """Items of Per-Frame Functional Groups Sequence (5200,9230), one a frame; none without a roadmap."""
    roadmap = derivation.provenance.roadmap
    groups = []
    for index, frame in enumerate(() if roadmap is None else roadmap.frames):
        assert roadmap is not None
        made, group = Dataset(), Dataset()
        made.DerivationDescription = ascii_only(frame.clause(roadmap.when))[:1024]
        made.DerivationCodeSequence = [CodedConcept.from_code(code) for code in DERIVATION]
        made.SourceImageSequence = source_items(derivation, index)
        group.DerivationImageSequence = [made]
        groups.append(group)
    return groups
