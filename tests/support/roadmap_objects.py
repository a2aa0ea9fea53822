"""Honest roadmaps for tests of what they say: headers and banners are real, the pixels are a grey ramp."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
from pydicom import dcmwrite

from casgan_dicom.derived.marks import Derivation
from casgan_dicom.derived.picture import SyntheticCine, SyntheticFrame
from casgan_dicom.derived.roadmap_record import RoadmapFrame, RoadmapRecord
from casgan_dicom.pixels.banner import banner_for
from casgan_dicom.pixels.compress import Compression
from casgan_dicom.pixels.framefile import FrameFile, FrameWriter
from casgan_dicom.pixels.stored import single_frame, stored_pixels
from tests.support.cines import cine_of
from tests.support.derived import PROVENANCE, derivation_of
from tests.support.factories import moving_frames, uid, write_xa

DRAWN = RoadmapFrame(
    reference_frame=2,
    phase_by="ECG",
    table_px=4.0,
    moved_px=2.0,
    table_mm=1.25,
    moved_mm=0.62,
    background=0.91,
    phase_gap_s=0.01,
)
REFUSED = replace(DRAWN, refused="gap", reason="no filled reference frame is near enough")


def record(*frames: RoadmapFrame, clock: str = "10:42") -> RoadmapRecord:
    """A roadmap of these frames, out of the run that `roadmap_of` writes."""
    refusals = {frame.reason: 1 for frame in frames if frame.refused}
    return RoadmapRecord(
        series_uid=uid("reference series"),
        instances=(uid("reference"),),
        clock=clock,
        filled="2-6",
        used="2-5",
        phase_by="ECG",
        frames=frames,
        refusals=refusals,
        verdicts=(("patient", "fits", "the same"), ("table", "unknown", "unknown in both runs")),
    )


def roadmap_of(folder: Path, *frames: RoadmapFrame, clock: str = "10:42") -> Derivation:
    """A conversion of a run of as many frames of 64 × 128, whose reference has six."""
    own = {"LossyImageCompression": "00", "BurnedInAnnotation": "NO"}
    target = write_xa(folder / "target" / "a", moving_frames(len(frames), 64, 128), **own)
    reference = write_xa(
        folder / "reference" / "a",
        moving_frames(6, 64, 128),
        SOPInstanceUID=uid("reference"),
        SeriesInstanceUID=uid("reference series"),
        **own,
    )
    made = replace(PROVENANCE, roadmap=record(*frames, clock=clock))
    return replace(derivation_of(cine_of(target), provenance=made), reference=cine_of(reference))


def ramp(derivation: Derivation) -> FrameFile:
    """Frames with the banner that each of them has to have."""
    cine, roadmap = derivation.cine, derivation.provenance.roadmap
    assert roadmap is not None
    writer = FrameWriter(io.BytesIO(), cine.rows, cine.columns)
    for k in range(len(derivation.chosen)):
        frame = np.tile(np.linspace(0, 255, cine.columns), (cine.rows, 1)).astype(np.uint8)
        banner_for(cine.rows, cine.columns, roadmap.banner_texts(k)).burn(frame)
        writer.write(frame)
    return writer.finish()


def write_roadmap(folder: Path, *frames: RoadmapFrame, clock: str = "10:42") -> Path:
    """The roadmap as one multi-frame object."""
    derivation = roadmap_of(folder, *frames, clock=clock)
    pixels = stored_pixels(ramp(derivation), Compression(), io.BytesIO())
    dcmwrite(folder / "roadmap.dcm", SyntheticCine(derivation, pixels), enforce_file_format=True)
    return folder / "roadmap.dcm"


def write_roadmap_frame(folder: Path, k: int, *frames: RoadmapFrame) -> Path:
    """One of its frames as an object of its own."""
    derivation = roadmap_of(folder, *frames)
    pixels = single_frame(ramp(derivation), k, Compression())
    path = folder / f"frame-{k}.dcm"
    dcmwrite(path, SyntheticFrame(derivation, pixels, k), enforce_file_format=True)
    return path
