"""What a conversion came to, as a workflow remembers it: JSON, out of a report and into the ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from casgan_dicom.conversion.report import ConvertReport, Output
from casgan_dicom.node.state.deliveries import Derived
from casgan_dicom.node.state.measurements import Measured


def reasons_of(report: ConvertReport) -> list[str]:
    """Why cines were skipped."""
    return [reason for skipped in report.skipped for reason in skipped.reasons]


def lent_by(output: Output) -> str:
    """Which run lent its vessels, for who looks at the jobs."""
    assert output.roadmap is not None
    return f"vessels of series {output.roadmap.series_uid}, {output.roadmap.when}"


def measured_in(report: ConvertReport) -> list[Measured]:
    """What is kept of each cine that was converted, or judged and turned away."""
    converted = [Measured(each.frames, each.seconds.total, each.domain.score) for each in report.outputs]
    foreign = [Measured(score=each.domain.score) for each in report.skipped if each.domain is not None]
    return [*converted, *foreign]


def derived_in(report: ConvertReport) -> list[dict[str, Any]]:
    """What a report says about derived objects, as JSON."""
    return [
        {
            "sop_uid": derived.sop_instance_uid,
            "series_uid": derived.series_uid,
            "path": str(derived.path),
            "sha256": derived.sha256,
            "frames": derived.frames,
            "sop_class_uid": derived.sop_class_uid,
            "sources": list(output.source_instances),
        }
        for output in report.outputs
        for derived in output.objects
    ]


def derived_of(item: dict[str, Any]) -> Derived:
    """The row of what `derived_in` has said; a step that an older program finished says less."""
    return Derived(**item | {"path": Path(item["path"]), "sources": tuple(item.get("sources", ()))})
