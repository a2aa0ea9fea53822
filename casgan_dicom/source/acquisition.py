"""How a run was acquired, as far as its headers tell: view, scale, clock and heart beat.

Only who draws anatomy asks. What is absent, malformed, contradictory or outside what an angiography system
can do is unknown (None or empty), never a guess and never a "no". Angles are those of PS3.3 C.8.7.5: primary
LAO positive, secondary cranial positive. Times are seconds after the first frame.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from pydicom.dataset import Dataset

from casgan_dicom.source.cine import Cine
from casgan_dicom.source.ecg_curve import r_waves_of_curve
from casgan_dicom.source.ecg_waveform import r_waves_beside, r_waves_of_waveform
from casgan_dicom.source.elements import numbers
from casgan_dicom.source.motion import STILL_DEGREES

DETECTOR_MM = (700.0, 1500.0)
"""Distance Source to Detector (0018,1110) of a C-arm."""
PATIENT_MM = (300.0, 1200.0)
"""Distance Source to Patient (0018,1111), which is less than that to the detector."""
FIELD_MM = (60.0, 500.0)
"""Longer side of a picture in the detector's plane."""
SQUARE = 0.01
"""Up to this relative difference the two sides of a pixel are one."""
PULSE_MS = (0.5, 50.0)
"""Average Pulse Width (0018,1154) of a cine."""
FRAME_S = (0.001, 2.0)
"""From one frame to the next; longer is no cine."""
BEAT_S = (0.2, 3.0)
"""From one R wave to the next: 300 to 20 beats a minute."""
_SAME_WAVE_S = 0.05
"""R waves that two frames tell of within this time are one."""
_DISPLAYED = "RecommendedDisplayFrameRate"
"""How fast to play is not how fast it was taken; begins the name of both elements that say so."""
_INCREMENTS = ("PositionerPrimaryAngleIncrement", "PositionerSecondaryAngleIncrement")


@dataclass(frozen=True)
class Acquisition:
    """What the headers of a run tell of its acquisition."""

    angles_deg: tuple[float, float] | None = None
    """Positioner Primary and Secondary Angle (0018,1510), (0018,1511), the median over a run in which they
    hardly vary; None where unknown or the positioner moves."""
    times_s: tuple[float, ...] = ()
    """Time of each frame, the first 0; empty where unknown."""
    r_waves_s: tuple[float, ...] = ()
    """Times of the R waves, rising, on the same clock; empty where unknown."""
    source_detector_mm: float | None = None
    """Distance Source to Detector (0018,1110)."""
    source_patient_mm: float | None = None
    """Distance Source to Patient (0018,1111), or to Isocenter (0018,9402) of an Enhanced object."""
    pixel_mm: float | None = None
    """Imager Pixel Spacing (0018,1164) of square pixels."""
    pulse_ms: float | None = None
    """Average Pulse Width (0018,1154): how long X-rays are on for each frame."""


def acquisition_of(cine: Cine) -> Acquisition:
    """Read how a cine was acquired; whatever its headers hold, nothing is raised."""
    times = _times(cine)
    detector = _within(cine.header, ("DistanceSourceToDetector",), DETECTOR_MM)
    patient = _within(cine.header, ("DistanceSourceToPatient", "DistanceSourceToIsocenter"), PATIENT_MM)
    if detector is not None and patient is not None and patient >= detector:
        detector = patient = None  # one of them is wrong, and nothing says which
    return Acquisition(
        angles_deg=_angles(cine),
        times_s=times,
        r_waves_s=_r_waves(cine, times),
        source_detector_mm=detector,
        source_patient_mm=patient,
        pixel_mm=_pixel(cine),
        pulse_ms=_within(cine.header, ("AveragePulseWidth",), PULSE_MS),
    )


def _within(ds: Dataset, keywords: Sequence[str], limits: tuple[float, float]) -> float | None:
    """The first of these elements that holds one number between the limits."""
    for keyword in keywords:
        found = numbers(ds, keyword)
        if len(found) == 1 and limits[0] <= found[0] <= limits[1]:
            return found[0]
    return None


def _angles(cine: Cine) -> tuple[float, float] | None:
    """The view of a run whose positioner stands still."""
    header = cine.header
    header_frames = cine.instances[0].frames  # single frames say by their angles whether they move
    stated = [numbers(header, keyword) for keyword in ("PositionerPrimaryAngle", "PositionerSecondaryAngle")]
    if not all(map(_one, stated)) or _turns(header, header_frames):
        return None
    pairs = cine.frame_angles or ((stated[0][0], stated[1][0]),)
    primary, secondary = zip(*pairs, strict=True)
    if max(max(each) - min(each) for each in (primary, secondary)) > STILL_DEGREES:
        return None
    view = statistics.median(primary), statistics.median(secondary)
    return view if abs(view[0]) <= 180 and abs(view[1]) <= 90 else None


def _one(values: Sequence[float]) -> bool:
    return len(values) == 1


def _turns(header: Dataset, frames: int) -> bool:
    """Whether the positioner moves during a classic run (PS3.3 C.8.7.5), by either reading of its increments:
    from the frame before, or from the first; a motion that nothing measures counts as one."""
    steps = [numbers(header, keyword) for keyword in _INCREMENTS]
    if not any(steps):
        return frames > 1 and header.get("PositionerMotion") == "DYNAMIC"
    each = [found * (frames - 1) if _one(found) else found for found in steps]
    return any(abs(angle) > STILL_DEGREES for found in each for angle in (*found, *accumulate(found)))


def _times(cine: Cine) -> tuple[float, ...]:
    """When each frame was taken; nothing for a rate that is assumed, or that is only one for display."""
    timing = cine.timing
    if timing.source == "default" or timing.source.startswith(_DISPLAYED) or cine.frames < 1:
        return ()
    steps = timing.vector_ms or (0.0, *[timing.frame_time_ms] * (cine.frames - 1))
    if len(steps) != cine.frames or any(not FRAME_S[0] <= step / 1000 <= FRAME_S[1] for step in steps[1:]):
        return ()
    return tuple(accumulate(step / 1000 for step in steps))


def _r_waves(cine: Cine, times: tuple[float, ...]) -> tuple[float, ...]:
    """R waves by R Wave Pointer (0028,6040), R Wave Time Vector (0018,6060), trigger delays, or an ECG."""
    if not times:
        return ()
    for read in (_pointed, _listed, _before_frames, _drawn, _recorded, _recorded_beside):
        found = read(cine, times)
        if found and all(BEAT_S[0] <= b - a <= BEAT_S[1] for a, b in pairwise(found)):
            return found
    return ()


def _pointed(cine: Cine, times: tuple[float, ...]) -> tuple[float, ...]:
    """R Wave Pointer (0028,6040): numbers of frames, from 1; one that is none spoils them all."""
    frames = numbers(cine.header, "RWavePointer") if len(cine.instances) == 1 else []
    if any(k not in range(1, len(times) + 1) for k in frames):
        return ()
    return tuple(times[int(k) - 1] for k in frames)


def _listed(cine: Cine, times: tuple[float, ...]) -> tuple[float, ...]:
    """R Wave Time Vector (0018,6060): milliseconds, taken only where all lie within the run."""
    found = [ms / 1000 for ms in numbers(cine.header, "RWaveTimeVector")] if len(cine.instances) == 1 else []
    return tuple(found) if all(0 <= wave <= times[-1] for wave in found) else ()


def _drawn(cine: Cine, times: tuple[float, ...]) -> tuple[float, ...]:
    """The ECG that a multi-frame object carries as a curve (50xx,3000)."""
    return r_waves_of_curve(cine.header, times) if len(cine.instances) == 1 else ()


def _recorded(cine: Cine, times: tuple[float, ...]) -> tuple[float, ...]:
    """The ECG in the Waveform Sequence (5400,0100) of a multi-frame object."""
    return r_waves_of_waveform(cine.header, times[-1]) if len(cine.instances) == 1 else ()


def _recorded_beside(cine: Cine, times: tuple[float, ...]) -> tuple[float, ...]:
    """The ECG of a waveform object that was recorded by the same clock."""
    return r_waves_beside(cine.header, cine.waveforms, times[-1]) if len(cine.instances) == 1 else ()


def _before_frames(cine: Cine, times: tuple[float, ...]) -> tuple[float, ...]:
    """R waves by the time that each frame came after one: Trigger Time (0018,1060) of single frames, or
    Cardiac Trigger Delay Time of an Enhanced object's."""
    delays = cine.frame_delays_ms
    if len(cine.headers) == len(times):
        delays = delays or tuple(_within(ds, ("TriggerTime",), (0, 3000)) for ds in cine.headers)
    if len(delays) != len(times) or None in delays or len(set(delays)) < len(delays[:2]):
        return ()  # the same in every frame is a default: a heart does not beat with the frames
    waves: list[list[float]] = []
    for wave in sorted(t - delay / 1000 for t, delay in zip(times, delays, strict=True) if delay is not None):
        if waves and wave - waves[-1][0] <= _SAME_WAVE_S:
            waves[-1].append(wave)
        else:
            waves.append([wave])
    return tuple(statistics.median(told) for told in waves)


def _pixel(cine: Cine) -> float | None:
    """Side of a pixel at the detector, where it is square and gives a picture that a detector can take."""
    sides = numbers(cine.header, "ImagerPixelSpacing")
    if len(sides) != 2 or min(sides) <= 0 or max(sides) > (1 + SQUARE) * min(sides):
        return None
    pixel = sum(sides) / 2
    return pixel if FIELD_MM[0] <= pixel * max(cine.rows, cine.columns) <= FIELD_MM[1] else None
