"""What a conversion made otherwise than it was asked to, and what only the pixels told: for its report."""

from __future__ import annotations

from collections.abc import Iterator

from casgan_dicom.conversion.contrast_notes import notes_on_contrast
from casgan_dicom.conversion.options import ConvertOptions, numbers_text
from casgan_dicom.conversion.synthesize import Synthesized
from casgan_dicom.derived.roadmap_record import RoadmapRecord


def notes_on_output(options: ConvertOptions, made: Synthesized) -> Iterator[str]:
    """What differs from what was asked for, and what only the pixels tell."""
    yield from made.notes
    if options.part:
        yield options.part
    if made.domain.foreign:
        yield made.domain.clause()
    yield from made.decoding.refused
    if constant := made.decoding.constant:
        yield f"frames of one value in the middle of the run: {numbers_text(constant)}"
    if repeated := made.decoding.repeated:
        yield f"frames that equal the one before although the run moves: {numbers_text(repeated)}"
    if made.frames.bits != options.bits:
        yield f"the source has 8 bits, so the output has 8 and not {options.bits}"
    if made.roadmap is not None:
        yield from _notes_on_roadmap(made.roadmap)
    if options.maps and made.attention is None:
        yield "the method has no attention, so there is no attention map"
    if made.plan is None and asked_of(options) != asked_of(ConvertOptions()):
        why = "the method draws frame by frame" if made.roadmap is None else "the vessels are those of a run"
        yield f"{why}, so --artery, --view and --injection mean nothing to it"
    if made.plan is not None:
        yield from made.plan.facts.notes
        if made.plan.refused:
            yield f"nothing was drawn: {made.plan.refused}"
    yield from notes_on_contrast(options.frames, made.chosen, made.opacification)


def _notes_on_roadmap(roadmap: RoadmapRecord) -> Iterator[str]:
    """What is unknown of a reference, and which frames have no roadmap."""
    if unknown := [criterion for criterion, answer, _ in roadmap.verdicts if answer == "unknown"]:
        yield f"unknown of the reference: {', '.join(unknown)}"
    yield from (
        f"used in spite of its {criterion}: {text}"
        for criterion, answer, text in roadmap.verdicts
        if answer == "refused"
    )
    yield from (f"{count} frames without roadmap: {why}" for why, count in roadmap.refusals.items())


def asked_of(options: ConvertOptions) -> dict[str, str]:
    """What a method that draws by plan is asked for, by the names of `Provenance`."""
    return {"artery": options.artery, "view": options.view.name, "injection": options.injection.name}
