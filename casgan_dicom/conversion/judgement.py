"""What the pixels of a run tell before anything is drawn: its kind, and whether it already shows contrast.

The first two passes of a conversion (``synthesize.py``), by the same judges: who asks here gets the answer
that a conversion would give.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from casgan_dicom.conversion.ahead import ahead
from casgan_dicom.conversion.domain_check import DomainCheck
from casgan_dicom.conversion.opacification import Opacification
from casgan_dicom.conversion.output_folder import spool_in
from casgan_dicom.conversion.passes import look_for_contrast, telling
from casgan_dicom.conversion.picture_area import PictureArea
from casgan_dicom.conversion.run_frames import RunFrames
from casgan_dicom.conversion.task import Progress, Task, silent
from casgan_dicom.derived.domain_record import DomainRecord
from casgan_dicom.errors import PixelError
from casgan_dicom.pixels.decode import iter_frames
from casgan_dicom.pixels.display import Display
from casgan_dicom.pixels.self_check import SelfCheck
from casgan_dicom.source.cine import Cine
from casgan_dicom.source.eligible import reasons_against

if TYPE_CHECKING:
    from casgan_dicom.model.generator import Generator


@dataclass(frozen=True)
class Judgement:
    """What the pixels of a run tell."""

    domain: DomainRecord
    """Whether it is of the kind that the bundle was trained on."""
    contrast: Opacification
    """Which of its frames already show opacified vessels."""


def judge_run(cine: Cine, generator: Generator, folder: Path, progress: Progress = silent) -> Judgement:
    """Judge a run by its pixels.

    Parameters
    ----------
    cine
        The run.
    generator
        Whose statistics and segmentor are asked; nothing is drawn.
    folder
        Where its decoded frames lie meanwhile; made if it is not there.
    progress
        Told of every frame.

    Raises
    ------
    PixelError
        The pixels cannot be read: a reason against it that nobody can overrule, a frame that cannot be
        decoded, or two decoders that differ about one.
    OutputError
        The folder cannot be written to.
    """
    if hard := [reason.text for reason in reasons_against(cine) if not reason.forceable]:
        raise PixelError(hard[0])
    task = Task(cine=cine, display=Display.of(cine), banner=None)
    area, check, kind = PictureArea(), SelfCheck(cine), DomainCheck(cine)
    tell = telling(task, "measure", cine.frames, progress)
    with spool_in(folder) as spool:
        run = RunFrames(cine, task.display, spool)
        shown = ahead(run.decoded(check.passing(iter_frames(cine))), lambda _: tell(1))
        levels = generator.measure(kind.passing(area.passing(shown)))
        task = replace(task, picture=area.mask())
        contrast = look_for_contrast(task, run, generator, levels, progress)
    check.result()
    return Judgement(kind.result(generator), contrast)
