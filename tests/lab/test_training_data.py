"""``--data SPEC``: what it may say, what is read, and what a bundle will say about it."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom.uid import CTImageStorage, JPEGBaseline8Bit

from casgan_dicom.errors import ConfigError, PixelError
from casgan_dicom.lab.ct import LABELS_NAME, STRUCTURES_NAME, VOLUME_NAME, ct_digest
from casgan_dicom.lab.training_data import (
    DataSpec,
    data_folder,
    load_domains,
    load_evaluation,
    parse_data,
)
from casgan_dicom.model.data.split import is_held_out
from casgan_dicom.model.settings import TrainSettings
from casgan_dicom.model.tables import settings_from_dict
from tests.support.factories import moving_frames, uid, write_xa, write_xa_single_frames

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
    assert caught.value.message.startswith(f"data is '{spec}', ")


@pytest.mark.parametrize("spec", [None, 3, Path("a"), {"x": "a"}])
def test_what_is_neither_a_text_nor_two_paths_is_refused(spec: object) -> None:
    with pytest.raises(ConfigError, match="want sim:SEED") as caught:
        parse_data(spec)  # type: ignore[arg-type]
    assert caught.value.message.startswith(f"data is {spec!r}, ")


def test_two_paths_may_be_a_list_or_a_tuple_and_no_other_number_or_kind(tmp_path: Path) -> None:
    pair: list[str | Path] = [str(tmp_path), tmp_path]

    assert parse_data(pair) == parse_data(tuple(pair)) == parse_data(f"{tmp_path},{tmp_path}")
    with pytest.raises(ConfigError, match="data is 1 paths, want sim:SEED"):
        parse_data(pair[:1])
    with pytest.raises(ConfigError, match="a path is an empty text"):
        parse_data(f"{tmp_path},")
    broken: Any = (tmp_path, 3)
    with pytest.raises(ConfigError, match="a path is 3, want"):
        parse_data(broken)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no folder 'absent'"):
        parse_data(f"{tmp_path},{tmp_path / 'absent'}")


def test_a_ct_folder_without_its_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=rf"^CT folder '{tmp_path.name}' holds no chest_ct\.nii\.gz"
    ) as caught:
        parse_data(f"sim:1,ct={tmp_path}")
    assert caught.value.hint == "a labelled CT is chest_ct.nii.gz, labels.nii.gz and structures.csv"


def test_pictures_arrays_and_dicom_may_lie_side_by_side(folders: tuple[Path, Path]) -> None:
    x, y = folders
    png(x / "a.png", 51, side=64)
    np.save(x / "b.npy", np.full((2, 64, 64), 0.4, np.float32))
    cine = moving_frames(3, 64, 64)
    write_xa(x / "c" / "run", cine)
    png(y / "a.png", 102)

    found = load_domains(spec_of(folders), SETTINGS)
    domain_x, domain_y = found.x, found.y

    expected = np.concatenate([np.full((2, 64, 64), 0.4), np.full((1, 64, 64), 0.2), cine / 255])
    np.testing.assert_allclose(domain_x.frames / 65535, expected, atol=1e-5)
    np.testing.assert_allclose(domain_y.frames / 65535, np.full((1, 32, 32), 0.4), atol=1e-5)
    assert spec_of(folders).description == "Frames from two folders of the user's."


def test_dicom_becomes_display_values_in_time_order(folders: tuple[Path, Path]) -> None:
    """12 bits, MONOCHROME1, single-frame instances under names that say nothing."""
    x, y = folders
    run = moving_frames(4, 64, 96, bits=12)
    write_xa_single_frames(x, run, PhotometricInterpretation="MONOCHROME1", BitsStored=12)
    write_xa(y / "one", moving_frames(2, 64, 96), syntax=JPEGBaseline8Bit, SeriesInstanceUID=uid("other"))

    found = load_domains(spec_of(folders), SETTINGS)
    domain_x, domain_y = found.x, found.y

    np.testing.assert_allclose(domain_x.frames / 65535, 1 - run / 4095, atol=1e-4)
    assert domain_y.frames.shape == (2, 64, 96)


def test_dicom_that_convert_would_refuse_is_passed_over_and_said(folders: tuple[Path, Path]) -> None:
    """A CT, a run that shows contrast among those without, an object that was synthesised from another."""
    run = moving_frames(2, 64, 64)
    others: list[dict[str, object]] = [
        {"SOPClassUID": CTImageStorage, "Modality": "CT"},
        {"SyntheticData": "YES", "ImageType": ["DERIVED", "PRIMARY"]},
        {"ContrastBolusAgent": "Iodine"},
        {},
    ]
    for folder in folders:
        for k, own in enumerate(others):
            ids = {"SOPInstanceUID": uid(f"{k}"), "SeriesInstanceUID": uid(f"s{k}")}
            write_xa(folder / str(k), run, **ids, **own)

    sentences: list[str] = []
    found = load_domains(spec_of(folders), SETTINGS, sentences.append)

    assert (len(found.x), len(found.y)) == (2, 4)  # the run, and among angiograms the one with contrast
    said = "\n".join(sentences)
    assert said.count("runs of 'x' passed over") == 3
    assert said.count("runs of 'y' passed over") == 2
    for word in ("SOPClassUID (0008,0016)", "SyntheticData (0008,001C)", "ContrastBolusAgent (0018,0010)"):
        assert word in said
    (folders[0] / "3").unlink()
    with pytest.raises(ConfigError, match=r"nothing to train on: 1 runs of 'x' passed over: .*; 1 runs"):
        load_domains(spec_of(folders), SETTINGS)


def test_frames_that_cannot_be_decoded_are_an_error_that_names_the_series(folders: tuple[Path, Path]) -> None:
    png(folders[1] / "a.png", 100)
    write_xa(folders[0] / "run", moving_frames(2, 64, 64), syntax=JPEGBaseline8Bit)
    whole = (folders[0] / "run").read_bytes()
    (folders[0] / "run").write_bytes(whole.replace(b"\xff\xda", b"\xff\x00"))
    with pytest.raises(PixelError, match=r"^series [0-9.]+: "):
        load_domains(spec_of(folders), SETTINGS)


def test_frames_are_brought_to_the_frame_size(folders: tuple[Path, Path]) -> None:
    for folder in folders:
        png(folder / "a.png", 100, side=40)
        write_xa(folder / "run", moving_frames(2, 64, 96))
    found = load_domains(spec_of(folders), settings_from_dict({"data": {"frame_size": 24, "crop": 16}}))
    assert found.x.frames.shape == (3, 24, 24)


def test_an_empty_folder_is_refused_and_named(folders: tuple[Path, Path]) -> None:
    png(folders[0] / "a.png", 100)
    (folders[1] / "notes.txt").write_text("nothing here")
    with pytest.raises(ConfigError, match="folder 'y' holds no PNG, NPY or DICOM"):
        load_domains(spec_of(folders), SETTINGS)


def with_held_out(share: float, split_by: str = "patient", seed: int = 1) -> TrainSettings:
    data = {"frame_size": 0, "crop": 16, "held_out": share, "split_by": split_by, "split_seed": seed}
    return settings_from_dict({"data": data})


def both_sides(spec: DataSpec, settings: TrainSettings) -> tuple[list[set[int]], list[set[int]]]:
    """8-bit values of the upper left pixels of x and y: what training sees, and what is kept from it."""
    domains = load_domains(spec, settings)
    training = [set((side.frames[:, 0, 0] // 257).tolist()) for side in (domains.x, domains.y)]
    evaluation = [
        {round(float(value) * 255) for frames in read() for value in frames[:, 0, 0]}
        for read in load_evaluation(spec, settings.data)
    ]
    return training, evaluation


def divided(spec: DataSpec, share: float, split_by: str = "patient") -> tuple[list[set[int]], list[set[int]]]:
    """`both_sides` for the first seed that leaves no side empty."""
    for seed in range(200):
        with suppress(ConfigError):
            return both_sides(spec, with_held_out(share, split_by, seed))
    raise AssertionError("no seed leaves something on both sides")


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
    spec = parse_data(f"xcad:{xcad(tmp_path)}")
    training, evaluation = divided(spec, 0.34)
    sequences = [
        {(value - base) // 2 for value in side} for side, base in zip(training, (110, 10), strict=True)
    ]
    kept = [{(value - base) // 2 for value in side} for side, base in zip(evaluation, (110, 10), strict=True)]
    assert sequences[0] == sequences[1]
    assert kept[0] == kept[1]
    assert not sequences[0] & kept[0]
    assert sequences[0] | kept[0] == set(range(6))


def test_labelled_angiograms_of_held_out_sequences_train_no_segmentor(tmp_path: Path) -> None:
    spec = parse_data(f"xcad:{xcad(tmp_path)}")
    settings = with_held_out(0.34, seed=next(s for s in range(99) if 0 < held(s, 6) < 6))
    domains = load_domains(spec, settings)
    assert domains.labelled is not None
    seen = set(((domains.labelled.frames[:, 0, 0] // 257 - 20) // 2).tolist())
    assert seen == set(((domains.y.frames[:, 0, 0] // 257 - 10) // 2).tolist()) != set(range(6))


def held(seed: int, sequences: int) -> int:
    """How many of the first sequences of XCAD are held out with a third."""
    return sum(is_held_out(f"{k:03d}", 0.34, seed) for k in range(sequences))


@pytest.mark.parametrize(("split_by", "crossing"), [("patient", False), ("series", True)])
def test_dicom_is_split_by_patient_or_by_series(
    folders: tuple[Path, Path], split_by: str, crossing: bool
) -> None:
    """Two patients with three series each in both folders; half of the groups are held out."""
    for folder in folders:
        for k in range(6):
            series, patient = uid(f"{folder.name} {k}"), f"SECRET-{k % 2}"
            frames = np.full((2, 64, 64), 50 + 100 * (k % 2), np.uint8)  # the patient shows in the brightness
            own = {"SOPInstanceUID": uid(series), "SeriesInstanceUID": series, "PatientID": patient}
            write_xa(folder / str(k), frames, **own)
    training, evaluation = divided(spec_of(folders), 0.5, split_by)
    assert bool(training[0] & evaluation[0]) is crossing
    assert training[0] | evaluation[0] == {50, 150}


def test_series_without_a_patient_id_count_as_one_patient(folders: tuple[Path, Path]) -> None:
    for folder in folders:
        for k in range(2):
            own = {"SOPInstanceUID": uid(f"i{k}"), "SeriesInstanceUID": uid(f"s{k}"), "PatientID": ""}
            write_xa(folder / str(k), moving_frames(2, 64, 64), **own)
    with pytest.raises(ConfigError, match="of 1 patients domain x would have nothing"):
        load_domains(spec_of(folders), with_held_out(0.5))
    divided(spec_of(folders), 0.5, "series")


def test_a_patient_in_both_domains_stands_on_one_side_whatever_the_files_are(
    folders: tuple[Path, Path],
) -> None:
    """Pictures in a folder of that name, DICOM with that Patient ID; the patient shows in the brightness."""
    for k, name in enumerate("abcdef"):
        (folders[0] / name).mkdir()
        png(folders[0] / name / "1.png", 10 * k)
        own = {"SOPInstanceUID": uid(name), "SeriesInstanceUID": uid(f"s{name}"), "PatientID": name}
        write_xa(folders[1] / name, np.full((2, 64, 64), 10 * k, np.uint8), **own)
    training, evaluation = divided(spec_of(folders), 0.34)
    assert training[0] == training[1]
    assert evaluation[0] == evaluation[1]
    assert not training[0] & evaluation[0]


def test_a_patient_who_comes_later_changes_no_side(folders: tuple[Path, Path]) -> None:
    for folder in folders:
        for k in range(12):
            (folder / f"p{k}").mkdir()
            png(folder / f"p{k}" / "1.png", k)
    before, _ = both_sides(spec_of(folders), with_held_out(0.3))
    for folder in folders:
        shutil.rmtree(folder / f"p{min(before[0])}")
        for k in range(12, 20):
            (folder / f"p{k}").mkdir()
            png(folder / f"p{k}" / "1.png", k)
    _, evaluation = both_sides(spec_of(folders), with_held_out(0.3))
    assert not (before[0] | before[1]) & (evaluation[0] | evaluation[1])


def test_evaluation_reads_frames_at_their_own_size_as_often_as_asked(folders: tuple[Path, Path]) -> None:
    """What is passed over is said once."""
    for folder in folders:
        png(folder / "a.png", 100, side=40)
        write_xa(folder / "run", moving_frames(2, 64, 96))
    (folders[0] / "cut").write_bytes((folders[0] / "run").read_bytes()[:700])
    said: list[str] = []
    read, _ = load_evaluation(spec_of(folders), SETTINGS.data, said.append)
    for _ in range(2):
        assert [series.shape for series in read()] == [(1, 40, 40), (2, 64, 96)]
    assert "\n".join(said).count("passed over") == 1


def test_without_a_share_held_out_training_and_evaluation_get_all(folders: tuple[Path, Path]) -> None:
    for folder in folders:
        png(folder / "a.png", 100)
    assert both_sides(spec_of(folders), SETTINGS) == ([{100}, {100}], [{100}, {100}])


def test_simulated_data_has_an_evaluation_of_its_own() -> None:
    with pytest.raises(ConfigError, match="simulated data holds nothing back"):
        load_evaluation(parse_data("sim:1"), with_held_out(0.5).data)


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
