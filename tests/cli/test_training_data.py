"""``--data SPEC``: what it may say, what is read, and what a bundle will say about it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.uid import JPEGBaseline8Bit

from casgan_dicom.cli.training_data import (
    DataSpec,
    ct_digest,
    data_folder,
    load_domains,
    parse_data,
)
from casgan_dicom.ct import LABELS_NAME, STRUCTURES_NAME, VOLUME_NAME
from casgan_dicom.errors import ConfigError
from casgan_dicom.model.settings import settings_from_dict
from tests.factories import moving_frames, uid, write_xa, write_xa_single_frames

SETTINGS = settings_from_dict({"data": {"frame_size": 0, "crop": 16}})


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
    return tmp_path / "x", tmp_path / "y"


def spec_of(folders: tuple[Path, Path]) -> DataSpec:
    return parse_data(",".join(map(str, folders)))


def png(path: Path, value: int, side: int = 32) -> None:
    Image.fromarray(np.full((side, side), value, np.uint8)).save(path)


def test_sim_names_a_seed_and_keeps_its_frames_in_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CASGAN_DATA", str(tmp_path))
    spec = parse_data("sim:12")
    assert spec.simulated is not None
    assert spec.folders is None
    assert (spec.simulated.seed, spec.simulated.name) == (12, "procedural")
    assert spec.simulated.cache.parent == data_folder() == tmp_path
    assert spec.description == "Simulated coronary X-ray cine, seed 12, procedural backgrounds."


def test_every_ct_folder_has_a_cache_of_its_own_and_nobody_elses_attribution(tmp_path: Path) -> None:
    found = []
    for name in ("one", "other"):
        folder = tmp_path / name
        folder.mkdir()
        for file in (VOLUME_NAME, LABELS_NAME, STRUCTURES_NAME):
            (folder / file).write_text(f"{file} of {name if file == LABELS_NAME else 'all'}")
        spec = parse_data(f"sim:3,ct={folder}")
        assert spec.simulated is not None
        assert spec.simulated.name == "ct"
        found.append(spec.simulated.anatomy)
        assert "LIDC" not in spec.description
        assert ct_digest(folder) in spec.description
    assert found[0] != found[1]


def test_the_ct_of_the_test_data_is_attributed(real_data: Path) -> None:
    if not (real_data / "ct").is_dir():
        pytest.skip("no CT in the test data")
    description = parse_data(f"sim:1,ct={real_data / 'ct'}").description
    for words in ("LIDC-IDRI-0001", "Armato et al. 2011", "CC BY 3.0", "TotalSegmentator"):
        assert words in description


@pytest.mark.parametrize(
    "spec", ["sim:", "sim:x", "sim:-1", "sim:1.5", "sim:²", "sim:1,2", "sim:1,ct", "x", "x,y,z", ""]
)
def test_a_spec_that_is_neither_says_what_is_wanted(spec: str) -> None:
    with pytest.raises(ConfigError, match="want sim:SEED") as caught:
        parse_data(spec)
    assert f"'{spec}'" in caught.value.message


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no folder 'absent'"):
        parse_data(f"{tmp_path},{tmp_path / 'absent'}")


def test_a_ct_folder_without_its_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"holds no chest_ct\.nii\.gz"):
        parse_data(f"sim:1,ct={tmp_path}")


def test_pictures_arrays_and_dicom_may_lie_side_by_side(folders: tuple[Path, Path]) -> None:
    x, y = folders
    png(x / "a.png", 51)
    np.save(x / "b.npy", np.full((2, 32, 32), 0.4, np.float32))
    cine = moving_frames(3, 32, 32)
    write_xa(x / "c" / "run", cine)
    png(y / "a.png", 102)

    domain_x, domain_y = load_domains(spec_of(folders), SETTINGS)

    expected = np.concatenate([np.full((2, 32, 32), 0.4), np.full((1, 32, 32), 0.2), cine / 255])
    np.testing.assert_allclose(domain_x.frames / 65535, expected, atol=1e-5)
    np.testing.assert_allclose(domain_y.frames / 65535, np.full((1, 32, 32), 0.4), atol=1e-5)
    assert spec_of(folders).description == "Frames from two folders of the user's."


def test_dicom_becomes_display_values_in_time_order(folders: tuple[Path, Path]) -> None:
    """12 bits, MONOCHROME1, single-frame instances under names that say nothing."""
    x, y = folders
    run = moving_frames(4, 32, 48, bits=12)
    write_xa_single_frames(x, run, PhotometricInterpretation="MONOCHROME1", BitsStored=12)
    write_xa(y / "one", moving_frames(2, 32, 48), syntax=JPEGBaseline8Bit, SeriesInstanceUID=uid("other"))

    domain_x, domain_y = load_domains(spec_of(folders), SETTINGS)

    np.testing.assert_allclose(domain_x.frames / 65535, 1 - run / 4095, atol=1e-4)
    assert domain_y.frames.shape == (2, 32, 48)


def test_frames_are_brought_to_the_frame_size(folders: tuple[Path, Path]) -> None:
    for folder in folders:
        png(folder / "a.png", 100, side=40)
        write_xa(folder / "run", moving_frames(2, 32, 48))
    x, _ = load_domains(spec_of(folders), settings_from_dict({"data": {"frame_size": 24, "crop": 16}}))
    assert x.frames.shape == (3, 24, 24)


def test_an_empty_folder_is_refused_and_named(folders: tuple[Path, Path]) -> None:
    png(folders[0] / "a.png", 100)
    (folders[1] / "notes.txt").write_text("nothing here")
    with pytest.raises(ConfigError, match="folder 'y' holds no PNG, NPY or DICOM"):
        load_domains(spec_of(folders), SETTINGS)
