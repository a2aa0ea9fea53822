"""JSON files that are complete or not there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from casgan_dicom.model.json_file import write_json


def test_what_is_written_is_read_again_and_nothing_else_stays(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"a": 1})
    write_json(tmp_path / "a.json", {"b": [2]})

    assert json.loads((tmp_path / "a.json").read_text()) == {"b": [2]}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_file_that_cannot_be_written_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_json(tmp_path / "a.json", {"a": 1})

    def full(path: Path, text: str) -> int:
        with path.open("w") as file:
            file.write(text[:3])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space"):
        write_json(tmp_path / "a.json", {"b": 2})

    assert json.loads((tmp_path / "a.json").read_text()) == {"a": 1}
