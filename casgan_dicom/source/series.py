"""Every series in files and folders, and what was passed over.

A *series* is what a Series Instance UID names; a *cine* is one run of frames to convert (``grouping.py``).
File names mean nothing: everything is keyed by SOP Instance UID (0008,0018). Only headers are read
(``header.py``), and Pixel Data (7FE0,0010) where two files share a UID (``copies.py``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydicom.dataset import Dataset

from casgan_dicom.errors import SeriesError
from casgan_dicom.source.cine import Cine, Series
from casgan_dicom.source.copies import differences
from casgan_dicom.source.ecg_waveform import waveforms_beside
from casgan_dicom.source.grouping import cines_of
from casgan_dicom.source.header import ARCHIVE, DICOMDIR, Head, SkippedFile, read_head, unreadable
from casgan_dicom.source.inflate import HeaderBudget
from casgan_dicom.source.paths import files_below, refuse_unreachable
from casgan_dicom.uids import is_like_uid

DUPLICATE = "another copy of a SOP Instance UID (0008,0018)"
"""Reason to pass over a file: its content is that of another one."""
NOWHERE = "a link that leads nowhere"
"""Reason to pass over what may have been part of a run, but is no file."""
_NAMED_AT_MOST = 5
"""How many of the elements that differ are named."""


@dataclass(frozen=True)
class Found:
    """What a search brought to light."""

    series: tuple[Series, ...]
    """In the order of their UIDs."""
    skipped: tuple[SkippedFile, ...]
    """Every file that was passed over, the damaged ones included."""

    @property
    def cines(self) -> tuple[Cine, ...]:
        """All cines of all series."""
        return tuple(cine for series in self.series for cine in series.cines)

    @property
    def damaged(self) -> tuple[SkippedFile, ...]:
        """Files passed over that may have been part of a run: it may not pass for whole without them."""
        return tuple(file for file in self.skipped if file.damaged)

    @property
    def skipped_counts(self) -> Mapping[str, int]:
        """How many files that are not damaged were passed over for each reason, the most frequent first."""
        return _counts([file for file in self.skipped if not file.damaged])


def find_series(paths: Sequence[Path]) -> Found:
    """Find every series in files and folders.

    Parameters
    ----------
    paths
        Files, or folders that are searched with all their sub-folders, links to folders among them; none is
        searched twice.
        File names and endings do not matter.

    Returns
    -------
    Found
        At least one series, and every file that was passed over with the reason. The order depends on the
        content only, not on names or on the file system.

    Raises
    ------
    SeriesError
        A path does not exist or cannot be reached, or no file holds a whole DICOM header.
    """
    refuse_unreachable(paths)
    files, skipped = _files(paths)
    instances: dict[str, _Instances] = {}
    budget = HeaderBudget()
    for path in files:
        head = read_head(path, budget)
        if isinstance(head, SkippedFile):
            skipped.append(head)
            continue
        same_uid = instances.setdefault(head.instance.sop_instance_uid, _Instances([], {}))
        if (copy := _added(head, same_uid)) is not None:
            skipped.append(copy)
    if not instances:
        raise _nothing_found(paths, skipped)
    by_series: dict[str, list[Head]] = {}
    faults: dict[str, dict[str, None]] = {}
    for _, same_uid in sorted(instances.items()):
        for head in same_uid.heads:
            series_uid = str(head.ds.SeriesInstanceUID)
            by_series.setdefault(series_uid, []).append(head)
            if len(same_uid.heads) > 1:
                faults.setdefault(series_uid, {})[_one_uid(same_uid)] = None
    waveforms = [head.ds for same_uid in instances.values() for head in same_uid.heads if _is_waveform(head)]
    series = (
        Series(uid, _with_waveforms(cines_of(uid, by_series[uid]), waveforms), tuple(faults.get(uid, ())))
        for uid in sorted(by_series)
    )
    return Found(tuple(series), tuple(skipped))


@dataclass(frozen=True)
class _Instances:
    """What is found under one SOP Instance UID (0008,0018)."""

    heads: list[Head]
    """Different instances; one, where the UID is what it should be."""
    differ: dict[str, None]
    """The elements in which they differ, each once."""


def _is_waveform(head: Head) -> bool:
    """Whether it is no run of images, but a recording beside one."""
    return not head.instance.has_pixels and "WaveformSequence" in head.ds


def _with_waveforms(cines: tuple[Cine, ...], waveforms: Sequence[Dataset]) -> tuple[Cine, ...]:
    """Each cine with the waveform objects of its clock."""
    return tuple(replace(cine, waveforms=waveforms_beside(cine.header, waveforms)) for cine in cines)


def _added(head: Head, same_uid: _Instances) -> SkippedFile | None:
    """Add an instance to those of its UID; the file to pass over where it is a copy of one."""
    for known in same_uid.heads:
        try:
            differ = differences(known, head)
        except Exception as error:  # it was readable before; a parser fed with garbage raises anything
            return unreadable(head.instance.path, error)
        if not differ:
            return SkippedFile(head.instance.path, DUPLICATE)
        same_uid.differ.update(dict.fromkeys(differ))
    same_uid.heads.append(head)
    return None


def _one_uid(same_uid: _Instances) -> str:
    """The fault of different instances under one UID: what they differ in, never its value."""
    uid = same_uid.heads[0].instance.sop_instance_uid
    shown = f" {uid}" if is_like_uid(uid) else ""
    names = list(same_uid.differ)
    named = ", ".join(names[:_NAMED_AT_MOST])
    more = f" and {len(names) - _NAMED_AT_MOST} more" if len(names) > _NAMED_AT_MOST else ""
    count = len(same_uid.heads)
    return (
        f"SOPInstanceUID (0008,0018){shown} is that of {count} different instances, need one: "
        f"they differ in {named}{more}"
    )


def _files(paths: Sequence[Path]) -> tuple[list[Path], list[SkippedFile]]:
    """Every regular file once, and what is out of reach."""
    seen: set[Path] = set()
    files: list[Path] = []
    skipped: list[SkippedFile] = []
    for top in paths:
        for path in _inside(top, skipped) if top.is_dir() else [top]:
            try:
                if path.is_file() and (real := path.resolve()) not in seen:
                    seen.add(real)
                    files.append(path)
                if path.is_symlink() and not path.exists():
                    skipped.append(SkippedFile(path, NOWHERE))
            except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
                skipped.append(unreadable(path, error))
    return files, skipped


def _inside(top: Path, skipped: list[SkippedFile]) -> list[Path]:
    """All names below a folder, sorted so that the walk is the same everywhere.

    Folders that cannot be searched are added to `skipped`; SeriesError if `top` itself is one.
    """

    def out_of_reach(error: OSError) -> None:
        folder = unreadable(Path(error.filename), error)
        if folder.path == top:
            raise SeriesError(f"{top}: {folder.reason}", hint="check the right to read the folder") from error
        skipped.append(folder)

    return files_below(top, out_of_reach)


def _nothing_found(paths: Sequence[Path], skipped: Sequence[SkippedFile]) -> SeriesError:
    """The error for a search without any DICOM instance: nothing there, or nothing that is whole."""
    names = ", ".join(str(path) for path in paths) or "nothing given"
    counts = "; ".join(f"{count} × {reason}" for reason, count in _counts(skipped).items())
    if any(file.damaged for file in skipped):
        return SeriesError(
            f"{names}: no DICOM file that is whole ({counts})",
            hint="fetch damaged or incomplete files again from the archive; unreadable ones need permission",
        )
    return SeriesError(
        f"{names}: no DICOM files" + (f" ({counts})" if counts else ""),
        hint=_hint_for({file.reason for file in skipped}),
    )


def _hint_for(reasons: set[str]) -> str:
    """What to do where files were found, but none of an image."""
    if any(reason.startswith(ARCHIVE) for reason in reasons):
        return "unpack the archive and pass the folder that it was unpacked to"
    if DICOMDIR in reasons:
        return "a DICOMDIR only lists files: pass the folder that holds them, the whole medium for instance"
    return "pass the folder that holds the DICOM files of an XA or RF series"


def _counts(skipped: Sequence[SkippedFile]) -> dict[str, int]:
    """How many files there are for each reason, the most frequent first."""
    return dict(Counter(file.reason for file in skipped).most_common())
