"""``casgan-dicom simulate``: what it writes, and that the seed decides every byte."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from pydicom import dcmread

from casgan_dicom.cli.simulate import simulate
from casgan_dicom.model.simulator import acceptance
from casgan_dicom.model.simulator.limits import Limit
from casgan_dicom.pixels.decode import iter_frames
from casgan_dicom.source.eligible import reasons_against
from casgan_dicom.source.series import find_series
from tests.support.validators import dcentvfy, dciodvfy

SMALL = ("--size", "96", "--frames", "12")


def run(*arguments: str | Path, code: int = 0) -> Result:
    """Call the command; its exit code must be `code`."""
    result = CliRunner().invoke(simulate, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of one small pair with its masks; 30 frames, so that the artery fills."""
    out = tmp_path_factory.mktemp("pair")
    run(out, "--seed", "1", "--pairs", "--size", "96", "--frames", "30")
    return out / "seed-1"


def test_without_pairs_there_is_one_valid_run_without_contrast(tmp_path: Path) -> None:
    result = run(tmp_path, "--seed", "5", *SMALL)

    path = tmp_path / "seed-5" / "without-contrast.dcm"
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [path]
    assert result.stdout.splitlines() == [str(path)]
    ds = dcmread(path)
    assert (ds.NumberOfFrames, ds.Rows, ds.Columns, ds.BitsStored) == (12, 96, 96, 8)
    assert (ds.SyntheticData, ds.ImageType[:2]) == ("YES", ["ORIGINAL", "PRIMARY"])
    assert "ContrastBolusAgent" not in ds
    assert float(ds.FrameTime) == pytest.approx(1000 / 15, abs=1e-3)
    assert dciodvfy(path) == []


def test_a_simulated_run_may_be_converted(tmp_path: Path) -> None:
    run(tmp_path, "--seed", "4", *SMALL)

    (cine,) = find_series([tmp_path]).cines

    assert reasons_against(cine) == ()


def test_the_same_options_give_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    for folder, seed in (("a", "2"), ("b", "2"), ("c", "3")):
        run(tmp_path / folder, "--seed", seed, "--pairs", *SMALL)

    a, b, c = (
        [p.read_bytes() for p in sorted((tmp_path / folder).rglob("*")) if p.is_file()] for folder in "abc"
    )
    assert len(a) == 3
    assert a == b
    assert all(one != other for one, other in zip(a, c, strict=True))


def test_the_contrast_twin_is_another_series_of_the_same_study(pair: Path) -> None:
    plain, contrast = (dcmread(pair / f"{name}-contrast.dcm") for name in ("without", "with"))

    assert contrast.ContrastBolusAgent
    assert plain.StudyInstanceUID == contrast.StudyInstanceUID
    assert plain.PatientID == contrast.PatientID
    assert plain.SeriesInstanceUID != contrast.SeriesInstanceUID
    assert plain.SOPInstanceUID != contrast.SOPInstanceUID
    assert dcentvfy(pair / "without-contrast.dcm", pair / "with-contrast.dcm") == []


def test_the_masks_lie_on_what_the_contrast_darkened(pair: Path) -> None:
    plain, contrast = (
        dcmread(pair / f"{name}-contrast.dcm").pixel_array.astype(float) for name in ("without", "with")
    )
    with np.load(pair / "masks.npz", allow_pickle=False) as masks:
        vessel, heart, field = masks["vessel_mask"], masks["heart_mask"], masks["field_mask"]

    assert vessel.shape == heart.shape == plain.shape
    assert field.shape == plain.shape[1:]
    assert vessel.dtype == bool
    filled = vessel.any(axis=(1, 2))
    assert 0 < filled.sum() < len(plain)  # every run begins without contrast
    # Stored values of seed 1 are LIN and MONOCHROME2: contrast makes them smaller.
    assert (plain - contrast)[vessel].mean() > 10 * abs((plain - contrast)[~filled].mean()) + 1


def test_single_frames_hold_the_pixels_of_the_multi_frame_object(tmp_path: Path) -> None:
    run(tmp_path / "multi", "--seed", "6", *SMALL)
    run(tmp_path / "single", "--seed", "6", "--single-frame", *SMALL)

    assert len(list((tmp_path / "single" / "seed-6" / "without-contrast").iterdir())) == 12
    (multi,), (single,) = (find_series([tmp_path / name]).cines for name in ("multi", "single"))
    np.testing.assert_array_equal(np.stack(list(iter_frames(multi))), np.stack(list(iter_frames(single))))
    assert multi.series_uid != single.series_uid


@pytest.mark.parametrize("bits", [10, 12])
def test_more_bits_are_stored_in_words(tmp_path: Path, bits: int) -> None:
    run(tmp_path, "--bits", str(bits), *SMALL)

    ds = dcmread(tmp_path / "seed-0" / "without-contrast.dcm")

    assert (ds.BitsStored, ds.HighBit, ds.BitsAllocated) == (bits, bits - 1, 16)
    assert 255 < ds.pixel_array.max() < 2**bits


def test_each_cine_is_another_patient_and_the_report_names_its_files(tmp_path: Path) -> None:
    report = json.loads(run(tmp_path, "--seed", "8", "--cines", "2", "--json", *SMALL).stdout)

    assert [cine["seed"] for cine in report["cines"]] == [8, 9]
    headers = [dcmread(path) for cine in report["cines"] for path in cine["paths"]]
    assert len({ds.PatientID for ds in headers}) == 2
    assert len({ds.StudyInstanceUID for ds in headers}) == 2
    assert report["check"] is None


@pytest.mark.parametrize(("limit", "code"), [(-1.0, 3), (100.0, 0)])
def test_check_fails_when_a_figure_is_out_of_range(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: float, code: int
) -> None:
    cover = Limit("cover", None, -1e9, limit)
    monkeypatch.setattr(acceptance, "TABLES", ({"cover_percent": cover},))

    result = run(tmp_path, "--check", "--json", "--size", "96", "--frames", "30", code=code)

    check = json.loads(result.stdout)["check"]
    assert check["wrong"] == (["cover_percent"] if code else [])
    assert 0 < check["measured"]["cover_percent"] < 100


def test_check_prints_every_figure_beside_its_range(tmp_path: Path) -> None:
    result = CliRunner().invoke(simulate, [str(tmp_path), "--check", "--size", "96", "--frames", "30"])

    assert result.exit_code in (0, 3)  # a single run at 96 pixels is no fair sample
    for limits in acceptance.TABLES:
        for limit in limits.values():
            assert limit.quantity in result.stdout
    assert ("out of range" in result.stdout) == (result.exit_code == 3)


def test_a_figure_that_was_not_seen_is_none_in_the_report(tmp_path: Path) -> None:
    """A run of 96 pixels without filling has neither tiles for a spectrum nor consecutive frames."""
    result = CliRunner().invoke(
        simulate, [str(tmp_path), "--check", "--json", "--size", "64", "--frames", "30"]
    )

    check = json.loads(result.stdout, parse_constant=pytest.fail)["check"]
    assert set(check["measured"]) == {key for limits in acceptance.TABLES for key in limits}
    unseen = [key for key, value in check["measured"].items() if value is None]
    assert set(unseen) <= set(check["wrong"])


def test_a_run_of_one_frame_can_be_written_but_not_checked(tmp_path: Path) -> None:
    run(tmp_path, "--size", "96", "--frames", "1")


@pytest.mark.parametrize(
    "wrong", [["--size", "20"], ["--bits", "9"], ["--cines", "0"], ["--seed", "-1"], ["--cue", "-0.1"]]
)
def test_values_out_of_range_are_usage_errors(tmp_path: Path, wrong: list[str]) -> None:
    run(tmp_path, *wrong, code=2)


def test_a_file_in_the_place_of_the_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("not a folder")

    result = CliRunner().invoke(simulate, [str(tmp_path / "out"), *SMALL])

    assert result.exception is not None
    assert getattr(result.exception, "exit_code", None) == 3
