"""An exhibit that is open: its runs, with the tracks that can be played, and what went wrong with others."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from casgan_dicom.errors import PixelError, SeriesError
from casgan_dicom.player.runs import Run, runs_in
from casgan_dicom.player.shelf import Exhibit
from casgan_dicom.player.track import Track
from casgan_dicom.source.series import find_series

TRACKS = ("source", "derived", "attention", "vessels")
"""Names of the tracks of a run."""


@dataclass(frozen=True, eq=False)
class OpenRun:
    """One run, and what of it can be played."""

    run: Run
    """Its cines."""
    tracks: dict[str, Track] = field(default_factory=dict)
    """By their names."""
    missing: tuple[str, ...] = ()
    """What is not there or cannot be shown, one sentence each."""


@dataclass(frozen=True, eq=False)
class Scene:
    """All runs of an exhibit."""

    runs: tuple[OpenRun, ...]
    """At least one."""

    def close(self) -> None:
        """Let go of all decoded frames."""
        for run in self.runs:
            for track in run.tracks.values():
                track.reel.close()


def open_exhibit(exhibit: Exhibit) -> Scene:
    """Find the runs of an exhibit. Only headers are read.

    Raises
    ------
    SeriesError
        None of its files is there, or none holds a picture.
    """
    paths = [path for path in (*exhibit.sources, *exhibit.derived) if path.exists()]
    gone = _gone("source", exhibit.sources) + _gone("derived", exhibit.derived)
    if not paths:
        raise SeriesError("; ".join(gone) or "the item has no files")
    found = find_series(paths)
    counts = Counter(file.reason for file in found.damaged)
    damaged = tuple(f"{count} files were passed over: {reason}" for reason, count in counts.items())
    runs = tuple(_opened(run, (*gone, *damaged)) for run in runs_in(found.cines))
    if not runs:
        raise SeriesError("no picture among the files", hint="pass X-ray runs, or what was made of them")
    return Scene(runs)


def _opened(run: Run, missing: tuple[str, ...]) -> OpenRun:
    """The tracks of a run; a mask of one bit stands in for a vessel map that is not there."""
    cines = {
        "source": run.source,
        "derived": run.derived,
        "attention": run.attention,
        "vessels": run.vessels or run.segmentation,
    }
    said, tracks = list(missing), dict[str, Track]()
    for name, cine in cines.items():
        if cine is None:
            continue
        try:
            tracks[name] = Track(cine)
        except PixelError as error:
            said.append(f"{name} cannot be shown: {error.message}")
    said += _without_partner(run)
    return OpenRun(run, tracks, tuple(said))


def _without_partner(run: Run) -> list[str]:
    if run.source is None:
        return ["the source is not among the files: the derived cine is played alone"]
    if run.derived is None:
        return ["no derived cine among the files: the source is played alone"]
    return []


def _gone(what: str, paths: tuple[Path, ...]) -> tuple[str, ...]:
    count = sum(not path.exists() for path in paths)
    return (f"{count} of {len(paths)} {what} files are no longer there",) if count else ()
