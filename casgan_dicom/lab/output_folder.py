"""The folder of results, made before the work begins."""

from __future__ import annotations

import tempfile
from pathlib import Path

from casgan_dicom.errors import OutputError


def make_folder(folder: Path) -> None:
    """Make a folder for results before the work begins; raises OutputError where nothing can be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be written ({error.strerror or type(error).__name__})",
            hint="pass another folder with --out",
        ) from error
