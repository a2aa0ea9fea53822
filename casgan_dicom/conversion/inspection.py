"""What `convert` would do with files, and why, told from their headers.

Nothing is decoded and nothing written, but the stored stream is walked through: how much of it there is,
where its frames begin, and what it has lost. What the pixels alone can tell (a damaged frame, vessels that
already hold contrast) shows first in a conversion.

No patient data: UIDs, coded values, counts and measures only. File names may hold a patient's name and are
left out, too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from pydicom.config import IGNORE
from pydicom.dataset import Dataset
from pydicom.uid import UID

from casgan_dicom.conversion.notes import notes_about
from casgan_dicom.derived.history import unknown_history
from casgan_dicom.derived.provenance import view_name
from casgan_dicom.errors import PixelError
from casgan_dicom.pixels.display import Display
from casgan_dicom.pixels.layout import layout_notes
from casgan_dicom.pixels.lossy import lossy_history
from casgan_dicom.pixels.syntaxes import decoder_name
from casgan_dicom.source.cine import Cine, Series
from casgan_dicom.source.elements import integer
from casgan_dicom.source.eligible import (
    MAX_BYTES,
    Reason,
    declared_in,
    reasons_against,
    reasons_against_series,
)
from casgan_dicom.source.paths import Paths, as_paths
from casgan_dicom.source.series import find_series
from casgan_dicom.source.shutters import shutter_shapes
from casgan_dicom.uids import shown_uid

SCHEMA = 1
"""Version of the JSON form."""

_CODE = re.compile(r"[A-Z0-9_]{1,16}")


@dataclass(frozen=True)
class Stored:
    """How the frames lie in the files."""

    sop_class: str
    """Name of the SOP Class UID (0008,0016)."""
    modality: str
    """Modality (0008,0060)."""
    transfer_syntaxes: tuple[str, ...]
    """Names of the Transfer Syntax UIDs (0002,0010) of all instances."""
    decoders: tuple[str, ...]
    """What decodes each of them; empty where nothing here does."""
    frames: int
    """Number of frames over all instances."""
    rows: int
    """Height of each."""
    columns: int
    """Width of each."""
    bits_allocated: int
    """Bits Allocated (0028,0100)."""
    bits_stored: int
    """Bits Stored (0028,0101)."""
    photometric: str
    """Photometric Interpretation (0028,0004)."""
    intensity: str
    """Pixel Intensity Relationship (0028,1040); empty where absent."""


@dataclass(frozen=True)
class Shown:
    """How the frames are read: as display values, at which times, with what around them."""

    display: str
    """From stored values to display values; empty where that cannot be told."""
    shutters: tuple[str, ...]
    """Shutter Shape (0018,1600) of the first frame."""
    visible_share: float
    """Share of the first frame that its shutters leave visible."""
    frame_time_ms: float
    """Time from one frame to the next; the median where it varies."""
    irregular: bool
    """Whether it varies."""
    timing_source: str
    """Where the times were read."""
    view: str
    """The projection, e.g. ``RAO30 CRA20``, or how the run moves; empty where the angles are unknown."""
    marks: tuple[str, ...]
    """What speaks of contrast or subtraction in the headers."""
    lossy: str
    """Lossy compressions, oldest first; empty where none is known, or where a reason stands against the cine
    anyway."""
    unsaid: str = ""
    """What the headers leave open about identity in the pixels and earlier loss; empty likewise."""


@dataclass(frozen=True)
class Form:
    """What would be written without further options."""

    sop_class: str
    """Name of the SOP class."""
    pixel_bytes: int
    """Length of its Pixel Data (7FE0,0010)."""
    bits: tuple[int, ...]
    """What ``--bits`` may ask for; above 8 it becomes a Grayscale Word Secondary Capture."""


@dataclass(frozen=True)
class InspectedCine:
    """One run of frames, and what would become of it."""

    series_uid: str
    """Series Instance UID (0020,000E)."""
    instances: tuple[str, ...]
    """SOP Instance UIDs (0008,0018), in the order of time."""
    stored: Stored
    """How it lies in the files."""
    shown: Shown
    """How it is read."""
    reasons: tuple[Reason, ...]
    """Why it would not be converted, every reason; empty if it would."""
    warnings: tuple[str, ...]
    """What is unusual about it: how its frames were grouped, overlays that are not drawn, odd values."""
    output: Form | None
    """What would be written, with ``--force`` where that helps; None where nothing would."""

    @property
    def converted(self) -> bool:
        """Whether it would be converted."""
        return not self.reasons

    @property
    def forceable(self) -> bool:
        """Whether ``--force`` would convert it although there are reasons."""
        return bool(self.reasons) and all(reason.forceable for reason in self.reasons)


@dataclass(frozen=True)
class Inspection:
    """What was found in files and folders."""

    cines: tuple[InspectedCine, ...]
    """Every cine, whether it would be converted or not."""
    damaged: Mapping[str, int]
    """How many files that may belong to a cine are broken, for each reason."""
    passed_over: Mapping[str, int]
    """How many other files belong to none, for each reason."""

    @property
    def exit_code(self) -> int:
        """0: all would be converted; 3: nothing; 4: some would be skipped."""
        if not any(cine.converted for cine in self.cines):
            return 3
        return 0 if all(cine.converted for cine in self.cines) and not self.damaged else 4

    def as_json(self) -> dict[str, Any]:
        """The result as JSON types."""
        cines = [
            {**asdict(cine), "would_convert": cine.converted, "forceable": cine.forceable}
            for cine in self.cines
        ]
        return {
            "schema": SCHEMA,
            "cines": cines,
            "damaged": dict(self.damaged),
            "passed_over": dict(self.passed_over),
        }


def inspect(paths: Paths) -> Inspection:
    """Say what `convert` would do with every cine in files and folders.

    Parameters
    ----------
    paths
        A file or folder, or several; only read. Folders are searched with all their sub-folders.

    Returns
    -------
    Inspection
        Every cine, in the order of the series UIDs.

    Raises
    ------
    ConfigError
        No path is given.
    SeriesError
        A path is not there, or there is no DICOM file at all.
    """
    found = find_series(as_paths(paths))
    cines = [_inspect(cine, series) for series in found.series for cine in series.cines]
    damaged: dict[str, int] = {}
    for file in found.damaged:
        damaged[file.reason] = damaged.get(file.reason, 0) + 1
    return Inspection(tuple(cines), damaged, dict(found.skipped_counts))


def _inspect(cine: Cine, series: Series) -> InspectedCine:
    """One cine: what its headers say first, then what can only be read where they are sound."""
    stored, shown = _stored(cine), _times_and_marks(cine)
    reasons = [*reasons_against_series(series), *reasons_against(cine)]
    reasons += _undecodable(cine, stored)
    notes: list[str] = []
    if all(reason.forceable for reason in reasons):
        try:
            notes += layout_notes(cine)
            shown = _picture(cine, shown, notes)
        except PixelError as error:
            reasons.append(Reason(error.message, forceable=False))
    hard = not all(reason.forceable for reason in reasons)
    return InspectedCine(
        series_uid=shown_uid(cine.series_uid),
        instances=tuple(shown_uid(instance.sop_instance_uid) for instance in cine.instances),
        stored=stored,
        shown=shown,
        reasons=tuple(reasons),
        warnings=(*notes_about(cine), *notes),
        output=None if hard else _form(stored),
    )


def _undecodable(cine: Cine, stored: Stored) -> list[Reason]:
    """A reason where nothing here decodes the frames; without frames there is another one already."""
    named = zip(stored.transfer_syntaxes, stored.decoders, strict=True)
    unknown = ", ".join(name for name, decoder in named if not decoder)
    if not unknown or not all(instance.has_pixels for instance in cine.instances):
        return []
    found = f"TransferSyntaxUID (0002,0010) is '{unknown}'"
    return [Reason(f"{found}, which nothing here decodes", forceable=False)]


def _stored(cine: Cine) -> Stored:
    ds = cine.header
    syntaxes = [UID(uid, IGNORE) for uid in dict.fromkeys(i.transfer_syntax for i in cine.instances)]
    return Stored(
        sop_class=_name(str(ds.get("SOPClassUID") or "")),
        modality=_code(ds.get("Modality")),
        transfer_syntaxes=tuple(_name(uid) for uid in syntaxes),
        decoders=tuple(decoder_name(uid) for uid in syntaxes),
        frames=cine.frames,
        rows=cine.rows,
        columns=cine.columns,
        bits_allocated=integer(ds.get("BitsAllocated")),
        bits_stored=integer(ds.get("BitsStored")),
        photometric=_code(ds.get("PhotometricInterpretation")),
        intensity=_code(ds.get("PixelIntensityRelationship")),
    )


def _times_and_marks(cine: Cine) -> Shown:
    """What is read from any header, however broken."""
    return Shown(
        display="",
        shutters=(),
        visible_share=1.0,
        frame_time_ms=cine.timing.frame_time_ms,
        irregular=cine.timing.vector_ms is not None,
        timing_source=cine.timing.source,
        view=view_name(cine.header, motion=cine.motion),
        marks=_marks(cine),
        lossy="",
    )


def _marks(cine: Cine) -> tuple[str, ...]:
    """Contrast and subtraction as the headers speak of them, each sentence once."""
    said = [mark for header in cine.headers for mark in _marks_of(header)]
    if cine.frame_contrast:
        said.append(f"contrast by the time of {sum(cine.frame_contrast)} of {cine.frames} frames")
    return tuple(dict.fromkeys(said))


def _marks_of(ds: Dataset) -> list[str]:
    declared = declared_in(ds)
    said = [f"{element} is not empty" for element in declared.agents]
    for operation in declared.mask_operations:
        said.append(f"MaskOperation (0028,6101) is {_code(operation) or 'absent'}")
    if mode := _code(declared.viewing_mode):
        said.append(f"RecommendedViewingMode (0028,1090) is {mode}")
    return said


def _picture(cine: Cine, shown: Shown, notes: list[str]) -> Shown:
    """`shown` with display, shutters and loss, oddities in `notes`; PixelError where these cannot be told."""
    display, history = Display.of(cine), lossy_history(cine)
    notes += display.notes
    shutters = shutter_shapes((cine.frame_shutters or (cine.header,))[0])
    methods = [f"{method} {ratio:g}" for method, ratio in zip(history.methods, history.ratios, strict=True)]
    return replace(
        shown,
        display=display.describe(),
        shutters=tuple(shape for shape in shutters if _CODE.fullmatch(shape)),
        visible_share=float(display.visible(0).mean()),
        lossy=", ".join(methods) or ("of unknown kind" if history.lossy else ""),
        unsaid=unknown_history(cine.headers, lossy=history.lossy),
    )


def _form(stored: Stored) -> Form:
    """What would be written: bytes unless more bits are asked for, which a source of 8 bits does not have."""
    length = stored.frames * stored.rows * stored.columns
    words = stored.bits_stored > 8 and 2 * length <= MAX_BYTES
    name = "Multi-frame Grayscale Byte Secondary Capture Image Storage"
    return Form(name, length + length % 2, (8, 12, 16) if words else (8,))


def _name(uid: str) -> str:
    """Name of a UID; the UID itself where it has none, nothing where it is no UID."""
    if not uid:
        return "absent"
    return UID(shown_uid(uid), IGNORE).name


def _code(value: object) -> str:
    """A coded value; empty where there is none, or where it is no code and may be anything."""
    text = str(value or "")
    return text if _CODE.fullmatch(text) else ""
