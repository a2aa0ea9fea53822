"""What is held in memory while objects go to their places."""

from __future__ import annotations

import weakref
from pathlib import Path

import pytest

from casgan_dicom.conversion import output_folder
from casgan_dicom.conversion.output_folder import Named, deliver
from casgan_dicom.derived.picture import SyntheticCine
from casgan_dicom.disk import file_sha256
from casgan_dicom.verification.comparison import Finding
from casgan_dicom.verification.verify import verify_file
from tests.support.derived import cine_of, derived


def test_an_object_is_gone_before_its_file_is_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that describes each of a thousand frames is large, and so is its copy."""
    cine, held = cine_of(tmp_path), list[weakref.ref[SyntheticCine]]()
    alive: list[bool] = []

    def make() -> SyntheticCine:
        made = derived(cine)
        held.append(weakref.ref(made))
        return made

    def judged(path: Path) -> list[Finding]:
        alive.append(held[-1]() is not None)
        return verify_file(path)

    monkeypatch.setattr(output_folder, "verify_file", judged)

    (placed,) = deliver([Named("angiogram", make)], tmp_path / "out", force=False)

    assert alive == [False]
    assert placed.path.is_file()
    assert placed.sha256 == file_sha256(placed.path)
