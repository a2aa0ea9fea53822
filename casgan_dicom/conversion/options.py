"""What the caller of a conversion decides: which frames, in which form, with what beside them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from casgan_dicom.conversion.artery import Artery
from casgan_dicom.conversion.reference_choice import ReferenceChoice
from casgan_dicom.derived.provenance import Superseded
from casgan_dicom.errors import ConfigError, SeriesError
from casgan_dicom.pixels.compress import Compression

Bits = Literal[8, 12, 16]

_DEGREES = r"\d{1,3}(?:\.\d{1,3})?"
_ANGLES = re.compile(rf"([+-]?{_DEGREES})\s*[,;\s]\s*([+-]?{_DEGREES})")
_VIEW = re.compile(
    rf"(?:AP|(?P<side>LAO|RAO)\s*(?P<primary>{_DEGREES}))?[\s,/]*"
    rf"(?:(?P<end>CRA(?:N(?:IAL)?)?|CAU(?:D(?:AL)?)?)\s*(?P<secondary>{_DEGREES}))?"
)
USUAL_INJECTION_S = 3.0
"""How long contrast flows where nobody says so: by hand it is two to four seconds."""
_SECONDS = r"\d{1,4}(?:\.\d{1,3})?"
_INJECTION = re.compile(rf"(?P<start>{_SECONDS})(?:\s*,\s*(?P<length>{_SECONDS}))?")
_RANGE = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?")


@dataclass(frozen=True)
class FrameChoice:
    """Which frames of a cine are converted.

    Raises ConfigError for a text that is none of the three.
    """

    text: str = "all"
    """``all``; ``non-contrast``: frames without opacified vessels, before an injection or after it; ``A-B``
    or ``A``: frame numbers from 1, B included."""

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise ConfigError(f"frames are {self.text!r}, need a text: '{self.text}'")
        match = _RANGE.fullmatch(self.text)
        if self.text in ("all", "non-contrast") or (
            match and 1 <= int(match[1]) <= int(match[2] or match[1])
        ):
            return
        raise ConfigError(
            f"frames are '{self.text}', need all, non-contrast, or A-B with 1 <= A <= B",
            hint="frames count from 1, as viewers show them",
        )

    def at_most(self, frames: int) -> int:
        """How many of so many frames may be chosen."""
        match = _RANGE.fullmatch(self.text)
        return min(frames, int(match[2] or match[1]) - int(match[1]) + 1) if match else frames

    def pick(self, opacified: Sequence[bool], sure: Sequence[bool] | None = None) -> tuple[int, ...]:
        """The chosen frames of a cine, from 0 and rising.

        `opacified` says of each frame whether it is taken for one that shows opacified vessels, `sure`
        whether that is certain; None where all of it is. Doubt never leaves a cine without a frame: where
        all are marked, those that are not sure are chosen. Raises SeriesError where no frame is left, or
        the cine has fewer frames than the choice names.
        """
        frames = len(opacified)
        match = _RANGE.fullmatch(self.text)
        if match:
            first, last = int(match[1]), int(match[2] or match[1])
            if last > frames:
                raise SeriesError(f"frames {self.text} were chosen, NumberOfFrames (0028,0008) is {frames}")
            return tuple(range(first - 1, last))
        if self.text == "all":
            return tuple(range(frames))
        chosen = tuple(k for k, shows in enumerate(opacified) if not shows)
        if not chosen and sure is not None:
            chosen = tuple(k for k, shows in enumerate(sure) if not shows)
        if not chosen:
            raise SeriesError(
                f"all {frames} frames show opacified vessels, frames without contrast were asked for",
                hint="--frames all converts them all the same, --frames A-B those that you name",
            )
        return chosen


@dataclass(frozen=True)
class ViewChoice:
    """From where a run was taken, where the caller knows better than header and picture.

    Raises ConfigError for a text that names no view.
    """

    text: str = "auto"
    """``auto``: by the header, else by the picture; a cardiologist's words (``LAO30 CRA20``, ``AP CAU30``,
    ``RAO30``); or primary and secondary positioner angle in degrees (``-30,20``), LAO and cranial above 0."""

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise ConfigError(f"view is {self.text!r}, need a text: '{self.text}'")
        angles = self.angles_deg
        if angles is None and self.text.strip().lower() == "auto":
            return
        if angles is None or abs(angles[0]) > 180 or abs(angles[1]) > 90:
            raise ConfigError(
                f"view is '{self.text}', need auto, words as in 'LAO30 CRA20', or two angles as in -30,20",
                hint="LAO and RAO up to 180, CRA and CAU up to 90 degrees; LAO and CRA are positive",
            )

    @property
    def angles_deg(self) -> tuple[float, float] | None:
        """Primary and secondary angle; None for ``auto``."""
        text = self.text.strip().upper()
        if match := _ANGLES.fullmatch(text):
            return float(match[1]) + 0.0, float(match[2]) + 0.0  # -0 is 0
        match = _VIEW.fullmatch(text)
        if match is None or not text:
            return None
        primary, secondary = (float(match[part] or 0) for part in ("primary", "secondary"))
        rightwards, footwards = match["side"] == "RAO", (match["end"] or "").startswith("CAU")
        return 0.0 - primary if rightwards else primary, 0.0 - secondary if footwards else secondary

    @property
    def name(self) -> str:
        """The view as part of a UID's name: the same for the same angles, however they were written."""
        angles = self.angles_deg
        return "auto" if angles is None else f"{angles[0]:g},{angles[1]:g}"


@dataclass(frozen=True)
class InjectionChoice:
    """When contrast arrives in the vessels that are drawn, and for how long it flows.

    Raises ConfigError for a text that says neither.
    """

    text: str = "none"
    """``none``: the vessels are filled throughout; or seconds after the first frame at which agent leaves the
    catheter, and after a comma for how long it flows if not 3 s: ``0.5`` or ``0.5,2``."""

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise ConfigError(f"injection is {self.text!r}, need a text: '{self.text}'")
        if self.seconds is None and self.text.strip().lower() != "none":
            raise ConfigError(
                f"injection is '{self.text}', need none, or seconds as in 0.5 or 0.5,2",
                hint="when agent leaves the catheter, from 0, and for how long it flows, more than 0",
            )

    @property
    def seconds(self) -> tuple[float, float] | None:
        """Start and length in s; None for ``none``."""
        match = _INJECTION.fullmatch(self.text.strip())
        if match is None:
            return None
        start, length = float(match["start"]), float(match["length"] or USUAL_INJECTION_S)
        return (start, length) if length > 0 else None

    @property
    def name(self) -> str:
        """The injection as part of a UID's name: the same for the same times, however they were written."""
        seconds = self.seconds
        return "none" if seconds is None else f"{seconds[0]:g},{seconds[1]:g}"


def numbers_text(chosen: Sequence[int]) -> str:
    """Rising frame numbers from 0 as text that counts from 1, e.g. ``3-20,25``."""
    runs: list[list[int]] = []
    for k in chosen:
        if runs and k == runs[-1][1] + 1:
            runs[-1][1] = k
        else:
            runs.append([k, k])
    return ",".join(f"{a + 1}" if a == b else f"{a + 1}-{b + 1}" for a, b in runs)


@dataclass(frozen=True)
class ConvertOptions:
    """What the caller decides."""

    banner: bool = True
    """Burn "AI SYNTHETIC - NOT FOR DIAGNOSIS" into every frame."""
    preview: bool = False
    """Write a contact sheet beside each derived series."""
    force: bool = False
    """Convert in spite of declared contrast, subtraction or secondary capture, and pictures foreign to the
    bundle; replace another object of the same source."""
    frames: FrameChoice = field(default_factory=FrameChoice)
    """Which frames of each cine."""
    bits: Bits = 8
    """Bits Stored (0028,0101) of the output; sources of 8 bits are always written in 8."""
    single_frames: bool = False
    """Write each frame as an object of its own instead of one multi-frame object."""
    compression: Compression = field(default_factory=Compression)
    """How Pixel Data (7FE0,0010) is compressed."""
    maps: bool = False
    """Write the attention map and the vessel mask as a second series."""
    seg: bool = False
    """Write the vessel mask as DICOM Segmentation."""
    sr: bool = False
    """Write the quality record as a structured report (TID 1500)."""
    artery: Artery = "auto"
    """Which coronary artery is drawn, by a method that draws anatomy; others do not ask."""
    view: ViewChoice = field(default_factory=ViewChoice)
    """From where the run was taken, likewise."""
    injection: InjectionChoice = field(default_factory=InjectionChoice)
    """When contrast arrives and for how long it flows, likewise."""
    reference: ReferenceChoice | None = None
    """The earlier run whose vessels are laid over this one; None lets a generator invent them."""
    revision: int = 1
    """Which conversion of the series this is, where its frames changed after an earlier one."""
    supersedes: str = ""
    """Series Instance UID (0020,000E) of the derived series of the revision before; empty for none."""
    superseded: tuple[Superseded, ...] = ()
    """Objects of that revision, of all cines."""
    part: str = ""
    """Why the source is known to be a part only, one clause; empty where it is not."""

    def __post_init__(self) -> None:
        """Raise ConfigError where the parts are of another kind, or do not go together."""
        faults = []
        if type(self.bits) is not int or self.bits not in get_args(Bits):
            faults.append(f"bits is {self.bits!r}, want 8, 12 or 16")
        if self.artery not in get_args(Artery):
            faults.append(f"artery is {self.artery!r}, want auto, left or right")
        kinds = (
            ("frames", FrameChoice),
            ("compression", Compression),
            ("view", ViewChoice),
            ("injection", InjectionChoice),
        )
        if not isinstance(self.reference, ReferenceChoice | None):
            faults.append(f"reference is {self.reference!r}, want ReferenceChoice or None")
        for name, kind in kinds:
            if not isinstance(value := getattr(self, name), kind):
                said = f"({str(value)!r})" if isinstance(value, str | int) else ""
                faults.append(f"{name} is {value!r}, want {kind.__name__}{said}")
        if faults:
            raise ConfigError("; ".join(faults))
        self.compression.check_bits(self.bits)
