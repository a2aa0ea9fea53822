"""The folders of XCAD, a set of coronary angiograms (Ma et al., ICCV 2021; may not be redistributed).

    train/trainB   angiograms                 → domain Y
    train/trainC   frames before the contrast → domain X
    test/images    angiograms …               → the segmentor
    test/masks     … and their vessels, 0 and 255 (or 0 and 1)

All are grey PNG, 512 × 512. A name carries sequence, C-arm angles and frame: 000_PPA_44_PSA_00_8.png; the
same names stand in trainB and trainC. The set does not say whose a sequence is, so the number that a name
begins with stands for the patient.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

import numpy as np

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.data.frames import Masks, Series
from casgan_dicom.model.data.image_folder import OneDepth, read_png, read_still, stacked

ANGIOGRAMS = PurePath("train", "trainB")
"""Folder of domain Y."""
BACKGROUNDS = PurePath("train", "trainC")
"""Folder of domain X."""
LABELLED = PurePath("test", "images")
"""Folder of the labelled angiograms."""
MASKS = PurePath("test", "masks")
"""Folder of their vessel masks."""
LAYOUT = (ANGIOGRAMS, BACKGROUNDS, LABELLED, MASKS)
"""All folders of the set."""

_NAMED = 8
"""Names that a message lists at most."""


@dataclass(frozen=True)
class FrameName:
    """What the name of a file says."""

    patient: str
    """Number of the sequence: all up to the first underscore."""
    series: str
    """Sequence and C-arm angles: all up to the last underscore."""
    frame: str
    """The rest."""

    @classmethod
    def of(cls, path: PurePath) -> FrameName:
        """Read a name; one without underscores is a sequence of its own."""
        series, _, frame = path.stem.rpartition("_")
        return cls(path.stem.partition("_")[0], series or path.stem, frame)

    @property
    def place(self) -> tuple[str, int, str]:
        """Sorts by series, then by time: 8 before 10."""
        return self.series, int(self.frame) if self.frame.isdecimal() else -1, self.frame


def xcad_root(path: Path) -> Path:
    """Find the folder that holds train/ and test/: `path` itself or one below it.

    Raises ConfigError that says what was looked for and what was found.
    """
    if not path.is_dir():
        raise ConfigError(f"no folder '{path.name}'", hint="want xcad:PATH of the unpacked set")
    below = sorted(child for child in path.iterdir() if child.is_dir())
    found = [root for root in (path, *below) if not _missing(root)]
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigError(
            f"'{path.name}' holds XCAD {len(found)} times", hint="name the folder that holds train/"
        )
    nearest = min((path, *below), key=lambda root: len(_missing(root)))
    missing = ", ".join(folder.as_posix() for folder in _missing(nearest))
    names = [child.name for child in sorted(path.iterdir())]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    raise ConfigError(
        f"'{nearest.name}' lacks {missing}; '{path.name}' holds"
        f" {', '.join(names[:_NAMED]) or 'nothing'}{more}",
        hint="XCAD wants " + ", ".join(folder.as_posix() for folder in LAYOUT),
    )


def _missing(root: Path) -> list[PurePath]:
    return [folder for folder in LAYOUT if not (root / folder).is_dir()]


def read_frames(root: Path, folder: PurePath) -> Iterator[Series]:
    """Read one of the four folders of `root`, each sequence a series, in order of sequence and time.

    Raises ConfigError for an empty folder, or a file that is no grey frame or of another bit depth.
    """
    depth = OneDepth()
    sequences: dict[str, list[Path]] = {}
    patients: dict[str, str] = {}
    for path in _pictures(root, folder):
        name = FrameName.of(path)
        patients[name.series] = name.patient
        sequences.setdefault(name.series, []).append(path)
    for series, paths in sequences.items():
        stills = [read_still(path, path.relative_to(root), depth) for path in paths]
        yield from stacked(stills, series, patients[series])


def read_labelled(root: Path) -> Iterator[Series]:
    """Read the labelled angiograms of `root`, each a series of one frame with its vessel mask.

    Raises ConfigError for names without a partner, sizes that differ, or masks of more than two values.
    """
    images, masks = ({path.name: path for path in _pictures(root, folder)} for folder in (LABELLED, MASKS))
    if lonely := sorted(images.keys() ^ masks.keys()):
        where = LABELLED if lonely[0] in images else MASKS
        raise ConfigError(f"{where / lonely[0]}: no file of this name in the other of {LABELLED} and {MASKS}")
    depth = OneDepth()
    for name, path in images.items():
        frame = read_still(path, path.relative_to(root), depth)
        mask = _read_mask(masks[name], masks[name].relative_to(root))
        if mask.shape != frame.shape:
            raise ConfigError(f"{MASKS / name}: {mask.shape} pixels, its angiogram has {frame.shape}")
        said = FrameName.of(path)
        yield replace(Series(frame[None], said.series, said.patient), masks=mask[None])


def _pictures(root: Path, folder: PurePath) -> list[Path]:
    found = [path for path in (root / folder).iterdir() if path.suffix.lower() == ".png" and path.is_file()]
    kept = [path for path in found if not path.name.startswith(".")]
    if not kept:
        raise ConfigError(f"{folder.as_posix()} of '{root.name}' holds no PNG")
    return sorted(kept, key=lambda path: (FrameName.of(path).place, path.name))


def _read_mask(path: Path, name: PurePath) -> Masks:
    pixels, _ = read_png(path, name)
    values = np.unique(pixels).tolist()
    if not (set(values) <= {0, 255} or set(values) <= {0, 1}):
        listed = ", ".join(map(str, values[:_NAMED])) + (" …" if len(values) > _NAMED else "")
        raise ConfigError(f"{name}: a mask of values {listed}, want 0 and 255 (or 0 and 1)")
    return np.asarray(pixels > 0)
