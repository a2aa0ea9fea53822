"""Frames on their way out: each is measured, marked, and spooled with its maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from casgan_dicom.conversion.opacification import Opacification
from casgan_dicom.conversion.preview import ContactSheet
from casgan_dicom.conversion.task import Spools, Task
from casgan_dicom.derived.domain_record import DomainRecord
from casgan_dicom.derived.geometry import aspect_ratio
from casgan_dicom.derived.quality import FrameQuality
from casgan_dicom.derived.roadmap_record import RoadmapRecord
from casgan_dicom.pixels.banner import Banner, banner_for
from casgan_dicom.pixels.display import to_stored
from casgan_dicom.pixels.framefile import FrameWriter
from casgan_dicom.source.cine import Cine

Float = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Stored = npt.NDArray[np.unsignedinteger[Any]]


@dataclass(frozen=True)
class MadeFrame:
    """One frame on its way out."""

    k: int
    """Its place in the source, from 0."""
    before: Stored
    """The displayed input, in stored values."""
    after: Stored
    """The output, composed but not marked."""
    attention: Float | None
    """Where the generator drew."""
    vessels: Mask
    """Where there is a vessel in the output, behind a shutter too."""
    out_of_range: float
    """Share of pixels that were clipped to what can be displayed."""


@dataclass(frozen=True)
class Seen:
    """What was found out about a run before its frames are made."""

    contrast: Opacification
    """Which of its frames already show contrast."""
    domain: DomainRecord
    """How far it is from what the bundle was trained on."""
    roadmap: RoadmapRecord | None = None
    """Whose vessels are laid over it; None where a generator draws."""


class Making:
    """The third pass: composes frames, marks them, measures them, and spools them."""

    def __init__(self, task: Task, spools: Spools, chosen: tuple[int, ...], seen: Seen) -> None:
        cine = task.cine
        self.task = task
        self._seen = seen
        self.frames = FrameWriter(spools.frames, cine.rows, cine.columns, task.bits)
        self.attention = _writer(spools.attention, cine)
        self.vessels = _writer(spools.vessels, cine)
        self.quality: list[FrameQuality] = []
        self.untouched = 0.0
        self.with_attention = False
        numbers, pixel = tuple(k + 1 for k in chosen), aspect_ratio(task.cine.header) or (1, 1)
        self.sheet = ContactSheet(numbers, seen.domain.short, pixel) if task.sheet else None
        self._bare = np.ones((cine.rows, cine.columns), dtype=np.bool_)
        for index in range(len(chosen)):
            if (banner := self._banner(index)) is not None:
                self._bare[banner.rows, banner.columns] = False

    def take(self, frame: MadeFrame) -> None:
        """Measure a frame, mark it, and spool it with its maps."""
        visible = self.task.display.visible(frame.k)
        vessels = frame.vessels & visible
        attention = frame.attention
        self.quality.append(
            FrameQuality(
                frame=frame.k + 1,
                mean_attention=None if attention is None else float(attention.mean(dtype=np.float64)),
                vessel_cover=float(vessels.sum() / max(1, visible.sum())),
                out_of_range=frame.out_of_range,
                opacified=self._seen.contrast.opacified[frame.k],
                opacified_probability=self._seen.contrast.probability[frame.k],
                source_cover=self._seen.contrast.cover[frame.k],
                domain_score=self._seen.domain.of_frame(frame.k + 1),
            )
        )
        same = np.count_nonzero((frame.before == frame.after) & self._bare)
        self.untouched += same / np.count_nonzero(self._bare)
        if (banner := self._banner(len(self.quality) - 1)) is not None:
            banner.burn(frame.after, 2**self.task.bits - 1)
        if self.sheet is not None:
            before, after = _byte(frame.before, self.task.bits), _byte(frame.after, self.task.bits)
            self.sheet.offer(len(self.quality) - 1, before, after, attention)
        self.frames.write(frame.after)
        if self.attention is not None and attention is not None:
            self.with_attention = True
            self.attention.write(to_stored(attention))
        if self.vessels is not None:
            self.vessels.write(np.where(vessels, np.uint8(255), np.uint8(0)))

    def _banner(self, index: int) -> Banner | None:
        """What is burned into a frame of the output, by its place from 0."""
        roadmap = self._seen.roadmap
        if self.task.banner is None or roadmap is None:
            return self.task.banner
        cine = self.task.cine
        return banner_for(cine.rows, cine.columns, roadmap.banner_texts(index))


def _byte(stored: Stored, bits: int) -> npt.NDArray[np.uint8]:
    """Stored values as those of 8 bits."""
    return (stored >> (bits - 8)).astype(np.uint8)


def _writer(spool: BinaryIO | None, cine: Cine) -> FrameWriter | None:
    return None if spool is None else FrameWriter(spool, cine.rows, cine.columns)
