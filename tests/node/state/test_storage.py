"""How much lies in a folder."""

from __future__ import annotations

from pathlib import Path

from casgan_dicom.node.state.storage import bytes_by_name, bytes_in


def test_files_count_at_any_depth_and_links_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "one").write_bytes(bytes(10))
    (tmp_path / "a" / "b" / "two").write_bytes(bytes(5))
    (tmp_path / "three").write_bytes(bytes(1))
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.mkdir()
    (outside / "large").write_bytes(bytes(10_000))
    (tmp_path / "link").symlink_to(outside)

    found = bytes_by_name(tmp_path)

    assert (found["a"], found["three"]) == (15, 1)
    assert found["link"] < 10_000
    assert bytes_in(tmp_path) == sum(found.values())


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert bytes_in(tmp_path / "none") == 0
