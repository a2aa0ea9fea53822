"""What the browser is told of an item before it asks for frames, as JSON: no pixels, and no patient.

Positions and frames count from 0; times are milliseconds. `SCHEMA` counts changes that a reader must know.
"""

from __future__ import annotations

import re
from typing import Any

from pydicom.dataset import Dataset

from casgan_dicom.derived.geometry import aspect_ratio
from casgan_dicom.derived.provenance import BANNER_BURNED, view_name
from casgan_dicom.derived.views import view_words
from casgan_dicom.pixels.banner import banner_for
from casgan_dicom.player.order import At, derived_at, leading, times_ms
from casgan_dicom.player.records import laid_over, measured
from casgan_dicom.player.runs import Run, is_derived
from casgan_dicom.player.scene import OpenRun, Scene
from casgan_dicom.player.track import Track
from casgan_dicom.source.acquisition import acquisition_of
from casgan_dicom.source.elements import integer, one_text, several
from casgan_dicom.source.windows import windows_of
from casgan_dicom.verification.roadmap_rules import banner_texts

SCHEMA = 1
"""Version of the JSON form."""
_VIEW = re.compile(r"\b(?:[LR]AO\d+|AP)(?: (?:CRA|CAU)\d+)?\b")
UNORDERED = "the derived cine does not tell which frames of the source it shows: it is not played beside it"


def item_json(scene: Scene) -> dict[str, Any]:
    """Everything about the runs of an exhibit but their pixels, as JSON types."""
    return {"schema": SCHEMA, "runs": [run_json(number, run) for number, run in enumerate(scene.runs)]}


def run_json(number: int, opened: OpenRun) -> dict[str, Any]:
    """One run: its clock, its view, its tracks, and what is known of its frames."""
    run, cine = opened.run, leading(opened.run)
    at = derived_at(run)
    missing = [*opened.missing, *([UNORDERED] if at is None else [])]
    order: At = at or (None,) * cine.frames
    return {
        "number": number,
        "series_uid": cine.series_uid,
        "frames": cine.frames,
        "times_ms": [round(time, 3) for time in times_ms(cine)],
        "rate": round(cine.timing.cine_rate, 2),
        "timing": cine.timing.source,
        "view": _view(run),
        "views": [view_words(*angles) for angles in cine.frame_angles],
        "laterality": one_text(cine.header, "ImageLaterality") or one_text(cine.header, "Laterality"),
        "simulated": run.source is not None and run.source.header.get("SyntheticData") == "YES",
        "synthetic": None if run.derived is None else _synthetic(run.derived.header),
        "missing": missing,
        "r_waves_ms": _r_waves_ms(run),
        "tracks": {name: _track(name, track, order) for name, track in opened.tracks.items()},
        "records": _records(run, order),
    }


def _r_waves_ms(run: Run) -> list[float]:
    return [] if run.source is None else [1000 * time for time in acquisition_of(run.source).r_waves_s]


def _view(run: Run) -> str:
    """The projection; of a derived cine alone, the one that its title tells."""
    if run.source is not None:
        return view_name(run.source.header, motion=run.source.motion)
    title = "" if run.derived is None else one_text(run.derived.header, "SeriesDescription")
    told = _VIEW.search(title)
    return told[0] if told else ""


def _synthetic(header: Dataset) -> dict[str, Any]:
    """Who made a derived cine, since which version, when, and what it says of itself."""
    software = [str(version) for version in several(header.get("SoftwareVersions"))]
    description = str(header.get("DerivationDescription") or "")
    return {
        "generator": one_text(header, "ManufacturerModelName"),
        "version": software[1] if len(software) > 1 else "",
        "program": software[0] if software else "",
        "made": f"{one_text(header, 'ContentDate')} {one_text(header, 'ContentTime')[:6]}".strip(),
        "weights": one_text(header, "DeviceSerialNumber")[:12],
        "warning": str(header.get("ImageComments") or ""),
        "how": description,
        "banner": _banner(header) if BANNER_BURNED in description else None,
    }


def _banner(header: Dataset) -> dict[str, int] | None:
    """Rows and columns that banners of all frames cover, the last ones not among them."""
    frames = max(1, integer(header.get("NumberOfFrames")))
    texts = {banner_texts(header, index) for index in range(frames)}
    try:
        boxes = [banner_for(int(header.Rows), int(header.Columns), text) for text in texts]
    except ValueError:  # a header that says that there is one, in a picture too small for it
        return None
    return {
        "top": min(box.rows.start for box in boxes),
        "bottom": max(box.rows.stop for box in boxes),
        "left": min(box.columns.start for box in boxes),
        "right": max(box.columns.stop for box in boxes),
    }


def _track(name: str, track: Track, order: At) -> dict[str, Any]:
    """One cine: its shape, how its values are looked up, and which frame is shown at which position."""
    cine, header = track.cine, track.cine.header
    window = windows_of(header).chosen
    whole = order == tuple(range(cine.frames))
    return {
        "rows": cine.rows,
        "columns": cine.columns,
        "aspect": aspect_ratio(header) or [1, 1],
        "frames": cine.frames,
        "bits": track.bits,
        "frame_bytes": track.reel.frame_bytes,
        "photometric": one_text(header, "PhotometricInterpretation"),
        "window": list(window) if window else None,
        "display": track.display.describe(),
        "notes": [*track.display.notes, *cine.notes],
        "synthetic": is_derived(header),
        "at": None if name == "source" or whole else list(order),
        "tables": track.tables(),
        "shutters": track.shutters(),
    }


def _records(run: Run, order: At) -> list[dict[str, Any]]:
    """What is known of the frame at each position, positions of which nothing is known left out."""
    if run.derived is None:
        return []
    values = {} if run.report is None else measured(run.report, run.derived)
    roadmap = laid_over(run.derived)
    found = []
    for position, k in enumerate(order):
        if k is not None and (k in values or k in roadmap):
            found.append({"position": position, **values.get(k, {}), "roadmap": roadmap.get(k)})
    return found
