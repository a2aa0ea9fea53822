"""When a series is converted, by what, and what the rules say of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Priority = Literal["urgent", "routine", "batch"]
PRIORITIES: tuple[Priority, ...] = get_args(Priority)
"""How urgent a job is, the most urgent first."""
Kind = Literal["image", "cine", "rotation", "stepping", "steady"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""What a run may be: a single frame, or several; what moves in it besides the heart, or that nothing does."""


@dataclass(frozen=True)
class CompletionSettings:
    """When a series counts as complete."""

    quiet_seconds: float = 30.0
    """After the last instance, if nothing in the headers tells the number."""
    short_seconds: float = 2.0
    """After the last instance, if every instance is a whole cine, or the expected number is there."""
    promised_seconds: float = 300.0
    """After the last instance, if fewer single frames came than the headers promise; not under the others."""
    cap_seconds: float = 900.0
    """After the first instance, whatever still comes: that becomes another revision."""


@dataclass(frozen=True)
class WorkerSettings:
    """What makes the frames."""

    bundle: str = "atlas"
    """Name of a shipped bundle, or folder of any."""
    devices: tuple[str, ...] = ("auto",)
    """One worker process for each: auto, cpu, cuda or cuda:N."""
    engine: str = "auto"
    """auto, torch or openvino."""
    mode: str = "invent"
    """invent: as the bundle draws; reference: the patient's own, of an earlier run (docs/reference.md)."""
    reference_seconds: float = 7200.0
    """How long a received run may lend its vessels to others of its study."""
    without_reference: str = "skip"
    """What becomes of a run for which there is none: skip, or invent."""
    batch_frames: int = 200
    """A series of more frames is batch: it gives way to others at the border of a batch of frames."""
    deaths: int = 3
    """Deaths of the worker at the same place of a series, without progress, after which it is quarantined."""


@dataclass(frozen=True)
class RuleSettings:
    """What becomes of which series; the first rule that holds decides, of all conditions that it has."""

    name: str
    """What jobs and logs call it: letters, digits, dash and underscore."""
    calling_ae: tuple[str, ...] = ()
    """Condition: one of these AE titles sent the series; * stands for any characters."""
    called_ae: tuple[str, ...] = ()
    """Condition: one of these AE titles was called, likewise."""
    address: tuple[str, ...] = ()
    """Condition: the series came from one of these addresses, or networks as 10.1.0.0/16."""
    header: tuple[str, ...] = ()
    """Conditions on header values, all of which have to hold, as in "Modality = XA"."""
    kind: tuple[str, ...] = ()
    """Condition: one of image (a single frame), cine, rotation, stepping and steady (nothing moves)."""
    primary_angle: tuple[float, float] | None = None
    """Condition: primary angle of a positioner that stands still, from and to degrees; LAO is above 0."""
    secondary_angle: tuple[float, float] | None = None
    """Condition: its secondary angle likewise; cranial is above 0."""
    opacified: str = ""
    """Condition: yes (a frame shows opacified vessels for sure) or no (none does). Needs the pixels."""
    score_below: float | None = None
    """Condition: the out-of-domain score is less; from 1 a run is foreign. Needs the pixels."""
    score_from: float | None = None
    """Condition: the out-of-domain score is that or more. Needs the pixels."""
    convert: bool = True
    """Result: false keeps the series and converts nothing."""
    bundle: str = ""
    """Result: name of a shipped bundle, or folder of any; empty for that of `worker`."""
    mode: str = ""
    """Result: invent or reference; empty for that of `worker`."""
    bits: int = 8
    """Result: bits stored, 8, 12 or 16; sources of 8 bits give 8."""
    compression: str = "none"
    """Result: none, rle, jpegls or j2k; or jpeg with a quality, as jpeg90, which loses some."""
    frames: str = "all"
    """Result: all, non-contrast, or A-B counted from 1."""
    single_frame: bool = False
    """Result: each frame an object of its own."""
    maps: bool = False
    """Result: attention map and vessel mask too, as a second series."""
    seg: bool = False
    """Result: the vessel mask too, as DICOM Segmentation."""
    sr: bool = False
    """Result: the quality record too, as a structured report."""
    review: str = ""
    """Result: a verdict about it is sent as sr or ko, or not at all (none); empty for that of `review`."""
    priority: str = ""
    """Result: urgent, routine or batch; empty: as without rules."""
    destinations: tuple[str, ...] | None = None
    """Result: names of destinations; absent: all of them; an empty list: the outbox only."""
