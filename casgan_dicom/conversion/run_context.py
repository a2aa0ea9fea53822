"""What a plan is told of a run beside its frames: what headers and shutters say, what the caller wants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from casgan_dicom.conversion.artery import Artery
from casgan_dicom.conversion.options import InjectionChoice, ViewChoice
from casgan_dicom.model.atlas.context import RunContext
from casgan_dicom.pixels.display import Display
from casgan_dicom.source.acquisition import acquisition_of
from casgan_dicom.source.cine import Cine

if TYPE_CHECKING:
    from casgan_dicom.model.simulator.tree import System

_SYSTEMS: dict[Artery, System | None] = {"auto": None, "left": "LCA", "right": "RCA"}


def run_context(
    cine: Cine, display: Display, artery: Artery, view: ViewChoice, injection: InjectionChoice
) -> RunContext:
    """Put together what is known of a run, for frames at their full size.

    A view of the caller's replaces that of the header; the key is the Series Instance UID (0020,000E).
    """
    known = acquisition_of(cine)
    wanted = view.angles_deg
    return RunContext(
        frames=cine.frames,
        angles_deg=known.angles_deg if wanted is None else wanted,
        angles_given=wanted is not None,
        artery=_SYSTEMS[artery],
        injection_s=injection.seconds,
        times_s=known.times_s,
        r_waves_s=known.r_waves_s,
        source_detector_mm=known.source_detector_mm,
        source_patient_mm=known.source_patient_mm,
        pixel_mm=known.pixel_mm,
        pulse_ms=known.pulse_ms,
        visible=display.visible(0),
        key=cine.series_uid,
    )
