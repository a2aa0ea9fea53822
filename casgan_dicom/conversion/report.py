"""What a conversion did: every output, every series passed over with its reasons, and who made it.

UIDs, counts, coded values and output paths only; no patient data.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from casgan_dicom.conversion.contrast_odds import Reason
from casgan_dicom.conversion.output_folder import Placed
from casgan_dicom.derived.domain_record import DomainRecord
from casgan_dicom.derived.plan_record import PlanRecord
from casgan_dicom.derived.provenance import ModelIdentity
from casgan_dicom.derived.quality import FrameQuality
from casgan_dicom.derived.roadmap_record import RoadmapRecord
from casgan_dicom.pixels.self_check import Decoding

SCHEMA = 4
"""Version of the JSON form."""


@dataclass(frozen=True)
class Seconds:
    """Where the time of one cine went."""

    measure: float
    """First pass: decoding, and the levels of the whole run."""
    check: float
    """Second pass: decoding, and the search for frames that already show contrast."""
    plan: float
    """The plan of what is drawn; next to nothing for a method that makes none."""
    generate: float
    """The generator alone, in the third pass."""
    total: float
    """Everything, from the first byte read to the objects in their places."""


@dataclass(frozen=True)
class FrameContrast:
    """What tells whether a source frame already shows opacified vessels."""

    frame: int
    """Its number, from 1."""
    probability: float
    """That it does."""
    cover: float
    """Share of its visible pixels that the segmentor marks: vessels, but catheter, wires and ribs, too."""
    reason: Reason
    """Why it is judged so."""


@dataclass(frozen=True)
class Output:
    """What one cine became."""

    objects: tuple[Placed, ...]
    """Every object that was made of it; the angiogram, or its first frame, comes first."""
    source_series_uid: str
    """Series Instance UID of the source."""
    source_instances: tuple[str, ...]
    """SOP Instance UIDs of the source."""
    source_frames: int
    """Number of frames of the source."""
    opacified: str
    """Numbers of the source frames that are taken for such as already show opacified vessels, from 1, e.g.
    ``15-62``."""
    contrast: tuple[FrameContrast, ...]
    """Why, of each frame of the source."""
    pixel_sha256: str
    """Hex digest of the stored frames, before compression."""
    frames: int
    """Number of frames that were converted."""
    rows: int
    """Height in pixels."""
    columns: int
    """Width in pixels."""
    bits: int
    """Bits Stored (0028,0101) of the output."""
    frame_time_ms: float
    """Time from one frame to the next; the median where it varies."""
    display: str
    """How stored values of the source became display values."""
    lossy: bool | None
    """Whether source or output were ever compressed with loss; None where the source does not say."""
    mean_attention: float | None
    """Mean of the attention map over all pixels of all frames; None for a method without one."""
    untouched_share: float
    """Share of pixels outside the banner that equal the displayed input."""
    quality: tuple[FrameQuality, ...]
    """What was measured on each frame."""
    seconds: Seconds
    """Where the time went."""
    decoding: Decoding
    """Who decoded the source, whether a second decoder agrees, and the digest of its values."""
    domain: DomainRecord
    """Whether the run is of the kind that the bundle was trained on."""
    warnings: tuple[str, ...] = ()
    """What was unusual about the source."""
    plan: PlanRecord | None = None
    """What was drawn, and where each fact about it is from; None for a method that draws frame by frame."""
    roadmap: RoadmapRecord | None = None
    """What was laid over it out of an earlier run, frame by frame; None where vessels are invented."""
    preview: Path | None = None
    """The contact sheet, where one was asked for."""

    @property
    def path(self) -> Path:
        """Where the angiogram is, or its first frame."""
        return self.objects[0].path

    @property
    def status(self) -> Literal["written", "kept"]:
        """``kept``: all objects were there already."""
        return "kept" if all(one.status == "kept" for one in self.objects) else "written"

    @property
    def series_uid(self) -> str:
        """Series Instance UID (0020,000E) of the angiogram."""
        return self.objects[0].series_uid

    @property
    def sop_instance_uid(self) -> str:
        """SOP Instance UID (0008,0018) of the angiogram, or of its first frame."""
        return self.objects[0].sop_instance_uid


@dataclass(frozen=True)
class Skipped:
    """One cine, or one damaged file, that was not converted."""

    source_series_uid: str
    """Series Instance UID of the source; empty where a file could not be read that far."""
    source_instances: tuple[str, ...]
    """SOP Instance UIDs of the source."""
    reasons: tuple[str, ...]
    """Every reason."""
    forceable: bool = False
    """Whether ``--force`` would convert it."""
    path: Path | None = None
    """The file, where no UID could be read from it."""
    domain: DomainRecord | None = None
    """What was found of a run that is foreign to the bundle; None for any other reason."""


@dataclass(frozen=True)
class ConvertReport:
    """What one call of the pipeline did."""

    outputs: tuple[Output, ...]
    """Every derived object, written or kept."""
    skipped: tuple[Skipped, ...]
    """Every cine that was not converted."""
    warnings: tuple[str, ...]
    """What concerns no single cine, e.g. files passed over."""
    model: ModelIdentity | None = None
    """Who made the outputs; None if nothing was to be made."""
    version: str = ""
    """Version of this package."""
    created: str = ""
    """When, in ISO 8601 with the offset from UTC."""
    schema: int = field(default=SCHEMA)
    """Version of the JSON form."""

    @property
    def exit_code(self) -> int:
        """0: all converted; 3: nothing; 4: some were skipped, or a run was turned away as foreign."""
        if not self.outputs and not any(one.domain for one in self.skipped):
            return 3
        return 4 if self.skipped else 0

    def as_json(self) -> dict[str, Any]:
        """The report as JSON types: paths are strings, tuples are lists."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain


def _plain(value: Any) -> Any:  # noqa: ANN401  # any JSON type
    """`value` with paths as strings and tuples as lists, at every depth."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return str(value) if isinstance(value, Path) else value
