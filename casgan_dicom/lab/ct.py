"""Labelled CT volumes for the simulator, read with SimpleITK.

A folder holds `chest_ct.nii.gz` (HU), `labels.nii.gz` (structure numbers on the same grid) and
`structures.csv` (columns `structure` and `id`, names as TotalSegmentator gives them). SimpleITK turns the RAS
geometry of NIfTI into LPS, the coordinates of DICOM, which the simulator uses too.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk  # noqa: N813 - the name its own documents use

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.simulator.background import BackgroundSource
from casgan_dicom.model.simulator.ct import CtBackgrounds

VOLUME_NAME = "chest_ct.nii.gz"
LABELS_NAME = "labels.nii.gz"
STRUCTURES_NAME = "structures.csv"


@dataclass(frozen=True)
class CtVolume:
    """A CT with a label for every voxel."""

    hu: npt.NDArray[np.int16]
    """Hounsfield units, (slices, rows, columns)."""
    labels: npt.NDArray[np.uint8]
    """Structure number of each voxel, 0 for none, the shape of `hu`."""
    voxel_to_patient: npt.NDArray[np.float64]
    """(4, 4): (column, row, slice, 1) to LPS mm."""
    structures: Mapping[str, int]
    """Structure number by name."""


def read_ct(folder: Path) -> CtVolume:
    """Read a labelled CT.

    Parameters
    ----------
    folder
        Holds the three files named at the top of this module.

    Raises
    ------
    ConfigError
        The folder or a file is missing, a file cannot be read, the grids differ, or a needed structure
        is not named.
    """
    names = (VOLUME_NAME, LABELS_NAME, STRUCTURES_NAME)
    if not folder.is_dir():
        raise ConfigError(
            f"CT folder {folder}: no such folder", hint=f"pass a folder that holds {', '.join(names)}"
        )
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise ConfigError(
            f"CT folder {folder}: {', '.join(missing)} not found", hint=f"it needs {', '.join(names)}"
        )
    structures = _read_structures(folder / STRUCTURES_NAME)
    hu, voxel_to_patient = _read_image(folder / VOLUME_NAME)
    labels, _ = _read_image(folder / LABELS_NAME)
    if hu.shape != labels.shape:
        raise ConfigError(
            f"CT folder {folder}: {VOLUME_NAME} has {hu.shape} voxels,"
            f" {LABELS_NAME} {labels.shape}; they must agree"
        )
    return CtVolume(
        hu=np.clip(hu, -1024, 4000).astype(np.int16),
        labels=labels.astype(np.uint8),
        voxel_to_patient=voxel_to_patient,
        structures=structures,
    )


def ct_digest(folder: Path) -> str:
    """SHA-256 over the names and the bytes of a CT folder's three files, 16 hexadecimal digits.

    Raises ConfigError when one of them is missing.
    """
    digest = hashlib.sha256()
    for name in (VOLUME_NAME, LABELS_NAME, STRUCTURES_NAME):
        if not (folder / name).is_file():
            raise ConfigError(
                f"CT folder '{folder.name}' holds no {name}",
                hint=f"a labelled CT is {VOLUME_NAME}, {LABELS_NAME} and {STRUCTURES_NAME}",
            )
        with (folder / name).open("rb") as file:
            digest.update(name.encode() + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


def ct_backgrounds(folder: Path) -> BackgroundSource:
    """Read a labelled CT and make backgrounds of it."""
    volume = read_ct(folder)
    return CtBackgrounds(volume.hu, volume.labels, volume.voxel_to_patient, volume.structures)


def _read_structures(path: Path) -> dict[str, int]:
    """Structure numbers by name; the heart must be among them."""
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            structures = {row["structure"]: int(row["id"]) for row in csv.DictReader(lines)}
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{path}: not a table of structures ({error})", hint="columns structure,id"
        ) from error
    if "heart" not in structures:
        raise ConfigError(f"{path}: no structure is named 'heart'", hint="use the names of TotalSegmentator")
    return structures


def _read_image(path: Path) -> tuple[npt.NDArray[np.number], npt.NDArray[np.float64]]:
    """Voxels (slices, rows, columns), and the (4, 4) map from voxel indices to LPS mm."""
    try:
        image: Any = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise ConfigError(f"{path}: SimpleITK cannot read it", hint="a NIfTI volume is wanted") from error
    if image.GetDimension() != 3:
        raise ConfigError(f"{path}: {image.GetDimension()} dimensions found, 3 wanted")
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    return sitk.GetArrayFromImage(image), affine
