"""``casgan-dicom inspect``: words for people, JSON for programs, exit codes as those of ``convert``."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from pydicom import dcmread
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset

from casgan_dicom.cli import cli
from tests.support.factories import moving_frames, uid, write_xa


def run(*arguments: str | Path, command: str = "inspect") -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(cli, [command, *map(str, arguments)], catch_exceptions=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An ordinary run, and one with contrast."""
    write_xa(tmp_path / "in" / "plain", moving_frames(4, bits=12), BitsStored=12)
    write_xa(
        tmp_path / "in" / "contrast",
        SOPInstanceUID=uid("other"),
        SeriesInstanceUID=uid("other series"),
        ContrastBolusAgent="Iohexol",
    )
    return tmp_path / "in"


def test_every_fact_about_a_run_has_a_line(folder: Path) -> None:
    result = run(folder / "plain")

    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        f"series {uid('series')}",
        "  verdict    would be converted",
        f"  instances  {uid('instance')}",
        "  object     X-Ray Angiographic Image Storage, XA, RAO30",
        "  stored as  Explicit VR Little Endian; decoded by numpy, frame by frame",
        "  frames     4 of 80×64, 12 bits in 16, MONOCHROME2",
        "  intensity  LIN",
        "  display    12 bit unsigned MONOCHROME2; intensity LIN; full range 0..4095",
        "  shutters   none",
        "  loss       none known",
        "  unknown    The source does not say whether identity is burned in or whether compression ever lost "
        "information",
        "  timing     66.667 ms per frame, from FrameTime (0018,1063)",
        "  output     Multi-frame Grayscale Byte Secondary Capture Image Storage, 8 bits, 0.0 MB; "
        "also --bits 12, --bits 16",
    ]


def test_reason_is_told_and_whether_force_helps(folder: Path) -> None:
    result = run(folder / "contrast")

    assert result.exit_code == 3
    assert "  verdict    would be skipped; --force converts it\n" in result.stdout
    assert "  because    ContrastBolusAgent (0018,0010) is not empty, need a run" in result.stdout
    assert "  mark       ContrastBolusAgent (0018,0010) is not empty\n" in result.stdout
    assert "Iohexol" not in result.stdout


def test_force_is_not_recommended_where_it_does_not_help(tmp_path: Path) -> None:
    result = run(write_xa(tmp_path / "ct", Modality="CT"))

    assert "  verdict    would be skipped; --force does not help\n" in result.stdout
    assert "  output " not in result.stdout


def test_exit_code_is_that_of_a_dry_run(folder: Path, tmp_path: Path) -> None:
    for paths in ([folder / "plain"], [folder / "contrast"], [folder]):
        dry = run("--dry-run", "--out", tmp_path / "out", *paths, command="convert")

        assert run(*paths).exit_code == dry.exit_code


def test_json_holds_the_same_and_nothing_is_written(folder: Path) -> None:
    before = sorted(folder.rglob("*"))

    result = run("--json", folder)

    told = json.loads(result.stdout)
    verdicts = {cine["series_uid"]: (cine["would_convert"], cine["forceable"]) for cine in told["cines"]}
    assert verdicts == {uid("series"): (True, False), uid("other series"): (False, True)}
    assert told["cines"][0]["stored"]["decoders"] == ["numpy, frame by frame"]
    assert (told["schema"], result.exit_code) == (1, 4)
    assert sorted(folder.rglob("*")) == before


def test_files_that_belong_to_no_run_are_counted(folder: Path) -> None:
    (folder / "Smith^John.txt").write_text("nothing")
    (folder / "Smith^Jim.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 64)

    result = run(folder)

    assert "passed over: 1 files: no DICOM file\n" in result.stdout
    assert "damaged: 1 files: damaged or incomplete DICOM file" in result.stdout
    assert "Smith" not in result.stdout


def test_nothing_found_is_an_error_in_two_lines(tmp_path: Path) -> None:
    result = run(tmp_path)

    assert result.exit_code == 3
    assert result.stderr.splitlines()[1].startswith("  try: ")


def test_missing_arguments_are_wrong_usage() -> None:
    assert run().exit_code == 2


HOSTILE = "\x1b]0;owned\x07\x1b[2J Zyxwvut"


@pytest.mark.parametrize("command", ["inspect", "convert", "verify"])
@pytest.mark.parametrize(
    "keyword",
    [
        "Modality",
        "PhotometricInterpretation",
        "BodyPartExamined",
        "ImageType",
        "MaskOperation",
        "FrameTime",
        "SeriesNumber",
        "RecommendedViewingMode",
        "SOPClassUID",
        "SOPInstanceUID",
        "SeriesInstanceUID",
        "PatientID",
        "ViewPosition",
    ],
)
def test_no_header_moves_a_terminal_or_is_quoted_against_its_representation(
    tmp_path: Path, command: str, keyword: str
) -> None:
    path = tmp_path / "in"
    write_xa(path, moving_frames(2))
    (file,) = path.rglob("*.dcm") if path.is_dir() else [path]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds = dcmread(file)
        if keyword == "MaskOperation":
            ds.MaskSubtractionSequence = [Dataset()]
            ds.MaskSubtractionSequence[0].add_new("MaskOperation", "CS", HOSTILE)
        else:
            ds.add_new(
                keyword, "LO" if keyword in ("SeriesNumber", "FrameTime") else dictionary_VR(keyword), HOSTILE
            )
        ds.save_as(file)
    options = ["--out", str(tmp_path / "out"), "--dry-run"] if command == "convert" else []

    result = run(path, *options, command=command)
    as_json = run(path, *options, "--json", command=command)

    for said in (result.stdout, result.stderr, as_json.stdout, as_json.stderr):
        assert all(line.isprintable() for line in said.splitlines())
        assert "Zyxwvut" not in said
