"""Artery, view and scale of a run: what the header says, checked against what the picture shows.

A header's angles may have their primary sign the other way round (vendors differ), and its pixel spacing may
be that of another matrix; so each is believed only where the picture does not contradict it, and a
contradiction becomes a sentence of the report.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from casgan_dicom.model.atlas.context import RunContext
from casgan_dicom.model.atlas.cues import GRID, Cues
from casgan_dicom.model.atlas.plan import AnglesSource, ScaleSource
from casgan_dicom.model.simulator.geometry import View
from casgan_dicom.model.simulator.tree import System

AGREE_DEG = 25.0
"""Header and picture within this mean the same view."""
DISAGREE_DEG = 45.0
"""Beyond this the header means another view. Between the two it is believed, and the contradiction is said:
the picture's angles may be as far off."""
_FLIPPED_DEG = 20.0
"""How much nearer the flipped angles have to be: a primary angle of a few degrees has no sign to speak of."""
_FIELD_MM = (60.0, 420.0)
"""Sides of a picture at the detector, of the magnification of View, that a heart is ever filmed in."""
_LEAST_DISTANCE_MM = 300.0
"""No source stands nearer to the heart."""
_AGREE_SCALE = 1.5
"""Header and picture beyond this ratio are said to contradict each other."""


@dataclass(frozen=True)
class Bearings:
    """What a tree needs to be posed, and who said so."""

    artery: System
    """The artery that is drawn."""
    artery_sure: float
    """Its probability by the picture."""
    view: View
    """The view, of GRID rows and columns, its isocentre where the first sampled frame shows the heart's
    centre."""
    angles_source: AnglesSource
    """Where the angles are from."""
    angles_seen_deg: tuple[float, float]
    """By the picture alone."""
    scale_source: ScaleSource
    """Where the scale is from."""
    notes: tuple[str, ...]
    """Contradictions."""


def take_bearings(cues: Cues, context: RunContext) -> Bearings:
    """Decide artery, view and scale of a run."""
    right = float(1 / (1 + np.exp(-cues.right.mean())))
    artery: System = context.artery or ("RCA" if right > 0.5 else "LCA")
    primary, secondary = (float(angle) for angle in np.median(cues.angles_deg, axis=0))
    angles, angles_source, notes = _angles((primary, secondary), context)
    field_mm, distances, scale_source, more = _scale(float(np.median(cues.field_mm)), context)
    centre = np.median(cues.isocentre - cues.pan, axis=0) * field_mm / GRID
    view = View(*angles, GRID, field_mm, *distances, (float(centre[0]), float(centre[1])))
    return Bearings(
        artery,
        right if artery == "RCA" else 1 - right,
        view,
        angles_source,
        (primary, secondary),
        scale_source,
        (*_artery_notes(artery, right, context), *notes, *more),
    )


def _artery_notes(artery: System, right: float, context: RunContext) -> tuple[str, ...]:
    sure = right if artery == "RCA" else 1 - right
    if context.artery is None or sure >= 0.4:
        return ()
    return (f"the {artery} was asked for, the picture shows the other artery ({100 * (1 - sure):.0f} %)",)


def _angles(
    seen: tuple[float, float], context: RunContext
) -> tuple[tuple[float, float], AnglesSource, tuple[str, ...]]:
    """The angles to draw in, where they are from, what contradicts."""
    told = context.angles_deg
    if told is None:
        return seen, "picture", ()
    apart = _apart_deg(told, seen)
    if context.angles_given:
        shows = f"the picture shows about {seen[0]:.0f} and {seen[1]:.0f}"
        doubt = (f"the angles {told[0]:.0f} and {told[1]:.0f} were asked for, {shows}",)
        return told, "given", doubt if apart > AGREE_DEG else ()
    if apart <= AGREE_DEG:
        return told, "header", ()
    flipped = (-told[0], told[1])
    aside = _apart_deg(flipped, seen)
    if aside <= AGREE_DEG and aside + _FLIPPED_DEG <= apart:
        said = f"the header's primary angle is {told[0]:.0f}, the picture shows about {seen[0]:.0f}"
        return flipped, "header, primary sign flipped", (f"{said}: the sign was taken as flipped",)
    both = f"the header's angles are {told[0]:.0f} and {told[1]:.0f}"
    said = f"{both}, the picture shows about {seen[0]:.0f} and {seen[1]:.0f}"
    if apart <= DISAGREE_DEG:
        return told, "header", (f"{said}: the header was followed",)
    return seen, "picture", (f"{said}: it was followed",)


def _apart_deg(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Angle between two beams in degrees."""
    beams = [View(primary_deg=p, secondary_deg=s).axes()[2] for p, s in (one, other)]
    return float(np.rad2deg(np.arccos(np.clip(beams[0] @ beams[1], -1.0, 1.0))))


def _scale(
    seen_mm: float, context: RunContext
) -> tuple[float, tuple[float, float], ScaleSource, tuple[str, ...]]:
    """Side of the square at the detector, (source to isocentre, source to detector), source, contradictions.

    `seen_mm` is what the picture shows, at the magnification of View's defaults: what counts there is mm in
    the isocentre.
    """
    distances, notes = _distances(context)
    enlarged = distances[1] / distances[0] / View().magnification
    if context.pixel_mm is None or context.shape is None:
        return seen_mm * enlarged, distances, "picture", notes
    told_mm = context.pixel_mm * max(context.shape)
    said = f"by the header the picture is {told_mm:.0f} mm wide at the detector"
    if not _FIELD_MM[0] <= told_mm / enlarged <= _FIELD_MM[1]:
        return (
            seen_mm * enlarged,
            distances,
            "picture",
            (*notes, f"{said}: that is no heart, it was not used"),
        )
    ratio = told_mm / (seen_mm * enlarged)
    if not 1 / _AGREE_SCALE <= ratio <= _AGREE_SCALE:
        notes = (
            *notes,
            f"{said}, the picture looks like {seen_mm * enlarged:.0f} mm: the header was followed",
        )
    return told_mm, distances, "header", notes


def _distances(context: RunContext) -> tuple[tuple[float, float], tuple[str, ...]]:
    """(source to isocentre, source to detector) in mm: the header's where it has both, else the usual."""
    near, far = context.source_patient_mm, context.source_detector_mm
    usual = (View().source_isocentre_mm, View().source_detector_mm)
    if near is None or far is None:
        return usual, ()
    if not (_LEAST_DISTANCE_MM <= near < far <= 3 * near):
        told = f"the header's distances {near:.0f} mm to the patient and {far:.0f} mm to the detector"
        return usual, (f"{told} do not fit together: the usual ones were taken",)
    return (near, far), ()
