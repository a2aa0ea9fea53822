"""The folders of XCAD, made up: where they are looked for, what is read, what is refused."""

from __future__ import annotations

import re
from pathlib import Path, PurePath

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.data.xcad import (
    ANGIOGRAMS,
    BACKGROUNDS,
    LABELLED,
    LAYOUT,
    MASKS,
    FrameName,
    read_frames,
    read_labelled,
    xcad_root,
)

NAMES = ("000_PPA_44_PSA_00_8", "000_PPA_44_PSA_00_10", "001_PPA_44_PSA_00_9", "000_LAO_10_PSA_00_1")


def save(path: Path, pixels: npt.NDArray[np.generic]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def flat(value: int) -> npt.NDArray[np.uint8]:
    return np.full((32, 32), value, np.uint8)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Four frames a domain, two labelled angiograms whose bright half is vessel."""
    for k, name in enumerate(NAMES):
        save(tmp_path / ANGIOGRAMS / f"{name}.png", flat(10 + k))
        save(tmp_path / BACKGROUNDS / f"{name}.png", flat(110 + k))
    for k, name in enumerate(NAMES[1:3]):
        image = flat(20 + k)
        image[:, 16:] = 220
        save(tmp_path / LABELLED / f"{name}.png", image)
        save(tmp_path / MASKS / f"{name}.png", np.where(image > 100, 255, 0).astype(np.uint8))
    return tmp_path


def test_a_name_carries_sequence_angles_and_frame() -> None:
    name = FrameName.of(PurePath("000_PPA_44_PSA_00_8.png"))
    assert name == FrameName("000", "000_PPA_44_PSA_00", "8")
    assert FrameName.of(PurePath("7.png")) == FrameName("7", "7", "7")


def test_sequences_are_series_in_order_of_time_and_their_number_is_the_patient(root: Path) -> None:
    for folder, base in ((ANGIOGRAMS, 10), (BACKGROUNDS, 110)):
        found = [
            (s.key, s.patient, (s.frames[:, 0, 0] * 255).round().astype(int).tolist())
            for s in read_frames(root, folder)
        ]
        assert found == [
            ("000_LAO_10_PSA_00", "000", [base + 3]),
            ("000_PPA_44_PSA_00", "000", [base, base + 1]),
            ("001_PPA_44_PSA_00", "001", [base + 2]),
        ]


@pytest.mark.parametrize("vessel", [255, 1])
def test_labelled_angiograms_carry_the_masks_of_their_names(root: Path, vessel: int) -> None:
    for path in sorted((root / MASKS).iterdir()):
        save(path, np.where(np.asarray(Image.open(path)) > 0, vessel, 0).astype(np.uint8))
    labelled = list(read_labelled(root))
    assert [s.patient for s in labelled] == ["000", "001"]
    for series in labelled:
        assert series.masks is not None
        np.testing.assert_array_equal(series.masks, series.frames > 0.5)
        assert series.frames.shape == series.masks.shape == (1, 32, 32)
        assert series.masks.any()


def test_the_root_or_the_folder_above_it_may_be_given(root: Path) -> None:
    assert xcad_root(root) == root
    above = root.parent / "above"
    (above / "notes").mkdir(parents=True)
    for folder in LAYOUT:
        (above / "XCAD" / folder).mkdir(parents=True)
    assert xcad_root(above) == above / "XCAD"


def test_another_layout_is_refused_with_what_was_sought_and_what_was_found(tmp_path: Path) -> None:
    for folder in (ANGIOGRAMS, LABELLED, PurePath("notes")):
        (tmp_path / "set" / folder).mkdir(parents=True)
    with pytest.raises(
        ConfigError, match="'set' lacks train/trainC, test/masks; 'set' holds notes, test, train"
    ) as caught:
        xcad_root(tmp_path / "set")
    assert "train/trainB, train/trainC, test/images, test/masks" in caught.value.hint


def test_an_empty_an_absent_and_a_twofold_set_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="'empty' holds nothing"):
        xcad_root(tmp_path / "empty")
    with pytest.raises(ConfigError, match="no folder 'absent'"):
        xcad_root(tmp_path / "absent")
    for folder in LAYOUT:
        for copy in ("one", "two"):
            (tmp_path / "both" / copy / folder).mkdir(parents=True)
    with pytest.raises(ConfigError, match="'both' holds XCAD 2 times"):
        xcad_root(tmp_path / "both")


def test_a_domain_without_pictures_is_named(root: Path) -> None:
    for path in list((root / BACKGROUNDS).iterdir()):
        path.rename(path.with_suffix(".txt"))
    with pytest.raises(ConfigError, match=r"train/trainC of '.*' holds no PNG"):
        list(read_frames(root, BACKGROUNDS))


@pytest.mark.parametrize(
    ("folder", "pixels", "told"),
    [
        (MASKS, flat(7), "a mask of values 7, want 0 and 255 (or 0 and 1)"),
        (MASKS, np.eye(32, dtype=np.uint8) + np.uint8(254), "a mask of values 254, 255, want"),
        (MASKS, np.arange(1024, dtype=np.uint16).reshape(32, 32), "values 0, 1, 2, 3, 4, 5, 6, 7 …, want"),
        (MASKS, np.zeros((16, 32), np.uint8), "(16, 32) pixels, its angiogram has (32, 32)"),
        (LABELLED, flat(7).astype(np.uint16), "has 16"),
        (LABELLED, np.arange(3072, dtype=np.uint8).reshape(32, 32, 3), "channels differ"),
    ],
)
def test_a_labelled_file_that_cannot_be_used_is_named(
    root: Path, folder: PurePath, pixels: npt.NDArray[np.generic], told: str
) -> None:
    save(root / folder / f"{NAMES[2]}.png", pixels)
    with pytest.raises(ConfigError, match=re.escape(told)) as caught:
        list(read_labelled(root))
    assert f"{folder}/{NAMES[2]}.png" in caught.value.message


@pytest.mark.parametrize(("absent", "kept"), [(MASKS, LABELLED), (LABELLED, MASKS)])
def test_an_angiogram_without_mask_or_a_mask_without_angiogram_is_named(
    root: Path, absent: PurePath, kept: PurePath
) -> None:
    (root / absent / f"{NAMES[1]}.png").unlink()
    with pytest.raises(ConfigError, match=f"{kept}/{NAMES[1]}.png: no file of this name"):
        list(read_labelled(root))


def test_a_training_frame_of_another_bit_depth_is_named(root: Path) -> None:
    save(root / ANGIOGRAMS / f"{NAMES[2]}.png", np.zeros((32, 32), np.uint16))
    with pytest.raises(ConfigError, match=f"has 8 bits, train/trainB/{NAMES[2]}.png has 16"):
        list(read_frames(root, ANGIOGRAMS))
