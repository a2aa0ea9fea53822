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
    load_evaluation,
    parse_data,
)
from casgan_dicom.ct import LABELS_NAME, STRUCTURES_NAME, VOLUME_NAME
from casgan_dicom.errors import ConfigError
from casgan_dicom.model.data import FrameSet
from casgan_dicom.model.settings import TrainSettings, settings_from_dict
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
    assert spec.simulated.cache is not None
    assert spec.simulated.cache.parent == data_folder() == tmp_path
    assert spec.description == "Simulated coronary X-ray cine, seed 12, procedural backgrounds."


def test_sim_without_a_cache_renders_the_same_frames_and_keeps_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CASGAN_DATA", str(tmp_path))
    settings = settings_from_dict(
        {"data": {"runs": 1, "frames_per_run": 1, "frame_size": 32, "crop": 16, "flip": False}}
    )
    spec = parse_data("sim:12,cache=no")
    assert spec.description == parse_data("sim:12").description
    rendered = load_domains(spec, settings)
    assert not any(tmp_path.iterdir())
    kept = load_domains(parse_data("sim:12"), settings)
    assert any(tmp_path.iterdir())
    np.testing.assert_array_equal(rendered.x.frames, kept.x.frames)
    np.testing.assert_array_equal(rendered.y.frames, kept.y.frames)


def test_every_ct_folder_has_a_cache_of_its_own_and_nobody_elses_attribution(tmp_path: Path) -> None:
    found = []
    for name in ("one", "other"):
        folder = tmp_path / name
        folder.mkdir()
        for file in (VOLUME_NAME, LABELS_NAME, STRUCTURES_NAME):
            (folder / file).write_text(f"{file} of {name if file == LABELS_NAME else 'all'}")
        spec = parse_data(f"sim:3,cache=no,ct={folder}" if name == "one" else f"sim:3,ct={folder}")
        assert spec.simulated is not None
        assert spec.simulated.name == "ct"
        assert (spec.simulated.cache is None) is (name == "one")
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
    "spec",
    [
        "sim:",
        "sim:x",
        "sim:-1",
        "sim:1.5",
        "sim:²",
        "sim:1,2",
        "sim:1,ct",
        "sim:1,ct=",
        "sim:1,cache=yes",
        "x",
        "x,y,z",
        "",
    ],
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

    found = load_domains(spec_of(folders), SETTINGS)
    domain_x, domain_y = found.x, found.y

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

    found = load_domains(spec_of(folders), SETTINGS)
    domain_x, domain_y = found.x, found.y

    np.testing.assert_allclose(domain_x.frames / 65535, 1 - run / 4095, atol=1e-4)
    assert domain_y.frames.shape == (2, 32, 48)


def test_frames_are_brought_to_the_frame_size(folders: tuple[Path, Path]) -> None:
    for folder in folders:
        png(folder / "a.png", 100, side=40)
        write_xa(folder / "run", moving_frames(2, 32, 48))
    found = load_domains(spec_of(folders), settings_from_dict({"data": {"frame_size": 24, "crop": 16}}))
    assert found.x.frames.shape == (3, 24, 24)


def test_an_empty_folder_is_refused_and_named(folders: tuple[Path, Path]) -> None:
    png(folders[0] / "a.png", 100)
    (folders[1] / "notes.txt").write_text("nothing here")
    with pytest.raises(ConfigError, match="folder 'y' holds no PNG, NPY or DICOM"):
        load_domains(spec_of(folders), SETTINGS)


def patients(domain: FrameSet | None) -> set[str]:
    assert domain is not None
    assert domain.groups is not None
    return set(domain.groups.tolist())


def with_held_out(share: float, split_by: str = "patient", seed: int = 1) -> TrainSettings:
    data = {"frame_size": 0, "crop": 16, "held_out": share, "split_by": split_by}
    return settings_from_dict({"data": data, "seed": seed})


def xcad(root: Path) -> Path:
    """Six sequences of two frames; each of the labelled ones marks its bright half."""
    for folder, base in (("train/trainB", 10), ("train/trainC", 110), ("test/images", 20), ("test/masks", 0)):
        (root / folder).mkdir(parents=True)
        for k in range(12):
            pixels = np.full((32, 32), base + k if base else 0, np.uint8)
            if folder.startswith("test"):
                pixels[:, 16:] = 255
            Image.fromarray(pixels).save(root / folder / f"{k // 2:03d}_PPA_44_PSA_00_{k % 2}.png")
    return root


def test_xcad_gives_both_domains_and_labelled_angiograms(tmp_path: Path) -> None:
    spec = parse_data(f"xcad:{xcad(tmp_path / 'above' / 'XCAD').parent}")
    domains = load_domains(spec, SETTINGS)
    assert (domains.x.frames[:, 0, 0] / 257).round().tolist() == list(range(110, 122))
    assert (domains.y.frames[:, 0, 0] / 257).round().tolist() == list(range(10, 22))
    assert domains.x.masks is domains.y.masks is None
    assert domains.labelled is not None
    assert domains.labelled.masks is not None
    np.testing.assert_array_equal(domains.labelled.masks, domains.labelled.frames == 65535)
    assert len(domains.labelled) == 12


def test_xcad_is_attributed_and_said_not_to_be_redistributed(tmp_path: Path) -> None:
    description = parse_data(f"xcad:{xcad(tmp_path)}").description
    for words in ("XCAD", "Ma et al., ICCV 2021", "may not be redistributed"):
        assert words in description


def test_a_folder_of_another_layout_is_no_xcad(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    with pytest.raises(ConfigError, match="lacks train/trainB, train/trainC, test/images, test/masks"):
        parse_data(f"xcad:{tmp_path}")
    with pytest.raises(ConfigError, match="want sim:SEED"):
        parse_data("xcad:")


def test_no_sequence_of_xcad_is_in_training_and_in_evaluation(tmp_path: Path) -> None:
    spec, settings = parse_data(f"xcad:{xcad(tmp_path)}"), with_held_out(0.34)
    training, evaluation = load_domains(spec, settings), load_evaluation(spec, settings)
    for one, other in ((training, evaluation), (evaluation, training)):
        assert len(patients(one.x)) == (4 if one is training else 2)
        assert patients(one.x) == patients(one.y) == patients(one.labelled)
        assert not patients(one.x) & patients(other.x)


@pytest.mark.parametrize(("split_by", "crossing"), [("patient", False), ("series", True)])
def test_dicom_is_split_by_patient_or_by_series(
    folders: tuple[Path, Path], split_by: str, crossing: bool
) -> None:
    """Two patients with three series each in both folders; half of the groups are held out."""
    for folder in folders:
        for k in range(6):
            series, patient = uid(f"{folder.name} {k}"), f"SECRET-{k % 2}"
            frames = np.full((2, 32, 32), 50 + 100 * (k % 2), np.uint8)  # the patient shows in the brightness
            own = {"SOPInstanceUID": uid(series), "SeriesInstanceUID": series, "PatientID": patient}
            write_xa(folder / str(k), frames, **own)
    settings = with_held_out(0.5, split_by)
    training, evaluation = (load(spec_of(folders), settings) for load in (load_domains, load_evaluation))
    sides = [set((side.x.frames[:, 0, 0] > 100 * 257).tolist()) for side in (training, evaluation)]
    assert bool(sides[0] & sides[1]) is crossing
    assert len(training.x) == len(evaluation.x) == 6
    assert not patients(training.x) & patients(evaluation.x)
    assert not any("SECRET" in name for name in patients(training.x) | patients(evaluation.x))


def test_series_without_a_patient_id_count_as_one_patient(folders: tuple[Path, Path]) -> None:
    for folder in folders:
        for k in range(2):
            own = {"SOPInstanceUID": uid(f"i{k}"), "SeriesInstanceUID": uid(f"s{k}"), "PatientID": ""}
            write_xa(folder / str(k), moving_frames(2, 32, 32), **own)
    with pytest.raises(ConfigError, match="domain x has 1 series or patient"):
        load_domains(spec_of(folders), with_held_out(0.5))
    assert len(load_domains(spec_of(folders), with_held_out(0.5, "series")).x) == 2


def test_a_patient_folder_in_both_domains_stands_on_one_side(folders: tuple[Path, Path]) -> None:
    for folder, names in zip(folders, ("abcd", "bcde"), strict=True):
        for name in names:
            (folder / name).mkdir()
            png(folder / name / "1.png", 100)
    training, evaluation = (
        load(spec_of(folders), with_held_out(0.25)) for load in (load_domains, load_evaluation)
    )
    seen, kept = (patients(side.x) | patients(side.y) for side in (training, evaluation))
    assert not seen & kept
    assert seen | kept == set("abcde")


def test_without_a_share_held_out_training_and_evaluation_get_all(folders: tuple[Path, Path]) -> None:
    for folder in folders:
        png(folder / "a.png", 100)
    for load in (load_domains, load_evaluation):
        domains = load(spec_of(folders), SETTINGS)
        assert (len(domains.x), len(domains.y), domains.labelled) == (1, 1, None)


def test_simulated_data_has_an_evaluation_of_its_own() -> None:
    with pytest.raises(ConfigError, match="simulated data holds nothing back"):
        load_evaluation(parse_data("sim:1"), with_held_out(0.5))


def test_mixed_bit_depth_within_a_domain_is_refused_but_not_between_domains(
    folders: tuple[Path, Path],
) -> None:
    x, y = folders
    png(x / "a.png", 100)
    np.save(y / "a.npy", np.zeros((32, 32), np.uint16))
    assert len(load_domains(spec_of(folders), SETTINGS).y) == 1
    png(y / "b.png", 100)
    with pytest.raises(ConfigError, match=r"a\.npy has 16 bits, b\.png has 8"):
        load_domains(spec_of(folders), SETTINGS)
