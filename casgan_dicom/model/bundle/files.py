"""The files of a bundle: their names, that each is the one that config.json means, and arrays in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file

from casgan_dicom.disk import file_sha256
from casgan_dicom.errors import WeightsError
from casgan_dicom.model.bundle.shelf import SEGMENTOR_NAME, bundle_file

WEIGHT_FILES = ("model.safetensors", SEGMENTOR_NAME)
DOMAIN_NAME = "domain.safetensors"
"""File of what is known of the kind of the training frames."""
ENGAGEMENT_NAME = "engagement.safetensors"
"""File of the network that tells in which artery a catheter lies."""
LIMIT, FIRST_LAYER = "limit", "tip.stem.0.weight"
"""Arrays of that file: the limit of the judge, and the one whose length is the width of half the network."""


def checked_files(folder: Path, config: Mapping[str, Any], needed: Iterable[str]) -> dict[str, Path]:
    """Find each file that config.json names or that is needed; raises WeightsError for a wrong SHA-256."""
    files = {name: bundle_file(folder, name) for name in dict.fromkeys((*needed, *config["sha256"]))}
    for name, path in files.items():
        wanted = config["sha256"].get(name)
        found = file_sha256(path) if path.is_file() else None
        if found != wanted or wanted is None:
            raise WeightsError(
                f"bundle '{folder.name}': {name} has SHA-256 {found or '(no file)'}, "
                f"config.json says {wanted}",
                hint="the bundle is damaged or was changed; install or copy it again",
            )
    return files


def read_arrays(files: Mapping[str, Path], name: str, told: str) -> dict[str, npt.NDArray[Any]]:
    """Read one of the files of a bundle, which `told` names in errors: its arrays. Raises WeightsError."""
    if name not in files:
        raise WeightsError(f"{told}: has no {name}")
    try:
        return dict(load_file(files[name]))
    except (ValueError, SafetensorError) as error:
        raise WeightsError(f"{told}: {name} holds no arrays: {error}") from error
