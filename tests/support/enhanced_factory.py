"""Made-up Enhanced XA and XRF runs for tests: legal by default, broken or odd on request.

`write_enhanced(path, frames, per_frame=..., shared=..., Keyword=value)` gives a file. A macro is named by its
sequence and given by its elements; None takes one away that is there by default:

    write_enhanced(path, run, per_frame=lambda k: {"FrameVOILUTSequence": window(100 + k, 50)})
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import EnhancedXAImageStorage, ExplicitVRLittleEndian

from tests.support.factories import Frames, moving_frames, uid, write_xa

Macros = Mapping[str, Mapping[str, object] | Sequence[Mapping[str, object]] | None]
"""Elements of each macro, or of each item of it, by the keyword of its sequence."""

STEP_S = 0.08
"""Seconds from frame to frame unless `per_frame` says otherwise."""


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """An item of a code sequence."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def window(center: float, width: float, **more: object) -> dict[str, object]:
    """The elements of a Frame VOI LUT."""
    return {"WindowCenter": center, "WindowWidth": width} | more


def moment(seconds: float) -> str:
    """A DT so many seconds after 10:16:23."""
    total = 10 * 3600 + 16 * 60 + 23 + seconds
    return f"20240102{int(total // 3600):02d}{int(total // 60 % 60):02d}{total % 60:09.6f}"


HEART = code("80891009", "SCT", "Heart")
RECUMBENT = code("102538003", "SCT", "recumbent")
RECUMBENT.PatientOrientationModifierCodeSequence = [code("40199007", "SCT", "supine")]
HEADFIRST = code("102540008", "SCT", "headfirst")

SHARED: Mapping[str, Any] = {
    "FrameVOILUTSequence": window(128, 256),
    "FramePixelDataPropertiesSequence": {
        "FrameType": ["ORIGINAL", "PRIMARY", "SINGLE PLANE", "NONE"],
        "ImagerPixelSpacing": [0.2, 0.2],
        "PixelIntensityRelationship": "LIN",
        "PixelIntensityRelationshipSign": 1,
        "GeometricalProperties": "UNIFORM",
        "ImageProcessingApplied": "NONE",
    },
    "CollimatorShapeSequence": {
        "CollimatorShape": "RECTANGULAR",
        "CollimatorLeftVerticalEdge": 0,
        "CollimatorRightVerticalEdge": 999,
        "CollimatorUpperHorizontalEdge": 0,
        "CollimatorLowerHorizontalEdge": 999,
    },
    "TablePositionSequence": {
        "TableTopVerticalPosition": 100.0,
        "TableTopLongitudinalPosition": 0.0,
        "TableTopLateralPosition": 0.0,
        "TableHorizontalRotationAngle": 0.0,
        "TableHeadTiltAngle": 0.0,
        "TableCradleTiltAngle": 0.0,
    },
    "FrameAnatomySequence": {"AnatomicRegionSequence": [HEART], "FrameLaterality": "U"},
    "PositionerPositionSequence": {"PositionerPrimaryAngle": -30, "PositionerSecondaryAngle": 20},
    "PatientOrientationInFrameSequence": {"PatientOrientation": ["L", "F"]},
    "ProjectionPixelCalibrationSequence": {
        "TableHeight": 100.0,
        "DistanceObjectToTableTop": 100.0,
        "ObjectPixelSpacingInCenterOfBeam": [0.15, 0.15],
        "BeamAngle": 30.0,
    },
    "XRayGeometrySequence": {"DistanceSourceToDetector": 1200, "DistanceSourceToIsocenter": 750},
    "IrradiationEventIdentificationSequence": {"IrradiationEventUID": uid("event")},
}
"""What all frames share unless told otherwise."""

ENHANCED_HEADER: Mapping[str, object] = {
    "SOPClassUID": EnhancedXAImageStorage,
    "ImageType": ["ORIGINAL", "PRIMARY", "SINGLE PLANE", "NONE"],
    "AcquisitionDate": None,
    "AcquisitionTime": None,
    "AcquisitionDateTime": "20240102101623.000000",
    "ContentDate": "20240102",
    "ContentTime": "101623",
    "ManufacturerModelName": "Bench",
    "DeviceSerialNumber": "1",
    "SoftwareVersions": "1",
    "BodyPartExamined": None,
    "PositionerPrimaryAngle": None,
    "PositionerSecondaryAngle": None,
    "PositionerMotion": None,
    "PatientOrientation": None,
    "PixelIntensityRelationship": None,
    "FrameTime": None,
    "FrameIncrementPointer": None,
    "ContentQualification": "RESEARCH",
    "PlanesInAcquisition": "SINGLE PLANE",
    "PlaneIdentification": "MONOPLANE",
    "BurnedInAnnotation": "NO",
    "LossyImageCompression": "00",
    "PresentationLUTShape": "IDENTITY",
    "AcquisitionContextSequence": [],
    "KVP": 70,
    "ExposureInmAs": 160.0,
    "AveragePulseWidth": 5.0,
    "AcquisitionDuration": 0.32,
    "RadiationMode": "PULSED",
    "PositionerType": "CARM",
    "FrameOfReferenceUID": uid("frame of reference"),
    "PositionReferenceIndicator": "",
    "SynchronizationFrameOfReferenceUID": uid("synchronization"),
    "SynchronizationTrigger": "NO TRIGGER",
    "AcquisitionTimeSynchronized": "N",
    "PatientOrientationCodeSequence": [RECUMBENT],
    "PatientGantryRelationshipCodeSequence": [HEADFIRST],
    "CArmPositionerTabletopRelationship": "YES",
    "DistanceReceptorPlaneToDetectorHousing": 10.0,
    "AcquiredImageAreaDoseProduct": 1.0,
}
"""What differs from an XA header unless told otherwise."""


def write_enhanced(
    path: Path,
    frames: Frames | None = None,
    *,
    shared: Macros | None = None,
    per_frame: Callable[[int], Macros] | None = None,
    items: int | None = None,
    syntax: object = ExplicitVRLittleEndian,
    **overrides: object,
) -> Path:
    """Write a run as one Enhanced XA object and return its path.

    `items` says how many per-frame items there are, one for each frame if None. A macro that `per_frame`
    gives is not shared.
    """
    run = moving_frames() if frames is None else frames
    write_xa(path, run, syntax=syntax, **{**ENHANCED_HEADER, **overrides})
    ds = dcmread(path)
    own = [dict(per_frame(k)) if per_frame else {} for k in range(len(run) if items is None else items)]
    not_shared = {keyword for each in own for keyword in each}  # a macro is shared or per frame, never both
    common = {key: value for key, value in SHARED.items() if key not in not_shared} | dict(shared or {})
    ds.SharedFunctionalGroupsSequence = [_groups(common)]
    ds.PerFrameFunctionalGroupsSequence = [_groups(_content(k) | each) for k, each in enumerate(own)]
    ds.save_as(path)
    return path


def _content(k: int) -> dict[str, Any]:
    """Frame Content of frame `k`."""
    content = {
        "FrameAcquisitionDateTime": moment(k * STEP_S),
        "FrameReferenceDateTime": moment(k * STEP_S + 0.0025),
        "FrameAcquisitionDuration": 5.0,
        "FrameLabel": str(k + 1),
    }
    return {"FrameContentSequence": content}


def _groups(macros: Macros) -> Dataset:
    """An item of a functional groups sequence."""
    item = Dataset()
    for keyword, elements in macros.items():
        if elements is not None:
            each = [elements] if isinstance(elements, Mapping) else elements
            setattr(item, keyword, [_item(one) for one in each])
    return item


def _item(elements: Mapping[str, object]) -> Dataset:
    item = Dataset()
    for keyword, value in elements.items():
        if value is not None:
            setattr(item, keyword, value)
    return item
