"""Reading a labelled CT, against SimpleITK's own geometry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 - the name its own documents use

from casgan_dicom.errors import ConfigError
from casgan_dicom.lab.ct import CtVolume, read_ct

TABLE = "group,original_idx,structure,id\ncardiac,1,heart,51\ncardiac,2,aorta,52\n"


def write_ct(folder: Path, *, shape: tuple[int, int, int] = (4, 5, 6), table: str = TABLE) -> Path:
    """A small CT with an oblique geometry; the last axis of `shape` runs fastest."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    volume: Any = sitk.GetImageFromArray(rng.integers(-1000, 1500, (4, 5, 6)).astype(np.int16))
    labels: Any = sitk.GetImageFromArray(rng.choice([0, 51, 52], shape).astype(np.uint8))
    turn = np.deg2rad(20)
    direction = [np.cos(turn), -np.sin(turn), 0, np.sin(turn), np.cos(turn), 0, 0, 0, 1]
    for image, name in ((volume, "chest_ct.nii.gz"), (labels, "labels.nii.gz")):
        image.SetSpacing((0.7, 0.8, 2.5))
        image.SetOrigin((-10.0, 20.0, -300.0))
        image.SetDirection([float(cosine) for cosine in direction])
        sitk.WriteImage(image, str(folder / name))
    (folder / "structures.csv").write_text(table, encoding="utf-8")
    return folder


def test_voxels_land_where_simpleitk_puts_them(tmp_path: Path) -> None:
    ct = read_ct(write_ct(tmp_path / "ct"))
    image: Any = sitk.ReadImage(str(tmp_path / "ct" / "chest_ct.nii.gz"))

    for index in ((0, 0, 0), (5, 0, 0), (0, 4, 0), (2, 3, 3)):
        ours = (ct.voxel_to_patient @ np.array([*index, 1.0]))[:3]
        np.testing.assert_allclose(ours, image.TransformIndexToPhysicalPoint(index), atol=1e-4)
        assert ct.hu[index[::-1]] == image.GetPixel(*index)


def test_labels_and_names_are_read(tmp_path: Path) -> None:
    ct = read_ct(write_ct(tmp_path / "ct"))

    assert isinstance(ct, CtVolume)
    assert ct.hu.dtype == np.int16
    assert ct.labels.dtype == np.uint8
    assert ct.hu.shape == ct.labels.shape == (4, 5, 6)
    assert set(np.unique(ct.labels)) == {0, 51, 52}
    assert ct.structures == {"heart": 51, "aorta": 52}


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such folder") as caught:
        read_ct(tmp_path / "nowhere")

    assert "chest_ct.nii.gz" in caught.value.hint


@pytest.mark.parametrize("name", ["chest_ct.nii.gz", "labels.nii.gz", "structures.csv"])
def test_missing_file_is_named(tmp_path: Path, name: str) -> None:
    folder = write_ct(tmp_path / "ct")
    (folder / name).unlink()

    with pytest.raises(ConfigError, match=f"{name} not found"):
        read_ct(folder)


def test_unreadable_volume_is_named(tmp_path: Path) -> None:
    folder = write_ct(tmp_path / "ct")
    (folder / "chest_ct.nii.gz").write_bytes(b"not a volume")

    with pytest.raises(ConfigError, match="cannot read"):
        read_ct(folder)


def test_labels_of_another_grid_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="must agree"):
        read_ct(write_ct(tmp_path / "ct", shape=(4, 5, 7)))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("name,number\nheart,51\n", "not a table"),
        ("structure,id\nheart,many\n", "not a table"),
        ("structure,id\naorta,52\n", "no structure is named 'heart'"),
    ],
)
def test_wrong_table_of_structures_is_refused(tmp_path: Path, table: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_ct(write_ct(tmp_path / "ct", table=table))
