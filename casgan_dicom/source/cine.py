"""A run of frames, its instances and its series: what all others speak of.

``header.py`` reads an instance, ``grouping.py`` makes cines of the instances of a series, ``series.py`` finds
every series in a folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset

from casgan_dicom.source.timing import FrameTiming


@dataclass(frozen=True)
class Instance:
    """One SOP instance in one file."""

    path: Path
    """The file that holds it."""
    sop_instance_uid: str
    """SOP Instance UID (0008,0018)."""
    frames: int
    """Number of Frames (0028,0008); 1 where absent, 0 where the header says nonsense."""
    transfer_syntax: str
    """Transfer Syntax UID (0002,0010)."""
    has_pixels: bool
    """Whether the file holds Pixel Data (7FE0,0010) at all."""
    overlay_in_pixels: bool = False
    """Whether an overlay lies in bits of the pixels' words, by its Overlay Bit Position (60xx,0102)."""


@dataclass(frozen=True, eq=False)
class Cine:
    """One run of frames, the unit of conversion."""

    series_uid: str
    """Series Instance UID (0020,000E)."""
    instances: tuple[Instance, ...]
    """One multi-frame instance, or the single-frame instances in the order of time."""
    headers: tuple[Dataset, ...]
    """Headers of all instances without Pixel Data, in the order of `instances`, each with its `file_meta`."""
    frames: int
    """Frames that the headers promise, over all instances."""
    rows: int
    """Rows (0028,0010); 0 where absent."""
    columns: int
    """Columns (0028,0011); 0 where absent."""
    timing: FrameTiming
    """When the frames were taken."""
    frame_vois: tuple[Dataset, ...] = ()
    """What decides the display values of each frame, equal ones the same object; empty: `header` for all."""
    frame_shutters: tuple[Dataset, ...] = ()
    """The shutters of each frame, equal ones the same object; empty: those of `header` are for all."""
    frame_contrast: tuple[bool, ...] = ()
    """Whether contrast had been administered by the time of each frame; empty where no header says."""
    frame_angles: tuple[tuple[float, float], ...] = ()
    """Primary and secondary angle of each frame in degrees; empty: those of `header` are for all."""
    frame_delays_ms: tuple[float | None, ...] = ()
    """How long after an R wave each frame was taken, None where unknown; empty where no header says."""
    frame_tables: tuple[tuple[float, float, float], ...] = ()
    """Vertical, lateral and longitudinal position of the table top of each frame in mm; empty where no
    functional group, or no header of single frames, says them all."""
    waveforms: tuple[Dataset, ...] = ()
    """Headers of the waveform objects beside it that share its clock (``ecg_waveform.py``)."""
    motion: tuple[str, ...] = ()
    """What moves during the run: `rotation` of the positioner, `stepping` of the table; see ``motion.py``."""
    faults: tuple[str, ...] = ()
    """Why its headers cannot be relied on, one sentence each; empty for a cine that may be converted."""
    notes: tuple[str, ...] = ()
    """What was odd about the headers and how it was read, one sentence each."""

    @property
    def header(self) -> Dataset:
        """The first of `headers`: what may not vary in a run is the same in all of them."""
        return self.headers[0]


@dataclass(frozen=True)
class Series:
    """The cines that share a Series Instance UID (0020,000E)."""

    uid: str
    """Series Instance UID."""
    cines: tuple[Cine, ...]
    """At least one, in the order of time or Instance Number (0020,0013)."""
    faults: tuple[str, ...] = ()
    """Why its instances cannot be told apart, one sentence each; empty for a series that may be converted."""
