"""What was measured on a synthetic cine, as a Structured Report (PS3.3 A.35.3, template TID 1500).

One measurement group sums up the whole cine; then one follows for each frame, with the synthetic and the
source frame it is about. No standard code means "mean attention" or "out of range", so these have codes of a
scheme of our own, ``99CASGAN``, which the report identifies; dciodvfy warns of every private scheme. Shares
are fractions from 0 to 1.

A report of very many frames helps nobody: beyond `MAX_FRAMES` frames only the summary speaks of them, and the
report calls itself PARTIAL.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import astuple
from textwrap import shorten

from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    DeviceObserverIdentifyingAttributes,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    QualitativeEvaluation,
    SourceImageForMeasurementGroup,
    TrackingIdentifier,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import ComprehensiveSRStorage, ExplicitVRLittleEndian

from casgan_dicom import __version__
from casgan_dicom.derived.marks import (
    MANUFACTURER,
    QUALITY_REPORT,
    Derivation,
    Member,
    identity,
    mark,
    source_number,
)
from casgan_dicom.derived.new_object import NewObject
from casgan_dicom.derived.own_scheme import scheme_identification
from casgan_dicom.derived.provenance import ModelIdentity, Provenance, ascii_only
from casgan_dicom.derived.quality import FrameQuality
from casgan_dicom.derived.references import Reference, frame_references, instances_by_series, reference
from casgan_dicom.derived.review_terms import SCHEME
from casgan_dicom.derived.roadmap_record import RoadmapFrame
from casgan_dicom.uids import derived_uid, model_uid

MEAN_ATTENTION = Code("ATTENTION", SCHEME, "Mean attention of the generator, 0 to 1")
VESSEL_COVER = Code("VESSELCOVER", SCHEME, "Share of visible pixels that are synthetic vessel")
OUT_OF_RANGE = Code("OUTOFRANGE", SCHEME, "Share of generated values clipped to display range")
DOMAIN_SCORE = Code("DOMAINSCORE", SCHEME, "Out-of-domain score of the source frame, limit 1")
OPACIFIED = Code("OPACIFIED", SCHEME, "Source frame already showed opacified vessels")
ROADMAP = Code("ROADMAP", SCHEME, "Vessels of an earlier run were laid over the frame")
NO_ROADMAP = Code("NOROADMAP", SCHEME, "Why no vessels were laid over the frame")
ROADMAP_MATCH = Code("ROADMAPMATCH", SCHEME, "Correlation with the background of the reference frame")
ROADMAP_MOVED = Code("ROADMAPMOVED", SCHEME, "Estimated shift of the vessels on the detector")
OPACIFIED_FRAMES = Code("OPACIFIEDFRAMES", SCHEME, "Number of source frames with opacified vessels")
OPACIFIED_PROBABILITY = Code("OPACIFIEDPROB", SCHEME, "Probability of opacified vessels in the source")
SOURCE_COVER = Code("SOURCECOVER", SCHEME, "Share of visible pixels marked as vessel in source")
SURE_OF_CONTRAST = 0.9
"""Probability from which a frame is said to show contrast; below one less this, not to."""
MAX_FRAMES = 1000
"""Most frames that are listed one by one."""

_SHARES: tuple[tuple[Code, Callable[[FrameQuality], float | None]], ...] = (
    (MEAN_ATTENTION, lambda quality: quality.mean_attention),
    (VESSEL_COVER, lambda quality: quality.vessel_cover),
    (OUT_OF_RANGE, lambda quality: quality.out_of_range),
    (OPACIFIED_PROBABILITY, lambda quality: quality.opacified_probability),
    (SOURCE_COVER, lambda quality: quality.source_cover),
    (DOMAIN_SCORE, lambda quality: quality.domain_score),
)


class QualityRecord(NewObject):
    """The quality record of a synthetic cine.

    Parameters
    ----------
    derivation
        What was converted, and how.
    qualities
        What was measured, one for each converted frame, in order.
    cine
        The synthetic cine: one object, or one for each frame.

    Raises
    ------
    SeriesError
        The source has no Study Instance UID (0020,000D).
    ValueError
        Measured, converted and synthetic frames are not as many, or there are none.
    """

    def __init__(
        self, derivation: Derivation, qualities: Sequence[FrameQuality], cine: Sequence[Reference]
    ) -> None:
        made = frame_references(cine)
        if not len(qualities) == len(derivation.chosen) == len(made) > 0:
            counts = f"{len(qualities)} measured, {len(derivation.chosen)} converted, {len(made)} synthetic"
            raise ValueError(f"need as many frames of each kind, found {counts}")
        shown = [astuple(one) for one in qualities], [one.sop_instance_uid for one in cine]
        text = json.dumps([*shown, derivation.provenance.decoding])
        digest = hashlib.sha256(text.encode()).hexdigest()
        which = Member(QUALITY_REPORT, source_number(derivation))
        super().__init__(ComprehensiveSRStorage, ExplicitVRLittleEndian, identity(derivation, which, digest))
        mark(self, derivation)
        self.CodingSchemeIdentificationSequence = scheme_identification()
        self._add_document(derivation, cine, complete=len(qualities) <= MAX_FRAMES)
        for element in _content(derivation, qualities, made, self.SOPInstanceUID)[0]:
            self.add(element)

    def _add_document(self, derivation: Derivation, cine: Sequence[Reference], *, complete: bool) -> None:
        """SR Document General, PS3.3 C.17.2: what it rests on; that no person has seen it."""
        self.CompletionFlag = "COMPLETE" if complete else "PARTIAL"
        if not complete:
            self.CompletionFlagDescription = f"Frames after the first {MAX_FRAMES}: in the summary only"
        self.VerificationFlag = "UNVERIFIED"
        self.PreliminaryFlag = "PRELIMINARY"
        self.PerformedProcedureCodeSequence: list[Dataset] = []
        self.ReferencedPerformedProcedureStepSequence: list[Dataset] = []
        study = Dataset()
        study.StudyInstanceUID = self.StudyInstanceUID
        study.ReferencedSeriesSequence = []
        for uid, instances in instances_by_series(derivation, cine).items():
            series = Dataset()
            series.SeriesInstanceUID = uid
            series.ReferencedSOPSequence = [reference(*instance) for instance in instances]
            study.ReferencedSeriesSequence.append(series)
        self.CurrentRequestedProcedureEvidenceSequence = [study]


def _content(
    derivation: Derivation,
    qualities: Sequence[FrameQuality],
    made: Sequence[tuple[Reference, tuple[int, ...]]],
    report_uid: str,
) -> MeasurementReport:
    """The content tree, TID 1500. All UIDs in it follow from that of the report."""
    sop_class = str(derivation.cine.header.SOPClassUID)
    groups = [_summary(derivation.provenance, qualities, report_uid)]
    frames = zip(derivation.chosen[:MAX_FRAMES], qualities, made, strict=False)
    roadmap = derivation.provenance.roadmap
    for index, (k, quality, (one, numbers)) in enumerate(frames):
        source, source_numbers = derivation.sources((k,))[0]
        images = (
            _image(one.sop_class_uid, one.sop_instance_uid, numbers),
            _image(sop_class, source.sop_instance_uid, source_numbers),
            *_laid_over(derivation, index),
        )
        placed = None if roadmap is None else roadmap.frames[index]
        groups.append(_group(quality, placed, images, report_uid))
    return MeasurementReport(
        observation_context=ObservationContext(
            observer_device_context=_observer(derivation.provenance.model)
        ),
        procedure_reported=codes.SCT.Angiography,
        imaging_measurements=groups,
    )


def _summary(
    provenance: Provenance, qualities: Sequence[FrameQuality], report_uid: str
) -> MeasurementsAndQualitativeEvaluations:
    """The whole cine: mean and maximum of each share, and how many frames were opacified already."""
    measurements = []
    for code, share in _SHARES:
        values = [float(value) for quality in qualities if (value := share(quality)) is not None]
        if values:
            mean = min(
                max(sum(values) / len(values), min(values)), max(values)
            )  # rounding must not leave them
            for value, how in ((mean, codes.SCT.Mean), (max(values), codes.SCT.Maximum)):
                measurements.append(Measurement(code, value, codes.UCUM.NoUnits, derivation=how))
    opacified = sum(quality.opacified for quality in qualities)
    measurements += [
        Measurement(codes.DCM.NumberOfFrames, len(qualities), codes.UCUM.NoUnits),
        Measurement(OPACIFIED_FRAMES, opacified, codes.UCUM.NoUnits),
    ]
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=derived_uid("quality", report_uid), identifier="AI SYNTHETIC angiogram, all frames"
        ),
        algorithm_id=_algorithm(provenance),
        measurements=measurements,
    )


def _laid_over(derivation: Derivation, index: int) -> list[SourceImageForMeasurementGroup]:
    """The frame of the earlier run whose vessels were laid over a frame; none where none were."""
    if derivation.reference is None:
        return []
    sop_class = str(derivation.reference.header.SOPClassUID)
    used = derivation.reference_sources(index)
    return [_image(sop_class, instance.sop_instance_uid, numbers) for instance, numbers in used]


def _placed(frame: RoadmapFrame | None) -> tuple[list[Measurement], list[QualitativeEvaluation]]:
    """Whether vessels of an earlier run were laid over a frame, how far they moved, or why they were not."""
    if frame is None:
        return [], []
    numbers = [Measurement(ROADMAP_MATCH, frame.background, codes.UCUM.NoUnits)]
    if frame.moved_mm is not None:
        numbers.append(Measurement(ROADMAP_MOVED, frame.moved_mm, codes.UCUM.Millimeter))
    if not frame.refused:
        return numbers, [QualitativeEvaluation(ROADMAP, codes.SCT.Yes)]
    why = Code(f"NO{frame.refused.upper()}"[:16], SCHEME, shorten(frame.reason, 64, placeholder="..."))
    return numbers, [QualitativeEvaluation(ROADMAP, codes.SCT.No), QualitativeEvaluation(NO_ROADMAP, why)]


def _group(
    quality: FrameQuality,
    placed: RoadmapFrame | None,
    images: Sequence[SourceImageForMeasurementGroup],
    report_uid: str,
) -> MeasurementsAndQualitativeEvaluations:
    """One frame, with the synthetic and the source picture of it, and that of the earlier run."""
    numbers, answers = _placed(placed)
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=derived_uid("quality", report_uid, quality.frame), identifier=f"Frame {quality.frame}"
        ),
        measurements=[
            Measurement(code, float(value), codes.UCUM.NoUnits)
            for code, share in _SHARES
            if (value := share(quality)) is not None
        ]
        + numbers,
        qualitative_evaluations=[
            QualitativeEvaluation(OPACIFIED, _answer(quality)),
            *answers,
        ],
        source_images=images,
    )


def _answer(quality: FrameQuality) -> Code:
    """Whether the source frame showed opacified vessels: yes, no, or uncertain."""
    told = quality.opacified_probability
    answer: Code = codes.SCT.Yes if quality.opacified else codes.SCT.No
    if told is not None and 1 - SURE_OF_CONTRAST < told < SURE_OF_CONTRAST:
        answer = codes.SCT.Uncertain
    return answer


def _observer(model: ModelIdentity) -> ObserverContext:
    """The program and its model, TID 1004: no person has seen this."""
    return ObserverContext(
        observer_type=CodedConcept.from_code(codes.DCM.Device),
        observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
            uid=model_uid(model.weights_sha256, model.recipe),
            name=f"{MANUFACTURER} {__version__}",
            manufacturer_name=MANUFACTURER,
            model_name=ascii_only(model.name)[:64],
            serial_number=model.weights_sha256[:64],
        ),
    )


def _algorithm(provenance: Provenance) -> AlgorithmIdentification:
    """What made the frames and measured them, TID 4019."""
    model = provenance.model
    parameters = (
        provenance.warning,
        *([provenance.clause] if provenance.clause else []),
        *([provenance.domain] if provenance.domain else []),
        f"method {model.method}",
        f"weights sha256 {model.weights_sha256}",
        f"display values: {provenance.display}",
        f"engine {model.engine}",
        *([provenance.decoding] if provenance.decoding else []),
        f"recipe: {model.recipe}",
    )
    return AlgorithmIdentification(
        name=ascii_only(model.name),
        version=ascii_only(model.version),
        parameters=[ascii_only(parameter) for parameter in parameters],
        family=codes.DCM.ArtificialIntelligence,
        manufacturer=MANUFACTURER,
    )


def _image(sop_class: str, sop_instance: str, numbers: tuple[int, ...]) -> SourceImageForMeasurementGroup:
    return SourceImageForMeasurementGroup(sop_class, sop_instance, list(numbers) or None)
