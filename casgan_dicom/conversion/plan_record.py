"""The plan of the model as the record that header and report hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from casgan_dicom.derived.plan_record import PlanRecord

if TYPE_CHECKING:
    from casgan_dicom.model.atlas.plan import RunPlan


def record_of(plan: RunPlan) -> PlanRecord:
    """Every fact of a plan as plain Python values, and why nothing was drawn where that is so."""
    facts = plan.facts
    return PlanRecord(
        tree=int(facts.tree),
        artery="right" if facts.artery == "RCA" else "left",
        artery_source=facts.artery_source,
        artery_sure=float(facts.artery_sure),
        angles_deg=_pair(facts.angles_deg),
        angles_source=facts.angles_source,
        angles_seen_deg=_pair(facts.angles_seen_deg),
        angles_spread_deg=float(facts.angles_spread_deg),
        landmarks_off_mm=float(facts.landmarks_off_mm),
        field_mm=float(facts.field_mm),
        scale_source=facts.scale_source,
        phase_source=facts.phase_source,
        heart_rate_bpm=None if facts.heart_rate_bpm is None else float(facts.heart_rate_bpm),
        tip=None if facts.tip is None else _pair(facts.tip),
        tip_sure=float(facts.tip_sure),
        darkness=float(facts.darkness),
        darkness_source=facts.darkness_source,
        injection_s=None if facts.injection_s is None else _pair(facts.injection_s),
        refused=plan.refused,
        notes=tuple(facts.notes),
    )


def _pair(values: tuple[float, float]) -> tuple[float, float]:
    return float(values[0]), float(values[1])
