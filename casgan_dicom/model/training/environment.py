"""What a run was made with: versions, revision of the source, machine."""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

import casgan_dicom
from casgan_dicom.disk import write_json
from casgan_dicom.errors import WeightsError

FILE_NAME = "environment.json"
PACKAGES = ("casgan-dicom", "torch", "numpy", "scipy", "safetensors")


def write_environment(out: Path, device: str, *, resume: bool = False) -> None:
    """Write ``environment.json`` into the run folder `out`.

    A run that is resumed keeps under ``earlier`` what it was made with before, where that was something else;
    WeightsError where that cannot be read.
    """
    facts: dict[str, Any] = {
        "python": platform.python_version(),
        **package_versions(PACKAGES),
        "source_revision": source_revision(),
        "device": device,
        "device_name": device_name(device),
        "threads": torch.get_num_threads(),
    }
    earlier: list[dict[str, Any]] = []
    if resume and (out / FILE_NAME).is_file():
        before = _read(out)
        earlier = before.pop("earlier", [])
        earlier += [before] if before != facts else []
    write_json(out / FILE_NAME, facts | {"earlier": earlier})


def _read(out: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((out / FILE_NAME).read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise WeightsError(
            f"run '{out.name}': {FILE_NAME} cannot be read ({error})",
            hint="remove it: it only tells what the run was made with before",
        ) from error


def device_name(device: str) -> str:
    """Name of the GPU, or the architecture of the processor."""
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else platform.machine()


def source_revision() -> str | None:
    """Git revision of this package's source, "+changed" where files differ from it; None outside a clone."""
    file = Path(casgan_dicom.__file__).resolve()
    source = file.parent
    try:
        _git(source, "ls-files", "--error-unmatch", file.name)  # not a clone of something else around it
        revision = _git(source, "rev-parse", "HEAD")
        changed = _git(source, "status", "--porcelain", "--", str(source))
    except (OSError, subprocess.CalledProcessError):  # no git, or no clone of ours
        return None
    return revision + ("+changed" if changed else "")


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def package_versions(packages: Sequence[str]) -> dict[str, str | None]:
    """Installed version of each package, None for one that is not there."""
    found: dict[str, str | None] = dict.fromkeys(packages)
    for package in packages:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found
